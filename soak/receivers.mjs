import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FluentdProcess } from '../test/support/fluentd-process.mjs';
import { freePort, ReceiverProcess, recordOf } from '../test/support/receiver-process.mjs';

const COUNT = 3;
/** From one receiver's return to the next one's end: time for the connections to come to it. */
const PAUSE_MILLIS = 2_000;
/** About how long an ack takes: a kill falls anywhere before it. */
const ACK_MILLIS = 5;
const PROGRAM = fileURLToPath(new URL('./receiver.mjs', import.meta.url));

class EmbeddedReceiver extends ReceiverProcess {
  constructor(port, { lossy }) {
    super({
      name: 'receiver',
      port,
      command: (directory) => [
        process.execPath,
        PROGRAM,
        ...['--port', String(port), '--output', join(directory, 'output', 'records.log')],
        ...(lossy ? ['--lossy'] : []),
      ],
      runningLine: 'listening at',
    });
    mkdirSync(join(this.directory, 'output'));
  }
}

/** The receivers behind one name, of which at most one is down at a time. */
export class Receivers {
  static NAME = 'tcp://fluent.soak:24224';
  kills = 0;
  /** The letter of the one that is down. */
  down;
  #receivers;

  static async start({ embedded, lossy }) {
    const receivers = [];
    while (receivers.length < COUNT) {
      const port = await freePort();
      const receiver = embedded ? new EmbeddedReceiver(port, { lossy }) : new FluentdProcess(port);
      await receiver.start();
      receivers.push(receiver);
    }
    return new Receivers(receivers);
  }

  constructor(receivers) {
    this.#receivers = receivers;
  }

  /** Stands in for DNS: all of them behind one name, also the one that is down. */
  resolver = async () => this.#receivers.map(({ port }) => ({ address: '127.0.0.1', port }));

  /** For some time, kills one after the other and starts it again. Kills when it can do harm: a chunk is on its way. */
  async killInTurn(millis) {
    const end = performance.now() + millis;
    while (performance.now() + PAUSE_MILLIS < end) {
      await sleep(PAUSE_MILLIS);
      const turn = this.kills % COUNT;
      const receiver = this.#receivers[turn];
      await chunkSentTo(receiver.port, end - performance.now());
      await sleep(ACK_MILLIS * Math.random());
      this.kills++;
      this.down = letter(turn);
      await receiver.kill('SIGKILL');
      await receiver.start();
      this.down = undefined;
    }
  }

  /** Stops them, and calls back with each record in their output; resolves with how many each has. */
  async read(onRecord) {
    const counts = [];
    for (const [i, receiver] of this.#receivers.entries()) {
      let records = 0;
      for await (const line of linesOf(await receiver.outputFiles())) {
        const record = recordOf(line);
        if (record === undefined) continue;
        records++;
        onRecord(record);
      }
      counts.push(`${letter(i)} ${records.toLocaleString('en-US')}`);
    }
    return counts;
  }
}

/** Resolves when a chunk is handed to a connection to this port, or after some time. */
async function chunkSentTo(port, millis) {
  let listener;
  const sent = new Promise((resolve) => {
    listener = ({ connection }) => connection.address === `127.0.0.1:${port}` && resolve();
    subscribe('fluent-forward:chunk:sent', listener);
  });
  await Promise.race([sent, sleep(millis, undefined, { ref: false })]);
  unsubscribe('fluent-forward:chunk:sent', listener);
}

async function* linesOf(paths) {
  for (const path of paths) {
    const file = await open(path);
    yield* file.readLines();
  }
}

function letter(index) {
  return 'ABC'[index];
}

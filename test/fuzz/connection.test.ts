import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ForwardReceiver, ForwardReceiverOptions, ReceivedMessage } from '../../src/testing/index.ts';
import { cases, textOf } from '../support/cases.ts';
import { settle, until } from '../support/fake-clock.ts';
import { hostileBytes, INPUTS, SEED } from './inputs.ts';
import { acksIn } from './oracle.ts';

/** Of the inputs, for each kind of server; the decoder alone gets the others. */
const SHARE = 0.05;
const EXPORTS_AT_ONCE = 20;
const TIMEOUT_MILLIS = 1_000;
const LIMIT_MILLIS = 60 * 60_000;
const MEMORY_LIMIT_BYTES = 128 * 2 ** 20;
const SECURITY = { sharedKey: 'a shared key' };

const { listen, start } = cases();

/** What a server has sent over each connection, and which chunks that acknowledges. */
class Streams {
  readonly #streams = new Map<number, Buffer[]>();
  readonly #ended = new Set<number>();

  constructor(receiver: ForwardReceiver) {
    receiver.on('disconnect', (connection) => this.#ended.add(connection));
  }

  add(connection: number, bytes: Buffer): void {
    this.#streams.set(connection, [...(this.#streams.get(connection) ?? []), bytes]);
  }

  get acknowledged(): Set<string> {
    return new Set([...this.#streams.values()].flatMap((stream) => acksIn(Buffer.concat(stream))));
  }

  /** Nobody reads any more what was sent over connections that have ended. */
  forgetEnded(): void {
    for (const connection of this.#ended) this.#streams.delete(connection);
    this.#ended.clear();
  }
}

/** The ack, other bytes around it, or others alone. */
function answer(n: number, ack: Buffer, other: Buffer): Buffer {
  switch (n % 4) {
    case 0:
      return other;
    case 1:
      return Buffer.concat([ack, other]);
    case 2:
      return Buffer.concat([other, ack]);
    default:
      return ack;
  }
}

it.each<[string, ForwardReceiverOptions]>([
  ['wants no handshake', {}],
  ['shakes hands', { security: SECURITY }],
])(
  'a hostile server that %s harms nobody, and what is called delivered has been acknowledged',
  {
    timeout: LIMIT_MILLIS,
  },
  async (_, options) => {
    const inputs = Math.ceil(INPUTS * SHARE);
    const samples = fc.sample(hostileBytes(), { seed: SEED, numRuns: inputs });
    let used = 0;
    const next = () => samples[used++ % inputs] as Buffer;
    const receiver = await listen({ ...options, retain: false });
    const streams = new Streams(receiver);
    receiver.messageFaults = ({ connection, chunk }: ReceivedMessage) => {
      const bytes = answer(used, Buffer.from(encode({ ack: chunk })), next());
      streams.add(connection, bytes);
      return { kind: 'garbage', bytes };
    };
    receiver.handshakeFaults = (connection) =>
      connection % 3 === 0
        ? { kind: 'replace', message: connection % 2 === 0 ? 'HELO' : 'PONG', bytes: next() }
        : undefined;
    const chunks = new Map<unknown, string | undefined>();
    receiver.on('message', (message) => chunks.set(textOf(message), message.chunk));
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      ...(options.security === undefined ? {} : SECURITY),
      timeoutMillis: TIMEOUT_MILLIS,
      ackTimeoutMillis: 400,
      connections: 4,
    });
    const before = process.memoryUsage.rss();
    let delivered = 0;
    while (used < inputs) {
      chunks.clear();
      let open = EXPORTS_AT_ONCE;
      const codes = new Map<string, number>();
      for (let i = 0; i < EXPORTS_AT_ONCE; i++) {
        const body = `record ${i}`;
        void send(body).then(({ code }) => {
          codes.set(body, code);
          open--;
        });
      }
      for (let millis = 0; millis < TIMEOUT_MILLIS && open > 0; millis += 50) await clock.advance(50);
      await until(() => open === 0);
      const { acknowledged } = streams;
      for (const [body, code] of codes) {
        if (code !== 0) continue;
        delivered++;
        expect(acknowledged, `seed ${SEED}, after ${used} inputs`).toContain(chunks.get(body));
      }
      streams.forgetEnded();
    }
    expect(delivered).toBeGreaterThan(0);
    expect(process.memoryUsage.rss() - before).toBeLessThan(MEMORY_LIMIT_BYTES);

    const done = exporter.shutdown();
    await settle();
    await clock.advance(60_000);
    await done;
    await until(() => receiver.openConnections === 0);
    expect(clock.timers).toBe(0);
  },
);

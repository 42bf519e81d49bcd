import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finished, runProgram } from '../support/run-program.ts';

/** The ways in which `load.cjs` ends a process. */
export const ENDINGS = [
  'natural',
  'exit',
  'uncaught',
  'unhandled',
  'signal',
  'signal and exit',
  'signal and close',
] as const;

export type EndingName = (typeof ENDINGS)[number];

const TRANSPORTS = ['tcp', 'unix', 'tls'] as const;
const FORMATS = ['mjs', 'cjs'] as const;
const SET_UPS = ['in code', 'register'] as const;

/** How one process is set up, and when it ends. */
export interface Run {
  readonly ending: EndingName;
  readonly transport: (typeof TRANSPORTS)[number];
  readonly format: (typeof FORMATS)[number];
  readonly setUp: (typeof SET_UPS)[number];
  /** How long after the first record the end begins. */
  readonly endAfterMillis: number;
}

/** Long enough for acks of some chunks, and for others to wait. */
const MAX_LOAD_MILLIS = 400;

/** The runs of one ending: all set-ups in turn, each ended at a random moment. The same seed gives the same runs. */
export function runsOf(ending: EndingName, count: number, seed: number): readonly Run[] {
  return Array.from({ length: count }, (_, index): Run => {
    const turn = index + ENDINGS.indexOf(ending);
    const digest = createHash('sha256').update(`${seed} ${ending} ${index}`).digest();
    return {
      ending,
      transport: TRANSPORTS[turn % 3] as Run['transport'],
      format: FORMATS[turn % 2] as Run['format'],
      setUp: SET_UPS[Math.floor(turn / 6) % 2] as Run['setUp'],
      endAfterMillis: Math.floor((digest.readUInt32BE() / 2 ** 32) * MAX_LOAD_MILLIS),
    };
  });
}

/** How a process ended, and what became of its records. */
export interface Ended {
  readonly finished: Finished;
  /** The records that it announced. */
  readonly logged: number;
  /** The announced ones that did not arrive. */
  readonly lost: readonly number[];
  readonly duplicated: number;
}

/** What all runs have in common. */
export class Endings {
  readonly #directory = mkdtempSync(join(tmpdir(), 'endings-'));
  #sockets = 0;
  #certificate: Pair | undefined;

  async listen(): Promise<void> {
    const authority = await Authority.create();
    this.#certificate = await authority.issue();
    writeFileSync(this.#authorityFile, authority.cert);
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }

  async run(run: Run): Promise<Ended> {
    const receiver = await ForwardReceiver.listen(this.#optionsOf(run));
    const finished = await start(run, {
      ...LONG_LIMIT_VARIABLES,
      OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint,
      // A part of the records waits in the open chunk.
      OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY: '20',
      ...(run.transport === 'tls' ? { OTEL_EXPORTER_FLUENT_FORWARD_CERTIFICATE: this.#authorityFile } : {}),
    });
    const bodies = receiver.entries.map(({ record }) => (record as { body: number }).body);
    await receiver.close();
    const arrived = new Set(bodies);
    const logged = Number(finished.stdout.trim().split('\n').at(-1));
    const lost = Array.from({ length: logged }, (_, i) => i + 1).filter((number) => !arrived.has(number));
    return { finished, logged, lost, duplicated: bodies.length - arrived.size };
  }

  get #authorityFile(): string {
    return join(this.#directory, 'authority.pem');
  }

  #optionsOf({ transport }: Run): ForwardReceiverOptions {
    switch (transport) {
      case 'tcp':
        return {};
      case 'unix':
        return { path: join(this.#directory, `${this.#sockets++}.sock`) };
      case 'tls':
        return { tls: this.#certificate as Pair };
    }
  }
}

/** Runs the same program without this package. */
export function runWithout(run: Run): Promise<Finished> {
  return startProgramOf({ ...run, setUp: 'register' }, {}, []);
}

function start(run: Run, env: Record<string, string>): Promise<Finished> {
  if (run.setUp === 'in code') return startProgramOf(run, { ...env, FLUSH_ON_SIGNALS: 'true' }, []);
  const flag = run.format === 'mjs' ? '--import' : '--require';
  return startProgramOf(run, env, [flag, 'opentelemetry-exporter-fluent-forward/register']);
}

function startProgramOf(
  { ending, endAfterMillis, format, setUp }: Run,
  env: Record<string, string>,
  nodeOptions: readonly string[],
): Promise<Finished> {
  return runProgram(`test/exit/${setUp === 'in code' ? 'in-code' : 'through-api'}.${format}`, {
    env: { ...env, ENDING: ending, END_AFTER: String(endAfterMillis) },
    nodeOptions,
  });
}

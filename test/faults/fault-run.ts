import { diag } from '@opentelemetry/api';
import { FluentForwardLogExporter } from '../../src/index.ts';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceivedMessage } from '../../src/testing/index.ts';
import { named } from '../support/exporter-fixture.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';
import { type LogLine, logRecord, type Result, recordDiag } from '../support/harness.ts';
import { RealClock } from '../support/real-clock.ts';
import { BlackHole } from './children.ts';
import type { FaultCase } from './fault-case.ts';
import { ClientSockets, resources } from './resource-usage.ts';

/** An export and its result. Its one record makes one chunk. */
export interface Exported {
  readonly body: string;
  calls: number;
  result: Result | undefined;
}

interface Closable {
  readonly messages: readonly ReceivedMessage[];
  close(): Promise<void>;
}

/** A warning that an outage is over. */
export const RECOVERY: RegExp = /connected to .+ again after /;

/** About what `random()` returns. */
const CHANCE = 0.5;

/** The exporter, the receivers, and what has happened between them. */
export class FaultRun {
  readonly exports: Exported[] = [];
  readonly receivers: ForwardReceiver[] = [];
  /** What is logged through `diag`. */
  readonly log: LogLine[] = [];
  readonly #closables: Closable[] = [];
  #hasBlackHole = false;
  exporter!: FluentForwardLogExporter;
  /** The exporter's. */
  clock!: FakeClock | RealClock;
  sockets!: ClientSockets;
  /** What there was before the exporter. */
  usageBefore!: FaultRun['usage'];
  /** How many the exporter may keep. */
  connections!: number;

  /** Starts what a case needs. */
  static async start(faultCase: FaultCase): Promise<FaultRun> {
    const run = new FaultRun();
    recordDiag(run.log);
    for (const options of faultCase.receivers ?? [{}]) await run.listen(options);
    const options = { ...run.#endpoint(), ...(await faultCase.options?.(run)) };
    run.connections = options.connections ?? 1;
    // The black holes of a case fill up with sockets that are not the exporter's.
    run.sockets = new ClientSockets();
    run.clock = faultCase.isInRealTime ? new RealClock() : new FakeClock(() => run.#dialled());
    run.exporter = new FluentForwardLogExporter(options, { clock: run.clock, random: nearly(CHANCE) });
    run.usageBefore = { ...run.usage, accepted: faultCase.heldConnections ?? 0 };
    return run;
  }

  /**
   * Waits until the kernel has answered the dials. On a busy machine it may take longer than a few turns of the event
   * loop, and the next timer would come before the answer.
   */
  async #dialled(): Promise<void> {
    await settle();
    await until(() => !this.#isDialling);
  }

  /** Whether a dial waits for its answer. A dial to a black hole never gets one, and does not count. */
  get #isDialling(): boolean {
    return !this.#hasBlackHole && this.sockets.isDialling;
  }

  #endpoint(): { endpoint?: string } {
    const [first, second] = this.receivers;
    if (first === undefined) return {};
    return second === undefined ? { endpoint: first.endpoint } : named(...this.receivers);
  }

  get receiver(): ForwardReceiver {
    return this.receivers[0] as ForwardReceiver;
  }

  /** One more receiver. */
  async listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
    const receiver = await ForwardReceiver.listen(options);
    this.receivers.push(receiver);
    return this.use(receiver);
  }

  /** A port at which dials hang. */
  async openBlackHole(host?: string): Promise<BlackHole> {
    this.#hasBlackHole = true;
    return this.use(await BlackHole.open(host));
  }

  /** Closes something at the end; messages that arrive there count as arrived. */
  use<T extends Omit<Closable, 'messages'> & Partial<Closable>>(closable: T): T {
    this.#closables.push({ messages: closable.messages ?? [], close: () => closable.close() });
    return closable;
  }

  /** Exports `count` records, each in an export of its own. */
  send(count = 1, { bytes = 0 }: { bytes?: number } = {}): Exported[] {
    return Array.from({ length: count }, () => {
      const body = `record ${this.exports.length}`.padEnd(bytes, '.');
      const exported: Exported = { body, calls: 0, result: undefined };
      this.exports.push(exported);
      this.exporter.export([logRecord(body)], (result) => {
        exported.calls++;
        exported.result = result as Result;
      });
      return exported;
    });
  }

  /** Exports one record and waits for its ack, so that the connection counts as proven. */
  async prove(): Promise<void> {
    const [exported] = this.send();
    await until(() => exported?.result !== undefined);
  }

  /** Waits for one more warning than there is now. */
  async warned(): Promise<void> {
    const before = this.warnings.length;
    await until(() => this.warnings.length > before);
    await settle();
  }

  get warnings(): string[] {
    const isTrouble = ([level, text]: LogLine) => (level === 'warn' && !RECOVERY.test(text)) || level === 'error';
    return this.log.filter(isTrouble).map(([, text]) => text);
  }

  get isSettled(): boolean {
    return this.exports.every(({ calls }) => calls > 0);
  }

  /** What the receivers have taken, in no order. */
  get messages(): ReceivedMessage[] {
    return this.#closables.flatMap(({ messages }) => messages);
  }

  /** How many connections are open at the exporter. */
  get openAtExporter(): number {
    return this.exporter.stats().connections.filter(({ state }) => state === 'open').length;
  }

  /** How many connections are open at the receivers. */
  get openConnections(): number {
    return this.receivers.reduce((sum, { openConnections }) => sum + openConnections, 0);
  }

  /** How many sockets there are at both ends, how many timers and listeners. */
  get usage() {
    return {
      timers: this.clock.timers,
      dialled: this.sockets.open.length,
      accepted: this.openConnections,
      ...resources(),
    };
  }

  async end(): Promise<void> {
    diag.disable();
    this.sockets.stop();
    const done = this.exporter.shutdown();
    await this.clock.advance(60_000);
    await done;
    await Promise.all(this.#closables.map((closable) => closable.close()));
  }
}

/** Numbers that differ a little, so that no two addresses wait equally long. */
function nearly(number: number): () => number {
  let calls = 0;
  return () => number + 1e-9 * calls++;
}

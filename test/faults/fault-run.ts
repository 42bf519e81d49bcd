import { diag } from '@opentelemetry/api';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../src/index.ts';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceivedMessage } from '../../src/testing/index.ts';
import { named } from '../support/exporter-fixture.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';
import { harness, type LogLine, logRecord, type Result, recordDiag } from '../support/harness.ts';
import type { FaultCase } from './fault-case.ts';
import { ClientSockets, RealClock, resources } from './resource-usage.ts';

/** An export and what it came to. Its one record makes one chunk. */
export interface Exported {
  readonly body: string;
  calls: number;
  result: Result | undefined;
}

interface Closable {
  readonly messages: readonly ReceivedMessage[];
  close(): Promise<void>;
}

/** The exporter, the receivers, and what has happened between them. */
export class FaultRun {
  readonly exports: Exported[] = [];
  readonly receivers: ForwardReceiver[] = [];
  /** What is said through `diag`. */
  readonly log: LogLine[] = [];
  readonly #closables: Closable[] = [];
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
    const { clock, exporter } = faultCase.settlesWithin === undefined ? harness(options) : onRealTime(options);
    run.clock = clock;
    run.exporter = exporter;
    run.usageBefore = { ...run.usage, accepted: faultCase.keeps ?? 0 };
    return run;
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

  /** Takes what is closed at the end, and what arrives there for arrived. */
  use<T extends Omit<Closable, 'messages'> & Partial<Closable>>(closable: T): T {
    this.#closables.push({ messages: closable.messages ?? [], close: () => closable.close() });
    return closable;
  }

  /** Exports so many records, each on its own. */
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

  /** Exports one record, which is acknowledged: the connection has proved itself. */
  async prove(): Promise<void> {
    const [exported] = this.send();
    await until(() => exported?.result !== undefined);
  }

  /** Waits until one more warning has been given. */
  async warned(): Promise<void> {
    const before = this.warnings.length;
    await until(() => this.warnings.length > before);
    await settle();
  }

  get warnings(): string[] {
    return this.log.filter(([level]) => level === 'warn' || level === 'error').map(([, text]) => text);
  }

  get isSettled(): boolean {
    return this.exports.every(({ calls }) => calls > 0);
  }

  /** What receivers have taken, in no order. */
  get messages(): ReceivedMessage[] {
    return this.#closables.flatMap(({ messages }) => messages);
  }

  get openConnections(): number {
    return this.receivers.reduce((sum, { openConnections }) => sum + openConnections, 0);
  }

  /** What there is at both ends of sockets, and of timers and listeners. */
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
    if (this.clock instanceof FakeClock) await this.clock.advance(60_000);
    await done;
    await Promise.all(this.#closables.map((closable) => closable.close()));
  }
}

function onRealTime(options: FluentForwardLogExporterOptions) {
  const clock = new RealClock();
  return { clock, exporter: new FluentForwardLogExporter(options, { clock, random: Math.random }) };
}

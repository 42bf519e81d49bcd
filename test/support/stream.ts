import { setTimeout as sleep } from 'node:timers/promises';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../src/index.ts';
import type { Fluentd } from './fluentd.ts';
import { recordOf } from './receiver-process.mjs';
import { batchProcessor } from './sdks.ts';
import { Witness } from './witness.ts';

/** Records with numbers, emitted through several processors, so that several chunks are on the way. */
export class Stream {
  static readonly BATCH = 25;
  /** A load that leaves the machine time for others: a batch from each processor so often, or slower. */
  static readonly ROUND_MILLIS = 50;
  readonly exporter: FluentForwardLogExporter;
  readonly witness: Witness;
  readonly #providers: readonly LoggerProvider[];
  readonly #running: Promise<void>;
  #emitted = 0;
  #ended = false;

  /** Begins at once. */
  constructor(options: FluentForwardLogExporterOptions, processors: number = 4) {
    this.exporter = new FluentForwardLogExporter(options);
    this.witness = new Witness(this.exporter);
    this.#providers = Array.from(
      { length: processors },
      () =>
        new LoggerProvider({ processors: [batchProcessor({ BatchLogRecordProcessor }, this.witness, Stream.BATCH)] }),
    );
    this.#running = this.#run();
  }

  get emitted(): number {
    return this.#emitted;
  }

  /** The most that waits for its acks at a time: each processor exports one batch after the other. */
  get maxPendingRecords(): number {
    return this.#providers.length * Stream.BATCH;
  }

  /** Waits until 500 more records are acknowledged and an export is on its way. */
  async flow(): Promise<void> {
    const { acknowledged, pending } = this.witness;
    const goal = acknowledged.length + 500;
    await this.witness.until(() => acknowledged.length >= goal && pending.size > 0);
  }

  /** Waits until every processor waits for a result. */
  async stall(): Promise<void> {
    await this.witness.until(() => this.witness.pending.size === this.#providers.length);
  }

  /** Waits until all that waits for a result now has one, and gives the milliseconds that it took. */
  async recover(): Promise<number> {
    const startedAt = performance.now();
    const waiting = [...this.witness.pending];
    await this.witness.until(() => !waiting.some((batch) => this.witness.pending.has(batch)));
    return Math.round(performance.now() - startedAt);
  }

  /** Emits no more, and waits for the results. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#running;
    await Promise.all(this.#providers.map((provider) => provider.forceFlush()));
    await Promise.all(this.#providers.map((provider) => provider.shutdown()));
  }

  /** Stops the Fluentds and compares what they have with what was acknowledged. */
  async compare(...fluentds: readonly Fluentd[]): Promise<{ lost: string[]; duplicates: number }> {
    const outputs = await Promise.all(fluentds.map((fluentd) => fluentd.output()));
    const received = outputs.flat().flatMap((line) => recordOf(line)?.message ?? []);
    const distinct = new Set(received);
    const acknowledged = this.witness.acknowledged.map(({ body }) => body as string);
    return {
      lost: acknowledged.filter((body) => !distinct.has(body)),
      duplicates: received.length - distinct.size,
    };
  }

  async #run(): Promise<void> {
    const loggers = this.#providers.map((provider) => provider.getLogger('stream'));
    while (!this.#ended) {
      const round = sleep(Stream.ROUND_MILLIS);
      for (const logger of loggers) {
        for (let i = 0; i < Stream.BATCH; i++) logger.emit({ body: `record ${this.#emitted++}` });
      }
      const goal = this.#emitted - this.maxPendingRecords;
      await this.witness.until(() => this.witness.settledRecords >= goal);
      await round;
    }
  }
}

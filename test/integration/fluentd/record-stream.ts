import { setTimeout as sleep } from 'node:timers/promises';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../../src/index.ts';
import { LONG_LIMITS } from '../../support/long-limits.ts';
import { RealClock } from '../../support/real-clock.ts';
import { recordOf } from '../../support/receiver-process.mjs';
import { batchProcessor } from './batch-processor.ts';
import type { Fluentd } from './fluentd.ts';
import { RecordingExporter } from './recording-exporter.ts';

/** Longer than any wait of a test: an export that fails has another reason. */
const TIMEOUT_MILLIS = 600_000;
const STEP_MILLIS = 1_000;

/**
 * Records with numbers, emitted through several processors, so that several chunks are on the way. The exporter's time
 * limits are long, and rotation is off, unless the options say otherwise.
 */
export class RecordStream {
  static readonly BATCH = 25;
  /** A load that leaves the machine time for others: a batch from each processor so often, or slower. */
  static readonly ROUND_MILLIS = 50;
  readonly exporter: FluentForwardLogExporter;
  readonly #clock = new RealClock();
  readonly recorder: RecordingExporter;
  readonly #providers: readonly LoggerProvider[];
  readonly #running: Promise<void>;
  #emitted = 0;
  #ended = false;

  /** Begins at once. */
  constructor(options: FluentForwardLogExporterOptions, processors: number = 4) {
    this.exporter = new FluentForwardLogExporter(
      { ...LONG_LIMITS, timeoutMillis: TIMEOUT_MILLIS, rotationIntervalMillis: 0, ...options },
      { clock: this.#clock, random: Math.random },
    );
    this.recorder = new RecordingExporter(this.exporter);
    this.#providers = Array.from(
      { length: processors },
      () => new LoggerProvider({ processors: [batchProcessor(this.recorder, RecordStream.BATCH)] }),
    );
    this.#running = this.#run();
  }

  get emitted(): number {
    return this.#emitted;
  }

  /** The most that waits for its acks at a time: each processor exports one batch after the other. */
  get maxPendingRecords(): number {
    return this.#providers.length * RecordStream.BATCH;
  }

  /** Waits until 500 more records are acknowledged and an export is on its way. */
  async flow(): Promise<void> {
    const { acknowledged, pending } = this.recorder;
    const goal = acknowledged.length + 500;
    await this.recorder.until(() => acknowledged.length >= goal && pending.size > 0);
  }

  /** Waits until every processor waits for a result. */
  async stall(): Promise<void> {
    await this.recorder.until(() => this.recorder.pending.size === this.#providers.length);
  }

  /** Waits until `condition` holds while no receiver answers. Meanwhile the exporter's time passes about 20 times as fast. */
  async hurryUntil(condition: () => boolean): Promise<void> {
    for (let passed = 0; !condition(); passed += STEP_MILLIS) {
      if (passed > TIMEOUT_MILLIS / 2) throw new Error(`after ${passed} ms this did not become true: ${condition}`);
      this.#clock.advance(STEP_MILLIS);
      await sleep(STEP_MILLIS / 20);
    }
  }

  /** Waits until all exports that wait for a result now have one, and returns the milliseconds that it took. */
  async recover(): Promise<number> {
    const startedAt = performance.now();
    const waiting = [...this.recorder.pending];
    await this.recorder.until(() => !waiting.some((batch) => this.recorder.pending.has(batch)));
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
    const acknowledged = this.recorder.acknowledged.map(({ body }) => body as string);
    return {
      lost: acknowledged.filter((body) => !distinct.has(body)),
      duplicates: received.length - distinct.size,
    };
  }

  async #run(): Promise<void> {
    const loggers = this.#providers.map((provider) => provider.getLogger('stream'));
    while (!this.#ended) {
      const round = sleep(RecordStream.ROUND_MILLIS);
      for (const logger of loggers) {
        for (let i = 0; i < RecordStream.BATCH; i++) logger.emit({ body: `record ${this.#emitted++}` });
      }
      const goal = this.#emitted - this.maxPendingRecords;
      await this.recorder.until(() => this.recorder.settledRecords >= goal);
      await round;
    }
  }
}

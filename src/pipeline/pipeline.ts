import type { Meter } from '@opentelemetry/api';
import { inCleanContext } from '../clean-context.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { ConnectionPool } from '../connection/pool.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import type { Ending } from '../exit/ending.ts';
import { mayStartThread } from '../exit/exit-thread.ts';
import { type ProcessEnd, processEnd } from '../exit/process-end.ts';
import type { Counters, FluentForwardStats } from '../stats.ts';
import type { ComponentType } from '../telemetry/component.ts';
import { Metrics, meterOf } from '../telemetry/metrics.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { MemoryBound } from './memory.ts';
import type { Stages } from './stages.ts';

export interface PipelineParts {
  readonly componentType: ComponentType;
  /** `otel.component.name` in metrics, and `exporter` in the messages of the diagnostics channels. */
  readonly name: string;
  /** The configured endpoints, with commas between them. */
  readonly endpoint: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly telemetry: Telemetry;
  readonly warn: (cause: string, message: string) => void;
  readonly memory: MemoryBound;
  readonly stages: Stages;
  readonly pool: ConnectionPool;
}

/** Why no records are taken now, whatever they are. */
export type Refusal =
  | { readonly code: 'FLUENT_FORWARD_SHUT_DOWN' }
  | { readonly code: 'FLUENT_FORWARD_IN_FLIGHT_LIMIT'; readonly usedBytes: number; readonly limitBytes: number };

/** What every intake of records shares: the stages after encoding, the memory bound, statistics, and the end. */
export class Pipeline {
  readonly #parts: PipelineParts;
  /** Set before `#shutdown`, because closing can call application code that exports again. */
  #isShutDown = false;
  #shutdown: Promise<void> | undefined;
  /** How it takes part in the end of the process. Undefined if it does not, or no longer. */
  #end: { readonly process: ProcessEnd; readonly ending: Ending } | undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.name;
  }

  get endpoint(): string {
    return this.#parts.endpoint;
  }

  get config(): Config {
    return this.#parts.config;
  }

  get counters(): Counters {
    return this.#parts.counters;
  }

  get memory(): MemoryBound {
    return this.#parts.memory;
  }

  get metrics(): Metrics | undefined {
    return this.#parts.telemetry.metrics;
  }

  /** The last fault of a connection, while there has been no ack since. */
  get lastError(): FluentForwardConnectionError | undefined {
    return this.#parts.pool.lastError;
  }

  get isShutDown(): boolean {
    return this.#isShutDown;
  }

  /** Why no records are taken now. Undefined if they are. */
  get refusal(): Refusal | undefined {
    if (this.#isShutDown) return { code: 'FLUENT_FORWARD_SHUT_DOWN' };
    const { isReached, usedBytes, limitBytes } = this.#parts.memory;
    return isReached ? { code: 'FLUENT_FORWARD_IN_FLIGHT_LIMIT', usedBytes, limitBytes } : undefined;
  }

  /** Takes part in the end of the process until it is closed. */
  joinProcessEnd(ending: Ending): void {
    this.#end = { process: processEnd(), ending };
    this.#end.process.add(ending);
    if (mayStartThread()) return;
    const loss = 'what is not acknowledged at process.exit() or an uncaught error will be lost';
    this.warn('thread', `${loss}: under --permission, sending it needs --allow-worker`);
  }

  /** If the process is ending, hands over what is held, because nothing that is done later will run. */
  handOverAtEnd(): void {
    const process = this.#end?.process;
    if (process?.hasBegun) process.handOver();
  }

  /** Takes no more records, runs `flush`, and closes the connections. Later calls return the same promise. */
  shutdown(flush: () => Promise<void> | undefined): Promise<void> {
    let begin = () => {};
    this.#isShutDown = true;
    this.#shutdown ??= new Promise((resolve) => {
      // In this order, because flushing and closing can call code of the application that shuts down again.
      begin = () => void this.#flushAndClose(flush).finally(resolve);
    });
    begin();
    return this.#shutdown;
  }

  async #flushAndClose(flush: () => Promise<void> | undefined): Promise<void> {
    const flushed = flush();
    // If there is nothing to wait for, it closes at once, because there is no later turn at the end of a process.
    if (flushed !== undefined) await flushed;
    inCleanContext(() => this.#parts.stages.close());
    this.metrics?.close();
    this.#end?.process.delete(this.#end.ending);
    this.#end = undefined;
  }

  stats(): FluentForwardStats {
    const { counters, memory, pool } = this.#parts;
    const { connectionStats: connections, addressStats: addresses } = pool;
    return { ...counters.snapshot, inFlightBytes: memory.usedBytes, connections, addresses };
  }

  warn(cause: string, message: string): void {
    this.#parts.warn(cause, message);
  }

  /**
   * Starts the metrics if they are wanted and there is a meter. To be called again until there is one, because the
   * application may set the API's global provider at any time.
   */
  startMetrics(): void {
    const { config, telemetry, warn } = this.#parts;
    const { selfObsMeterProvider: provider } = config;
    if (provider === undefined || this.metrics !== undefined || this.#isShutDown) return;
    telemetry.startMetrics(() => {
      const meter = meterOf(provider);
      return meter && this.#createMetrics(meter);
    }, warn);
  }

  #createMetrics(meter: Meter): Metrics {
    const { clock, componentType, config, counters, memory, name, pool, warn } = this.#parts;
    return new Metrics({
      meter,
      componentType,
      name,
      endpoints: config.endpoint,
      clock,
      counters,
      memory,
      connections: () => pool.connectionStats,
      warn,
    });
  }
}

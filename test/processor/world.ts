import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { FluentForwardLogRecordProcessorOptions } from '../../src/config/options.ts';
import { GROUP_END } from '../../src/encode/layout/otlp.ts';
import type { FluentForwardProcessorStats } from '../../src/index.ts';
import { FluentForwardLogRecordProcessor } from '../../src/index.ts';
import type { ReceivedMessage } from '../../src/testing/index.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { record } from '../support/records.ts';
import type { ReceiverState, SimulatedNetwork } from '../support/simulated-network.ts';
import { type Flavor, flavoredRecord, idIn, pendingResource } from './flavored-record.ts';

export interface Emit {
  readonly kind: 'emit';
  readonly count: number;
  readonly severityNumber: number | undefined;
  readonly tag: 'a' | 'b' | 'c';
  readonly bytes: number;
  readonly flavor: Flavor;
}

export type Command =
  | Emit
  | { readonly kind: 'turn' }
  | { readonly kind: 'advance'; readonly millis: number }
  | { readonly kind: 'receivers'; readonly state: ReceiverState }
  | { readonly kind: 'acknowledge'; readonly count: number }
  | { readonly kind: 'lose'; readonly connection: number; readonly by: 'reset' | 'close' }
  | { readonly kind: 'resource is complete' }
  | { readonly kind: 'flush'; readonly timeoutMillis: number | undefined }
  | { readonly kind: 'shutdown' };

export interface Setting {
  readonly layout: 'default' | 'flat' | 'otlp' | 'function';
  readonly tag: 'fixed' | 'template' | 'resource' | 'function';
  readonly connections: number;
  readonly maxInFlightBytes: number;
  readonly maxChunkBytes: number;
  readonly rotationIntervalMillis: number;
  /** Whether code that the processor calls emits records. */
  readonly isReentrant: boolean;
  /** Which of the calls of such code shuts the processor down, if one does. */
  readonly shutdownAtCallback: number | undefined;
  /** What `random()` returns, one after the other. */
  readonly chances: readonly number[];
}

const TAGS: Readonly<Record<Setting['tag'], NonNullable<FluentForwardLogRecordProcessorOptions['tag']>>> = {
  fixed: 'fixed',
  template: 'app.${attributes.tag}',
  resource: '${resource.name}.${attributes.tag}',
  function: '',
};

/** The channels of whose messages the world looks at the statistics. */
const CHANNELS = [
  ...['opened', 'ready', 'closed', 'rotated'].map((event) => `fluent-forward:connection:${event}`),
  ...['sent', 'resent', 'acknowledged', 'failed'].map((event) => `fluent-forward:chunk:${event}`),
];
const ADDRESSES = [1, 2, 3].map((port) => ({ address: '127.0.0.1', port }));
/** How many records code that the processor calls may emit in one run. */
const REENTRANT_RECORDS = 15;
/** A refused chunk takes five tries of five seconds, and pauses between them. */
const MAX_RECOVERY_ROUNDS = 100;
const WARN = 13;
const SCOPES = [{ name: 'one' }, { name: 'two' }];

interface Emitted {
  readonly flavor: Flavor;
  /** Undefined if other records were emitted meanwhile, so that the statistics do not show it. */
  fate: 'held' | 'left out' | undefined;
}

/** A processor among receivers in memory. Looks at what has to hold at every moment, and keeps what does not in `violations`. */
export class World {
  readonly clock = new FakeClock();
  readonly processor: FluentForwardLogRecordProcessor;
  readonly violations: string[] = [];
  readonly network: SimulatedNetwork;
  readonly emitted: Emitted[] = [];
  /** The most memory that was used above the limit. */
  overshootBytes = 0;
  readonly #setting: Setting;
  readonly #calls: Promise<void>[] = [];
  readonly #acknowledgedChunks = new Set<string>();
  readonly #resentChunks = new Set<string>();
  readonly #refusedChunks = new Set<string>();
  /** The last record on each connection, by tag and what else keeps its order. */
  readonly #lastOn = new Map<string, number>();
  #pending = pendingResource();
  #reentrantRecords = 0;
  #callbacks = 0;
  #draws = 0;
  #isShutDown = false;

  constructor(network: SimulatedNetwork, setting: Setting) {
    this.network = network;
    this.#setting = setting;
    network.refuses = ({ entries }) => entries.some((entry) => this.#flavorOf(entry.record) === 'poison');
    network.onMessage = (message) => this.#lookAtOrder(message);
    for (const channel of CHANNELS) subscribe(channel, this.#onMessage);
    diag.setLogger(this.#logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
    this.processor = new FluentForwardLogRecordProcessor(this.#options(), {
      clock: this.clock,
      random: () => setting.chances[this.#draws++ % setting.chances.length] as number,
    });
  }

  async run(command: Command): Promise<void> {
    switch (command.kind) {
      case 'emit':
        for (let i = 0; i < command.count; i++) this.emit(command);
        break;
      case 'turn':
        await settle();
        break;
      case 'advance':
        await this.clock.advance(command.millis);
        break;
      case 'receivers':
        this.network.state = command.state;
        break;
      case 'acknowledge':
        for (const connection of this.network.open) connection.acknowledge(command.count);
        break;
      case 'lose':
        this.#lose(command.connection, command.by);
        break;
      case 'resource is complete':
        this.#pending.complete();
        break;
      case 'flush':
        this.#calls.push(this.processor.forceFlush({ timeoutMillis: command.timeoutMillis ?? 25_000 }));
        break;
      case 'shutdown':
        this.#shutDown();
        break;
    }
    this.look(command.kind);
  }

  /** The receivers work from now on. Returns whether every record is settled in the end. */
  async recover(): Promise<boolean> {
    this.network.state = 'acknowledging';
    for (let round = 0; round < MAX_RECOVERY_ROUNDS; round++) {
      // Only acks of later chunks show that a chunk is refused.
      this.emit({ kind: 'emit', count: 1, severityNumber: 21, tag: 'a', bytes: 1, flavor: 'plain' });
      await this.clock.advance(10_000);
      this.look('recovery');
      if (this.processor.stats().held.records === 0) return true;
    }
    return false;
  }

  get isShutDown(): boolean {
    return this.#isShutDown;
  }

  #shutDown(): void {
    this.#isShutDown = true;
    this.#calls.push(this.processor.shutdown());
  }

  /** Shuts down, and waits for all calls. */
  async end(): Promise<void> {
    this.#calls.push(this.processor.shutdown());
    let areSettled = false;
    const settled = Promise.all(this.#calls).then(() => {
      areSettled = true;
    });
    await this.clock.advance(30_000);
    if (!areSettled) this.violations.push('a flush or the shutdown took longer than 30 s');
    else await settled;
    this.network.state = 'down';
    for (const connection of this.network.open) connection.fail('ECONNRESET');
    await this.clock.advance(0);
    this.look('end');
    const { held } = this.processor.stats();
    if (held.records !== 0 || held.bytes !== 0) this.violations.push(`still held: ${JSON.stringify(held)}`);
    if (this.clock.timers !== 0) this.violations.push(`${this.clock.timers} timers are left`);
    this.#compare();
  }

  /** Ends what is left after a violation. */
  async dispose(): Promise<void> {
    this.#reentrantRecords = REENTRANT_RECORDS;
    void this.processor.shutdown();
    await this.clock.advance(60_000);
    diag.disable();
    for (const channel of CHANNELS) unsubscribe(channel, this.#onMessage);
    for (const connection of this.network.open) connection.destroy();
  }

  emit({ severityNumber, tag, bytes, flavor }: Emit): void {
    const id = this.emitted.length;
    const emitted: Emitted = { flavor, fate: undefined };
    this.emitted.push(emitted);
    const wasOpen = !this.#isShutDown;
    const before = this.processor.stats();
    this.#emit(
      flavoredRecord({
        id,
        severityNumber,
        tag,
        bytes,
        flavor,
        scope: this.#scopeOf(id),
        resource: this.#pending.resource,
        logNested: () => this.#logNested(tag),
      }),
    );
    const after = this.processor.stats();
    this.look('emit');
    if (after.emitted !== before.emitted + 1 || wasOpen === this.#isShutDown) return;
    emitted.fate = after.held.records > before.held.records ? 'held' : 'left out';
    this.#lookAtDrop(before, after, flavor === 'unreadable severity' ? undefined : severityNumber);
  }

  #emit(from: ReadableLogRecord): void {
    this.processor.onEmit(from as Parameters<FluentForwardLogRecordProcessor['onEmit']>[0]);
  }

  /** Looks at what has to hold at every moment. */
  look(when: string): void {
    const stats = this.processor.stats();
    const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count);
    const sum = stats.acknowledged.records + stats.filtered + dropped + stats.held.records + stats.spooled.records;
    if (stats.emitted + stats.recovered !== sum) {
      const { emitted, acknowledged, filtered, held } = stats;
      const counts = { emitted, acknowledged: acknowledged.records, filtered, dropped: stats.dropped, held };
      this.violations.push(`identity at ${when}: ${JSON.stringify(counts)}`);
    }
    if (Object.values(stats.dropped).some((count) => count < 0) || stats.held.records < 0 || stats.held.bytes < 0) {
      this.violations.push(`negative at ${when}: ${JSON.stringify({ ...stats.dropped, ...stats.held })}`);
    }
    this.overshootBytes = Math.max(this.overshootBytes, stats.held.bytes - this.#setting.maxInFlightBytes);
  }

  #lookAtDrop(
    before: FluentForwardProcessorStats,
    { dropped }: FluentForwardProcessorStats,
    severityNumber: number | undefined,
  ): void {
    const used = before.held.bytes / this.#setting.maxInFlightBytes;
    const isMemory = dropped.memory > before.dropped.memory;
    const isShed = dropped.shed > before.dropped.shed;
    const isMinor = severityNumber === undefined || severityNumber < WARN;
    const isOpen = !this.#isShutDown;
    // A few records are taken all the same, because their acks can show that others are refused.
    if (isMemory && used < 1) this.violations.push(`dropped for memory at ${used}: ${isMemory}`);
    const mayShed = isOpen && used > 0.75 && used < 1 && isMinor;
    if (isShed && !mayShed) this.violations.push(`shed ${severityNumber} at ${used}: ${isShed}`);
  }

  /** Of what a receiver gets on one connection for the first time, the records of a tag are in their order. */
  #lookAtOrder({ chunk, connection, entries, tag }: ReceivedMessage): void {
    if (this.#resentChunks.has(chunk as string)) return;
    for (const { record: entry } of entries) {
      const id = idIn(entry);
      const flavor = this.#flavorOf(entry);
      // Nested records have chunks of their own.
      if (id === undefined || flavor === undefined) continue;
      const group = this.#setting.layout === 'otlp' ? id % SCOPES.length : 0;
      const key = JSON.stringify([connection, tag, flavor === 'pending', group]);
      const last = this.#lastOn.get(key) ?? -1;
      if (id <= last) this.violations.push(`record ${id} came after ${last} on connection ${connection}`);
      this.#lastOn.set(key, id);
    }
  }

  /** Compares what was received, and acknowledged, with what the statistics say. */
  #compare(): void {
    const contents = new Map<string, (number | undefined)[]>();
    for (const { chunk, entries } of this.network.messages) {
      const ids = entries.filter(({ time }) => time.seconds < GROUP_END).map(({ record: entry }) => idIn(entry));
      contents.set(chunk as string, ids);
    }
    const acknowledged = [...this.#acknowledgedChunks].flatMap((chunk) => contents.get(chunk) ?? []);
    const { records } = this.processor.stats().acknowledged;
    if (records !== acknowledged.length)
      this.violations.push(`${records} counted, ${acknowledged.length} acknowledged`);
    for (const chunk of this.#acknowledgedChunks) {
      if (!this.network.acknowledged.has(chunk)) this.violations.push('a chunk counts that no receiver acknowledged');
    }
    const received = [...contents.values()].flat().filter((id) => id !== undefined);
    const distinct = new Set(received);
    if (distinct.size !== received.length) this.violations.push('a record is in two chunks');
    const delivered = new Set(acknowledged);
    const refused = new Set([...this.#refusedChunks].flatMap((chunk) => contents.get(chunk) ?? []));
    for (const [id, { fate, flavor }] of this.emitted.entries()) {
      if (fate === 'left out' && distinct.has(id)) this.violations.push(`record ${id} was left out and received`);
      const isMissing = fate === 'held' && !delivered.has(id) && !refused.has(id);
      if (isMissing && !this.#isShutDown) this.violations.push(`record ${id} (${flavor}) is lost`);
    }
  }

  #lose(number: number, by: 'reset' | 'close'): void {
    const { open } = this.network;
    const connection = open[number % open.length];
    if (by === 'reset') connection?.fail('ECONNRESET');
    else connection?.finish();
  }

  /** Runs in code that the processor calls. */
  #callback(when: string): void {
    // The constructor of the processor may log.
    if (this.processor === undefined) return;
    this.look(when);
    if (this.#callbacks++ === this.#setting.shutdownAtCallback) this.#shutDown();
    if (!this.#setting.isReentrant || this.#reentrantRecords === REENTRANT_RECORDS) return;
    if (this.#reentrantRecords++ % 5 === 0) this.#calls.push(this.processor.forceFlush());
    this.#emit(record({ body: `from ${when}`, severityNumber: 9 }));
    this.look(`a record emitted at ${when}`);
  }

  readonly #onMessage = (message: unknown, name: string | symbol): void => {
    const { exporter, chunk, code } = message as { exporter: string; chunk?: { id: string }; code?: string };
    if (exporter !== this.processor.name) return;
    switch (name) {
      case 'fluent-forward:chunk:acknowledged':
        this.#acknowledgedChunks.add(chunk?.id as string);
        break;
      case 'fluent-forward:chunk:resent':
        this.#resentChunks.add(chunk?.id as string);
        break;
      case 'fluent-forward:chunk:failed':
        if (code === 'FLUENT_FORWARD_CHUNK_REFUSED') this.#refusedChunks.add(chunk?.id as string);
        break;
    }
    this.#callback(String(name));
  };

  get #logger(): DiagLogger {
    const log = () => this.#callback('a message');
    return { error: log, warn: log, info: log, debug: log, verbose: log };
  }

  #options(): FluentForwardLogRecordProcessorOptions {
    const { connections, layout, maxChunkBytes, maxInFlightBytes, rotationIntervalMillis, tag } = this.#setting;
    const makeTag = ({ attributes }: ReadableLogRecord) => {
      this.#callback('the tag function');
      return String(attributes.tag);
    };
    const makeEntry = (from: ReadableLogRecord, entry: Record<string, unknown>) => {
      this.#callback('the layout function');
      return from.attributes.filtered === true ? undefined : entry;
    };
    return {
      endpoint: 'tcp://fluent',
      resolver: async () => ADDRESSES,
      layout: layout === 'function' ? makeEntry : layout,
      tag: tag === 'function' ? makeTag : TAGS[tag],
      connections,
      maxChunkBytes,
      maxInFlightBytes,
      rotationIntervalMillis,
    };
  }

  #logNested(tag: string): void {
    this.#emit(record({ body: 'nested', severityNumber: 21, attributes: { tag } }));
    this.look('a nested record');
  }

  #scopeOf(id: number): { readonly name: string } {
    return SCOPES[id % SCOPES.length] as { readonly name: string };
  }

  #flavorOf(entry: unknown): Flavor | undefined {
    const id = idIn(entry);
    return id === undefined ? undefined : this.emitted[id]?.flavor;
  }
}

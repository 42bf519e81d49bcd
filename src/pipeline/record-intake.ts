import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { inCleanContext } from '../clean-context.ts';
import type { Flusher } from '../delivery/flush.ts';
import type { KeptChunk, KeptChunks } from '../delivery/kept-chunks.ts';
import type { Sender } from '../delivery/sender.ts';
import type { Chunk } from '../encode/chunk.ts';
import { isBelowWarn } from '../severity.ts';
import type { DropReason, FluentForwardProcessorStats } from '../stats.ts';
import type { LossReport } from '../telemetry/loss-report.ts';
import type { Drops } from './drops.ts';
import type { EndingIntake } from './ending.ts';
import type { Pipeline } from './pipeline.ts';
import type { RecordEncoder } from './record-encoder.ts';

export interface RecordIntakeParts {
  readonly pipeline: Pipeline;
  readonly encoder: RecordEncoder;
  readonly chunks: KeptChunks;
  readonly flusher: Flusher<KeptChunk>;
  readonly sender: Pick<Sender, 'isInDoubt'>;
  readonly drops: Drops;
  readonly losses: LossReport;
}

/** Receivers could refuse one of them too. */
const MAX_PROBES = 4;

/** Takes records one by one. Each is encoded at once, and held until it is acknowledged, or counted as dropped. */
export class RecordIntake implements EndingIntake {
  readonly #parts: RecordIntakeParts;
  /** How often a probe was asked for since this many records were acknowledged. */
  #probes = 0;
  #acknowledgedAtProbe = 0;

  constructor(parts: RecordIntakeParts) {
    this.#parts = parts;
  }

  get pipeline(): Pipeline {
    return this.#parts.pipeline;
  }

  /** Never throws. */
  emit(record: ReadableLogRecord): void {
    const { drops, encoder, pipeline } = this.#parts;
    const { counters } = pipeline;
    const severityNumber = severityOf(record);
    counters.emittedRecords++;
    const reason = this.#refusal(severityNumber);
    if (reason !== undefined) {
      drops.notTaken(reason, severityNumber);
      return;
    }
    counters.heldRecords++;
    let isHeld: boolean;
    try {
      isHeld = encoder.encode(record, severityNumber);
    } catch (error) {
      drops.unencodable(error, severityNumber);
      return;
    }
    if (isHeld) {
      pipeline.handOverAtEnd();
      return;
    }
    counters.heldRecords--;
    counters.filteredRecords++;
  }

  /** Resolves when the records before are settled, or after a time limit, with a warning. Never rejects. */
  flush(maxMillis?: number): Promise<void> {
    return inCleanContext(() => this.#parts.flusher.flush(maxMillis));
  }

  /** Takes no more records, flushes, and closes the connections. What is not acknowledged then is lost. Never rejects. */
  shutdown(): Promise<void> {
    const { counters } = this.pipeline;
    return this.pipeline.shutdown(() => (counters.heldRecords > 0 ? this.#flushAndDrop() : this.#end()));
  }

  left(isOver: boolean): readonly Chunk[] {
    const { chunks, encoder } = this.#parts;
    encoder.sealNow(isOver);
    return [...chunks.inFlight].map(({ carried }) => carried.chunk);
  }

  settle(isAcknowledged: (chunkId: string) => boolean, isOver: boolean): number {
    const { chunks, drops, encoder } = this.#parts;
    return drops.processEnd(chunks, isAcknowledged, isOver ? encoder.nesting : 0);
  }

  stats(): FluentForwardProcessorStats {
    const { counters, memory } = this.pipeline;
    return {
      ...this.pipeline.stats(),
      emitted: counters.emittedRecords,
      recovered: 0,
      filtered: counters.filteredRecords,
      dropped: { ...counters.dropped },
      held: { records: counters.heldRecords, bytes: memory.usedBytes },
      spooled: { records: 0, bytes: 0 },
    };
  }

  /** Why a record is dropped before it is encoded. Undefined if it is not. */
  #refusal(severityNumber: unknown): DropReason | undefined {
    const { isShutDown, memory } = this.pipeline;
    if (isShutDown) return 'shut_down';
    if (!memory.isNear || (!memory.isReached && !isBelowWarn(severityNumber)) || this.#takeProbe()) return undefined;
    return memory.isReached ? 'memory' : 'shed';
  }

  /**
   * Whether to take a record that should be dropped. If receivers refuse all that is held, only the ack of another record
   * can show it. A few records of any severity are taken after each ack.
   */
  #takeProbe(): boolean {
    if (!this.#parts.sender.isInDoubt) return false;
    const { records } = this.pipeline.counters.acknowledged;
    if (records !== this.#acknowledgedAtProbe) {
      this.#acknowledgedAtProbe = records;
      this.#probes = 0;
    }
    return this.#probes++ < MAX_PROBES;
  }

  async #flushAndDrop(): Promise<void> {
    await this.flush();
    this.#end();
  }

  /** Drops what is left, and stops the timers. */
  #end(): undefined {
    const { chunks, drops, encoder, losses } = this.#parts;
    drops.shutDown(chunks, encoder.discard());
    losses.close();
  }
}

function severityOf(record: ReadableLogRecord): unknown {
  try {
    return record.severityNumber;
  } catch {
    return undefined;
  }
}

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { inCleanContext } from '../clean-context.ts';
import type { Flusher } from '../delivery/flush.ts';
import type { KeptChunk, KeptChunks } from '../delivery/kept-chunks.ts';
import type { Sender } from '../delivery/sender.ts';
import { isBelowWarn } from '../severity.ts';
import type { DropReason, FluentForwardProcessorStats } from '../stats.ts';
import type { LossReport } from '../telemetry/loss-report.ts';
import type { Drops } from './drops.ts';
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

/** So many records are taken above the memory bound, because one of them could be refused too. */
const MAX_PROOFS = 4;

/** Takes records one by one. Each is encoded at once, and held until it is acknowledged, or counted as dropped. */
export class RecordIntake {
  readonly #parts: RecordIntakeParts;
  /** Records that were taken above the memory bound since this many records were acknowledged. */
  #proofs = 0;
  #acknowledgedAtProof = 0;

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
      drops.refused(reason, severityNumber);
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
    if (isHeld) return;
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
    if (memory.isReached) return this.#isProof() ? undefined : 'memory';
    return memory.isNear && isBelowWarn(severityNumber) ? 'shed' : undefined;
  }

  /**
   * Whether to take a record although the memory is full. If all that is held is refused, only the ack of another record
   * can prove it. A few are taken after each ack, of any severity, because there may be no others.
   */
  #isProof(): boolean {
    if (!this.#parts.sender.isInDoubt) return false;
    const { records } = this.pipeline.counters.acknowledged;
    if (records !== this.#acknowledgedAtProof) {
      this.#acknowledgedAtProof = records;
      this.#proofs = 0;
    }
    return this.#proofs++ < MAX_PROOFS;
  }

  async #flushAndDrop(): Promise<void> {
    await this.flush();
    const { chunks, drops } = this.#parts;
    for (const kept of [...chunks.inFlight]) {
      drops.chunk('shut_down', 'FLUENT_FORWARD_SHUT_DOWN', kept);
      chunks.giveUp(kept);
    }
    this.#end();
  }

  /** Drops what is in no chunk, and stops the timers. */
  #end(): undefined {
    const { drops, encoder, losses } = this.#parts;
    for (const severities of encoder.discard()) {
      if (severities.total > 0) drops.held('shut_down', severities);
    }
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

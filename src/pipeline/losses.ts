import type { SeverityCounts } from '../severity.ts';
import type { DropReason } from '../stats.ts';

/** Reports records that are lost. */
export interface Losses {
  lostOne(reason: DropReason, severityNumber: unknown, detail?: () => string): void;
  lost(reason: DropReason, records: SeverityCounts, detail?: () => string): void;
  /** Ends the report. */
  close(): void;
}

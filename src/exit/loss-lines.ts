import { writeSync } from 'node:fs';
import { DROP_REASONS } from '../telemetry/drop-reasons.ts';

/** Records of one pipeline that are lost. */
export interface Loss {
  readonly records: number;
  readonly endpoint: string;
  readonly reason: string;
  readonly lastFault: string | undefined;
}

const STANDARD_ERROR = 2;
/** How long to wait for a reader of standard error whose pipe is full. */
const MAX_WRITE_TRIES = 20;
const RETRY_MILLIS = 10;
const MAX_LINES = 2;

/**
 * Reports what is lost with the process. At `exit`, a line on standard error is the only thing that still gets out: process
 * warnings are not printed then, and most loggers write later.
 */
export class LossLines {
  #lines = 0;

  startAgain(): void {
    this.#lines = 0;
  }

  /** Writes one line. After the first one only one more is written: records that come one by one are lost one by one. */
  write(losses: readonly Loss[]): void {
    if (losses.length === 0 || this.#lines === MAX_LINES) return;
    this.#lines++;
    const records = losses.reduce((sum, loss) => sum + loss.records, 0);
    const more = this.#lines === 1 ? '' : ' after these, and later ones are only counted';
    const parts = losses.map((loss) => `${loss.records} for ${loss.endpoint} (${reasonOf(loss)})`);
    const text = `${records} log record(s) were lost when the process ended${more}: ${parts.join(', ')}`;
    writeLine(`opentelemetry-exporter-fluent-forward: ${text}; ${DROP_REASONS.process_end.remedy}\n`);
  }
}

function reasonOf({ reason, lastFault }: Loss): string {
  return lastFault === undefined ? reason : `${reason}; last fault: ${lastFault}`;
}

/** Writes at once, as far as that is possible: standard error can be a full pipe, or closed. */
function writeLine(line: string): void {
  let bytes = Buffer.from(line);
  for (let tries = 0; tries < MAX_WRITE_TRIES && bytes.length > 0; tries++) {
    try {
      bytes = bytes.subarray(writeSync(STANDARD_ERROR, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      sleep(RETRY_MILLIS);
    }
  }
}

function sleep(millis: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, millis);
}

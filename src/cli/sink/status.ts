import { toJson } from '../json.ts';
import { ProgressLine } from '../progress-line.ts';

const SECOND_MILLIS = 1_000;

/** What {@link Status} reports beside records, as JSON or in words. */
export interface Notice {
  readonly event: 'listening' | 'count' | 'client refused' | 'no Forward message' | 'end';
  readonly text: string;
  readonly [detail: string]: unknown;
}

/**
 * Standard error: notices, and the count of each second while records are written to standard output: on a
 * terminal in a line of its own, as JSON where something came.
 */
export class Status {
  readonly #isJson: boolean;
  readonly #line: ProgressLine | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #records = 0;
  #messages = 0;
  #recordsBefore = 0;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
    if (isJson) this.#timer = setInterval(() => this.#tellCounts(), SECOND_MILLIS);
    else this.#line = new ProgressLine(() => this.#counts().text);
  }

  get totals(): { readonly records: number; readonly messages: number } {
    return { records: this.#records, messages: this.#messages };
  }

  /** Counts a message; what is written to standard output next stands above the line. */
  count(records: number): void {
    this.#messages++;
    this.#records += records;
    this.#line?.clear();
  }

  report(notice: Notice): void {
    this.#line?.clear();
    const { text, ...facts } = notice;
    process.stderr.write(`${this.#isJson ? toJson(facts) : text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#line?.end();
  }

  #tellCounts(): void {
    const counts = this.#counts();
    if (counts.perSecond !== 0) this.report(counts);
  }

  /** It is asked for once a second. */
  #counts(): Notice {
    const { records, messages } = this.totals;
    const perSecond = records - this.#recordsBefore;
    this.#recordsBefore = records;
    const text = `${records} records in ${messages} messages, ${perSecond} per second`;
    return { event: 'count', text, records, messages, perSecond };
  }
}

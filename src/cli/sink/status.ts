import { toJson } from '../json.ts';
import { ProgressLine } from '../progress-line.ts';

const SECOND_MILLIS = 1_000;

/** What {@link Status} tells beside records, as JSON or in words. */
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
    else this.#line = new ProgressLine(() => this.#counts());
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

  tell(notice: Notice): void {
    this.#line?.clear();
    const { text, ...facts } = notice;
    process.stderr.write(`${this.#isJson ? toJson(facts) : text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#line?.end();
  }

  #counts(): string {
    return `${this.#records} records in ${this.#messages} messages, ${this.#perSecond()} per second`;
  }

  #tellCounts(): void {
    const perSecond = this.#perSecond();
    if (perSecond === 0) return;
    this.tell({ event: 'count', text: '', records: this.#records, messages: this.#messages, perSecond });
  }

  /** It is asked for once a second. */
  #perSecond(): number {
    const perSecond = this.#records - this.#recordsBefore;
    this.#recordsBefore = this.#records;
    return perSecond;
  }
}

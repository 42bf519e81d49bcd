import { toJson } from '../json.ts';
import { ProgressLine } from '../progress-line.ts';

/** What {@link Status} tells beside records, as JSON or in words. */
export interface Notice {
  readonly event: 'listening' | 'client refused' | 'no Forward message' | 'end';
  readonly text: string;
  readonly [detail: string]: unknown;
}

/** Standard error: notices and, on a terminal, a line that counts while records are written to standard output. */
export class Status {
  readonly #isJson: boolean;
  readonly #line: ProgressLine | undefined;
  #records = 0;
  #messages = 0;
  #recordsBefore = 0;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
    if (!isJson) this.#line = new ProgressLine(() => this.#counts());
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
    this.#line?.end();
  }

  /** It is asked for once a second. */
  #counts(): string {
    const perSecond = this.#records - this.#recordsBefore;
    this.#recordsBefore = this.#records;
    return `${this.#records} records in ${this.#messages} messages, ${perSecond} per second`;
  }
}

import { toJson } from '../json.ts';

/** What {@link Status} tells beside records, as JSON or in words. */
export interface Notice {
  readonly event: 'listening' | 'client refused' | 'no Forward message' | 'end';
  readonly text: string;
  readonly [detail: string]: unknown;
}

const TICK_MILLIS = 1_000;
const CLEAR_LINE = '\r\x1b[K';

/** Standard error: notices and, on a terminal, a line that counts while records are written to standard output. */
export class Status {
  readonly #isJson: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  #isDrawn = false;
  #records = 0;
  #messages = 0;
  #recordsBefore = 0;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
    if (process.stderr.isTTY && !isJson) this.#timer = setInterval(() => this.#tick(), TICK_MILLIS);
  }

  get totals(): { readonly records: number; readonly messages: number } {
    return { records: this.#records, messages: this.#messages };
  }

  /** Counts a message; what is written to standard output next stands above the line. */
  count(records: number): void {
    this.#messages++;
    this.#records += records;
    this.#clear();
  }

  tell(notice: Notice): void {
    this.#clear();
    const { text, ...facts } = notice;
    process.stderr.write(`${this.#isJson ? toJson(facts) : text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#clear();
  }

  #tick(): void {
    const perSecond = ((this.#records - this.#recordsBefore) * 1000) / TICK_MILLIS;
    this.#recordsBefore = this.#records;
    this.#isDrawn = true;
    process.stderr.write(
      `${CLEAR_LINE}${this.#records} records in ${this.#messages} messages, ${perSecond} per second`,
    );
  }

  #clear(): void {
    if (this.#isDrawn) process.stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}

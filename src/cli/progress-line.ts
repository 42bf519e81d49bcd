const TICK_MILLIS = 1_000;
const CLEAR_LINE = '\r\x1b[K';

/** A line that says each second, on a terminal, how far it is: on standard error, where it gives way to what is printed. */
export class ProgressLine {
  readonly #timer: NodeJS.Timeout | undefined;
  #isDrawn = false;

  /** `text` gives the line's text, for the seconds that have passed. */
  constructor(text: (seconds: number) => string) {
    if (!process.stderr.isTTY) return;
    let seconds = 0;
    this.#timer = setInterval(() => {
      seconds += TICK_MILLIS / 1_000;
      this.#isDrawn = true;
      process.stderr.write(`${CLEAR_LINE}${text(seconds)}`);
    }, TICK_MILLIS);
  }

  /** Makes room for something else; the next second draws it again. */
  clear(): void {
    if (this.#isDrawn) process.stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
  }

  end(): void {
    clearInterval(this.#timer);
    this.clear();
  }
}

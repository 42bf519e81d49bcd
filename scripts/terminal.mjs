// How the programs of this repository show what they do.
import { styleText } from 'node:util';
import { DiagLogLevel, diag } from '@opentelemetry/api';

/** The live line at the bottom of a terminal; anywhere else a plain line every second. */
export class Progress {
  #isLive = process.stdout.isTTY === true;
  #text;
  #timer;

  constructor(text) {
    this.#text = text;
    this.#timer = setInterval(() => this.#draw(), this.#isLive ? 100 : 1_000);
  }

  #draw() {
    if (this.#isLive) process.stdout.write(`\r\x1b[K${this.#text().slice(0, (process.stdout.columns || 80) - 1)}`);
    else console.log(this.#text());
  }

  /** Shows a line above. */
  show(line) {
    this.clear();
    console.log(line);
  }

  /** Makes room for a line above. */
  clear() {
    if (this.#isLive) process.stdout.write('\r\x1b[K');
  }

  end() {
    clearInterval(this.#timer);
    this.#draw();
    if (this.#isLive) process.stdout.write('\n');
  }
}

export function paint(format, text, stream = process.stdout) {
  return stream.isTTY && !process.env.NO_COLOR ? styleText(format, text, { stream }) : text;
}

export function number(value) {
  return value.toLocaleString('en-US');
}

/** Prints rows of a label, a number and perhaps a note. */
export function table(rows) {
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, value, note = ''] of rows) {
    const cells = [label.padEnd(width), paint('bold', number(value).padStart(10))];
    if (note !== '') cells.push(paint('dim', note));
    console.log(`  ${cells.join('  ')}`);
  }
}

/** Shows above the progress line what `diag` gets from `level` on, unless OTEL_LOG_LEVEL sets another level. */
export function showTroubles(progress, level = DiagLogLevel.WARN) {
  const show = (name) => (namespace, message) => {
    progress.clear();
    console.error(`  ${name}: ${message ?? namespace}`);
  };
  const logger = {
    error: show('error'),
    warn: show('warn'),
    info: show('info'),
    debug: show('debug'),
    verbose: show('verbose'),
  };
  diag.setLogger(logger, DiagLogLevel[process.env.OTEL_LOG_LEVEL?.toUpperCase()] ?? level);
}

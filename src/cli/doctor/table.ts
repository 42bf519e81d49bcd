import { escapeControls } from '../../printable.ts';
import type { Format, Paint } from '../paint.ts';
import type { Finding } from './finding.ts';

const SIGN: Readonly<Record<Finding['outcome'], { readonly sign: string; readonly format: Format }>> = {
  passed: { sign: '✓', format: 'green' },
  failed: { sign: '✗', format: 'red' },
  noted: { sign: 'ℹ', format: 'blue' },
};
const CHECK_WIDTH = 'configuration'.length;
const MILLIS_WIDTH = '25000 ms'.length;

/** Writes findings as they come: a heading for each subject, a line for each check, and below it what to do. */
export class Table {
  readonly #paint: Paint;
  #subject: string | undefined;

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  rows({ subject, check, outcome, millis, text, remedy }: Finding): string {
    const { sign, format } = SIGN[outcome];
    const time = millis === undefined ? '' : `${Math.round(millis)} ms`;
    const row = `  ${this.#paint(format, sign)} ${check.padEnd(CHECK_WIDTH)} ${time.padStart(MILLIS_WIDTH)}  ${escapeControls(text)}`;
    const rows = [row.trimEnd()];
    if (subject !== this.#subject) rows.unshift(this.#paint('bold', escapeControls(subject)));
    if (remedy !== undefined) rows.push(`    ${this.#paint('bold', `→ ${remedy}`)}`);
    this.#subject = subject;
    return `${rows.join('\n')}\n`;
  }
}

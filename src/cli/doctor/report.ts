import type { Config } from '../../config/config.ts';
import { urlsOf } from '../../config/endpoint.ts';
import { toJson } from '../json.ts';
import { paintFor } from '../paint.ts';
import { ProgressLine } from '../progress-line.ts';
import type { Finding } from './finding.ts';
import { Table } from './table.ts';
import { TEST_ATTRIBUTE, type TestRecords } from './test-record.ts';

/** Where findings go as they come, and the verdict after them. */
export interface Report {
  add(finding: Finding): void;
  end(works: boolean): void;
}

/** A table on standard output that grows. */
export class TableReport implements Report {
  readonly #paint = paintFor(process.stdout);
  readonly #table = new Table(this.#paint);
  readonly #line: ProgressLine;

  constructor({ endpoint }: Config, { run }: TestRecords) {
    this.#line = new ProgressLine((seconds) => `  … checking, ${seconds} s; what gets no answer takes its time limit`);
    process.stdout.write(
      `Sending test records with the attribute ${TEST_ATTRIBUTE}: ${run} to ${urlsOf(endpoint)}\n\n`,
    );
  }

  add(finding: Finding): void {
    this.#line.clear();
    process.stdout.write(this.#table.rows(finding));
  }

  end(works: boolean): void {
    this.#line.end();
    const verdict = works ? this.#paint('green', 'Exporting works.') : this.#paint('red', 'Exporting would not work.');
    process.stdout.write(`\n${verdict}\n`);
  }
}

/** One object on standard output, at the end. */
export class JsonReport implements Report {
  readonly #head: object;
  readonly #findings: Finding[] = [];

  constructor({ endpoint }: Config, { run }: TestRecords) {
    this.#head = { endpoint: urlsOf(endpoint), run };
  }

  add(finding: Finding): void {
    this.#findings.push(finding);
  }

  end(works: boolean): void {
    process.stdout.write(`${toJson({ works, ...this.#head, findings: this.#findings }, 2)}\n`);
  }
}

import { expect } from 'vitest';
import { runCli, VARIABLE_PREFIX } from './run-cli.ts';

export interface Finding {
  readonly subject: string;
  readonly check: string;
  readonly outcome: string;
  readonly millis?: number;
  readonly text: string;
  readonly code?: string;
  readonly remedy?: string;
}

export interface Report {
  readonly works: boolean;
  readonly endpoint: string;
  readonly run: string;
  readonly findings: readonly Finding[];
}

/**
 * Time limits for a chunk that is never acknowledged: TIMEOUT has room for three ack timeouts, after which the chunk
 * counts as refused. All other chunks have to be acknowledged within ACK_TIMEOUT, also on a busy machine.
 */
export const REFUSAL_LIMITS = { ACK_TIMEOUT: '4000', TIMEOUT: '16000' };

/** Runs `fluent-forward doctor --json` with these variables, whose names lack their prefix, and returns its report. */
export async function runDoctor(endpoint: string, variables: Readonly<Record<string, string>> = {}) {
  const env = Object.fromEntries(Object.entries(variables).map(([name, value]) => [VARIABLE_PREFIX + name, value]));
  const { code, stdout, stderr, millis } = await runCli(['doctor', '--json', '--endpoint', endpoint], { env });
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Report;
  expect(code).toBe(report.works ? 0 : 1);
  return { ...report, stdout, millis };
}

export function outcomesOf({ findings }: Report): string[] {
  return findings.map(({ check, outcome }) => `${check} ${outcome}`);
}

export function textOf({ findings }: Report, check: string): string {
  return findings.find((finding) => finding.check === check)?.text ?? '';
}

/** The only finding that has failed. */
export function failureOf(report: Report): Finding {
  const failures = report.findings.filter(({ outcome }) => outcome === 'failed');
  expect(failures, JSON.stringify(report)).toHaveLength(1);
  return failures[0] as Finding;
}

/** The outcomes after the connection is open, when everything works. */
export const WORKING = [
  'ack passed',
  'record passed',
  'rotation passed',
  'large chunk passed',
  'gzip noted',
  'zstd noted',
  'otlp layout noted',
];

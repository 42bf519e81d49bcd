import { expect } from 'vitest';
import { runCli } from './run-cli.ts';

export const VARIABLE = 'OTEL_EXPORTER_FLUENT_FORWARD_';

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

/** For a chunk that three connections are to fail by; not so short that a busy machine fails by it too. */
export const REFUSAL = { ACK_TIMEOUT: '1000', TIMEOUT: '6000' };

/** Runs it with these variables, and gives what it has found. */
export async function doctor(endpoint: string, variables: Readonly<Record<string, string>> = {}) {
  const env = Object.fromEntries(Object.entries(variables).map(([name, value]) => [VARIABLE + name, value]));
  const { code, stdout, stderr, millis } = await runCli(['doctor', '--json', '--endpoint', endpoint], { env });
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Report;
  expect(code).toBe(report.works ? 0 : 1);
  return { ...report, stdout, millis };
}

export function outcomes({ findings }: Report): string[] {
  return findings.map(({ check, outcome }) => `${check} ${outcome}`);
}

export function textOf({ findings }: Report, check: string): string {
  return findings.find((finding) => finding.check === check)?.text ?? '';
}

export function failureOf(report: Report): Finding {
  const failures = report.findings.filter(({ outcome }) => outcome === 'failed');
  expect(failures, JSON.stringify(report)).toHaveLength(1);
  return failures[0] as Finding;
}

/** What is told of a connection that is open, and of the exporter. */
export const WORKING = [
  'ack passed',
  'record passed',
  'rotation passed',
  'large chunk passed',
  'gzip noted',
  'zstd noted',
  'otlp layout noted',
];

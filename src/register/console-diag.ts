import { type DiagAPI, DiagConsoleLogger, DiagLogLevel } from '@opentelemetry/api';
import { hasDiagLogger } from '../api-globals.ts';
import type { Variables } from './variables.ts';

const LEVELS = ['NONE', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'VERBOSE', 'ALL'] as const;
type Level = (typeof LEVELS)[number];

/** Lets `diag` of the application's API write to the console, from `OTEL_LOG_LEVEL` on, unless it has a logger already. */
export function setConsoleDiag(variables: Variables, diag: DiagAPI): void {
  const parse = (text: string) => LEVELS.find((level) => level === text.toUpperCase());
  const level = variables.parsed<Level>('OTEL_LOG_LEVEL', LEVELS.join(', '), parse, 'WARN');
  if (!hasDiagLogger()) diag.setLogger(new DiagConsoleLogger(), DiagLogLevel[level]);
}

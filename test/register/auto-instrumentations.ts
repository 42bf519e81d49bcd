import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from '../package/toolbox.ts';
import type { Line } from './application.ts';

/** The lines with auto-instrumentations, loggers and their bridges: too much for everybody's `npm ci`. */
export const INSTRUMENTED_LINES: readonly Line[] = [
  { name: 'SDK 3.x', home: 'test/auto-instrumentations/sdk-3', api: '@opentelemetry/api' },
  { name: 'SDK 0.223', home: 'test/auto-instrumentations/sdk-0.223', api: '@opentelemetry/api-logs' },
];

export const INSTRUMENTED_PACKAGES = [
  '@msgpack/msgpack',
  '@opentelemetry/api',
  '@opentelemetry/api-logs',
  '@opentelemetry/auto-instrumentations-node',
  '@opentelemetry/instrumentation',
  '@opentelemetry/instrumentation-pino',
  '@opentelemetry/instrumentation-winston',
  '@opentelemetry/sdk-logs',
  '@opentelemetry/winston-transport',
  'pino',
  'winston',
];

/** Installs what the lock file of a line says, unless it is there. Needs the registry. */
export async function installInstrumented({ home }: Line): Promise<void> {
  const directory = join(root, home);
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(directory, 'package-lock.json')).mtimeMs) {
    return;
  }
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const { code, output } = await run('npm', args, directory);
  if (code !== 0) throw new Error(`npm ci in ${home}:\n${output}`);
}

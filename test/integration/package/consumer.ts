import { readdirSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, sep } from 'node:path';

export const NAME = 'opentelemetry-exporter-fluent-forward';

/** Programs of a user of the package. `logs` stands for what the SDK's log classes come from. */
export interface Programs {
  readonly esm: string;
  readonly cjs: string;
  readonly typescript: string;
}

const JAVASCRIPT = `
async function main() {
  const receiver = await ForwardReceiver.listen();
  const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint });
  const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger('consumer', '1.2.3');
  for (let n = 0; n < 3; n++) {
    logger.emit({ severityNumber: 9, severityText: 'INFO', body: 'record ' + n, attributes: { n } });
  }
  await provider.shutdown();
  await receiver.close();
  console.log(JSON.stringify({ node: process.versions.node, entries: receiver.entries }));
}
main();
`;

const TYPESCRIPT = `
const options: FluentForwardLogExporterOptions = {
  endpoint: 'tcp://localhost:24224',
  resolver: async ({ host, port }) => [{ address: host, port }],
  tag: ({ severityText = 'none' }) => 'app.' + severityText,
  layout: ({ body }, entry) => (body === undefined ? undefined : { ...entry, text: String(body) }),
};
const exporter: LogRecordExporter = new FluentForwardLogExporter(options);
new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
exporter.export([], ({ error }) => {
  if (!(error instanceof FluentForwardExportError)) return;
  const lost: number = error.records - error.acknowledgedRecords;
  const code: 'FLUENT_FORWARD_TIMEOUT' | string = error.code;
  return { lost, code };
});
export async function receive(): Promise<ReceivedEntry[]> {
  const receiver = await ForwardReceiver.listen({ messageFaults: [{ kind: 'withhold' }] });
  receiver.on('message', ({ entries }) => entries.length);
  return receiver.waitForEntries(1);
}
// @ts-expect-error the types are real ones
new FluentForwardLogExporter({ endpoint: 5 });
// @ts-expect-error
new FluentForwardLogExporter().shutdown().foo;
`;

const TYPESCRIPT_IMPORTS = `
import { FluentForwardExportError, FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '${NAME}';
import { ForwardReceiver, type ReceivedEntry } from '${NAME}/testing';
`;

/** Beside `@opentelemetry/sdk-logs`. */
export const WITH_SDK_LOGS: Programs = {
  esm: `
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter } from '${NAME}';
import { ForwardReceiver } from '${NAME}/testing';
${JAVASCRIPT}`,
  cjs: `
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const { FluentForwardLogExporter } = require('${NAME}');
const { ForwardReceiver } = require('${NAME}/testing');
${JAVASCRIPT}`,
  typescript: `
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs';
${TYPESCRIPT_IMPORTS}${TYPESCRIPT}`,
};

/** Beside `@opentelemetry/sdk-node`, which alone brings the log classes: with pnpm nothing else can be imported. */
export const WITH_SDK_NODE: Programs = {
  esm: `
import { logs } from '@opentelemetry/sdk-node';
import { FluentForwardLogExporter } from '${NAME}';
import { ForwardReceiver } from '${NAME}/testing';
const { BatchLogRecordProcessor, LoggerProvider } = logs;
${JAVASCRIPT}`,
  cjs: `
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-node').logs;
const { FluentForwardLogExporter } = require('${NAME}');
const { ForwardReceiver } = require('${NAME}/testing');
${JAVASCRIPT}`,
  typescript: `
import { logs } from '@opentelemetry/sdk-node';
${TYPESCRIPT_IMPORTS}
const { BatchLogRecordProcessor, LoggerProvider } = logs;
type LogRecordExporter = logs.LogRecordExporter;
${TYPESCRIPT}`,
};

/** Where copies of a package lie in a project, pnpm's store included. */
export function copiesOf(name: string, project: string): string[] {
  const suffix = join('node_modules', ...name.split('/'));
  return readdirSync(join(project, 'node_modules'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory() && join(entry.parentPath, entry.name).endsWith(`${sep}${suffix}`))
    .map((entry) => relative(project, realpathSync(join(entry.parentPath, entry.name))));
}

/** The copy of a package that another one gets when it imports it; `via` leads there from the project. */
export function resolvedBy(name: string, project: string, ...via: string[]): string {
  let from = join(project, 'index.js');
  for (const step of [...via, name]) from = realpathSync(createRequire(from).resolve(step));
  return relative(project, from);
}

/** The files of the installed package, with their sizes, but for the command that pnpm links into it. */
export function installedFiles(project: string): { path: string; size: number }[] {
  const directory = realpathSync(join(project, 'node_modules', NAME));
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path !== join('node_modules', '.bin', 'fluent-forward'))
    .map((path) => ({ path: path.replaceAll(sep, '/'), stats: statSync(join(directory, path)) }))
    .filter(({ stats }) => stats.isFile())
    .map(({ path, stats }) => ({ path, size: stats.size }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { diag } from '@opentelemetry/api';
import * as resources from '@opentelemetry/resources';
import { describe, expect, it } from 'vitest';
import {
  type ExporterConfig,
  type ProcessorConfig,
  resolveExporterConfig,
  resolveProcessorConfig,
} from '../src/config/config.ts';
import type { Environment } from '../src/config/env.ts';
import { FluentForwardLogExporter } from '../src/index.ts';
import { readActivation } from '../src/register/activation.ts';
import { setConsoleDiag } from '../src/register/console-diag.ts';
import { readDetectors } from '../src/register/detectors.ts';
import { describeIgnored, readProcessorOptions } from '../src/register/processor-options.ts';
import { readRecordLimits } from '../src/register/record-limits.ts';
import { readResourceAttributes } from '../src/register/resource-attributes.ts';
import { Variables } from '../src/register/variables.ts';
import { ForwardReceiver } from '../src/testing/index.ts';
import { LONG_LIMIT_VARIABLES, LONG_LIMITS } from './support/long-limits.ts';
import { SDK_LINE_OPTIONS } from './support/sdk-line.ts';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const readme = read('README.md');

/** Values that are no default; a number has its own plus one. */
const OTHER_VALUES: { readonly [option in keyof ExporterConfig | keyof ProcessorConfig]?: unknown } = {
  endpoint: 'tcp://other:1',
  tag: 'other',
  sharedKey: 'other',
  username: 'other',
  password: 'other',
  hostname: 'other',
  layout: 'flat',
  resourceAttributes: false,
  recordUid: true,
  eventNameAttribute: true,
  flushAtExit: false,
  compression: 'gzip',
};

/** The code block behind a `<!-- name -->` comment. */
function block(name: string): string {
  const match = new RegExp(`<!-- ${name} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(readme);
  if (match?.[1] === undefined) throw new Error(`README.md has no block ${name}`);
  return match[1];
}

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

/** Runs code as a module beside README.md. */
function evaluate(code: string): Promise<{ stdout: string }> {
  return promisify(execFile)(process.execPath, [...SDK_LINE_OPTIONS, '--input-type=module', '--eval', code], {
    cwd: root,
    env: { ...process.env, ...LONG_LIMIT_VARIABLES },
  });
}

describe('README.md', () => {
  it('README.md shows the quickstart as the example has it', () => {
    expect(block('examples/quickstart/quickstart.mjs')).toBe(read('examples/quickstart/quickstart.mjs'));
  });

  it.each([
    ['record', 'default'],
    ['flat', 'flat'],
  ] as const)('README.md shows the entry of a record as the exporter sends it: %s', async (name, layout) => {
    const receiver = await ForwardReceiver.listen();
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, endpoint: receiver.endpoint, layout });
    const record = {
      hrTime: [1_700_000_000, 123_456_789],
      hrTimeObserved: [1_700_000_000, 223_456_789],
      body: 'payment declined',
      severityText: 'WARN',
      severityNumber: 13,
      eventName: 'payment.declined',
      spanContext: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 },
      attributes: { 'order.id': 4711, items: ['a', 'b'] },
      resource: { attributes: { 'service.name': 'shop' } },
      instrumentationScope: { name: 'checkout', version: '1.4.0' },
      droppedAttributesCount: 1,
    };
    await new Promise((done) => exporter.export([record] as never, done));
    await exporter.shutdown();
    await receiver.close();
    expect(JSON.stringify(receiver.entries[0]?.record)).toBe(JSON.stringify(JSON.parse(block(name))));
  });

  it.each(['receiver', 'stats', 'channels'])(
    'README.md shows code whose output is what its comments say: %s',
    async (name) => {
      const code = block(name);
      const { stdout } = await evaluate(code);
      expect(code).toContain(stdout.replaceAll(/^(?=.)/gm, '// '));
    },
  );

  it('README.md shows code that exposes the metrics to Prometheus', async () => {
    // The code gets a free port in place of the default one, and only when it is about to listen.
    const code = block('metrics').replace('PrometheusExporter()', 'PrometheusExporter({ port })');
    const { stdout } = await evaluate(`
      import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';
      const receiver = await ForwardReceiver.listen();
      const { port } = receiver;
      await receiver.close();
      ${code}
      const response = await fetch('http://localhost:' + port + '/metrics');
      console.log(await response.text());
      await processor.shutdown();
      await selfObsMeterProvider.shutdown();`);
    expect(stdout).toMatch(/^otel_sdk_exporter_log_inflight\{.*server_port="24224".*\} 0$/m);
  });

  it('README.md shows a layout function that leaves records out and adds a field', async () => {
    const receiver = await ForwardReceiver.listen();
    const code = block('layout function').replace('({', `({ endpoint: '${receiver.endpoint}',`);
    await evaluate(`import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
      const exporter = ${code}
      const records = [5, 9].map((severityNumber) => ({ hrTime: [1_700_000_000, 0], severityNumber }));
      await new Promise((done) => exporter.export(records, done));
      await exporter.shutdown();`);
    await receiver.close();
    expect(receiver.entries.map(({ record }) => record)).toEqual([{ severity_number: 9, app: 'shop' }]);
  });

  it('README.md lists every option with its variable and its default', () => {
    const rows = [
      ...readme.matchAll(/^\| `(\w+)` \| (?:`([A-Z_]+)`)? ?\| (?:`([^`]+)`|DNS|none|Node\.js's roots)? ?\|/gm),
    ];
    const options = { ...resolveExporterConfig({}, {}, fail), ...resolveProcessorConfig({}, {}, fail) };
    expect(rows.map(([, option]) => option).sort()).toEqual(Object.keys(options).sort());
    for (const [, option, variable, shown] of rows as unknown as [string, keyof typeof options, string?, string?][]) {
      if (option === 'tls') continue;
      const resolve = (
        given: object,
        environment: Environment,
        warn: (message: string) => void,
      ): Partial<typeof options> =>
        option === 'timeoutMillis'
          ? resolveExporterConfig(given, environment, warn)
          : resolveProcessorConfig(given, environment, warn);
      const defaults = resolve({}, {}, fail);
      const value = defaults[option];
      expect(shown === undefined).toBe(value === undefined);
      // One default is described, because it is another for each process.
      if (shown !== undefined && !shown.startsWith('<')) {
        const parsed = typeof value === 'string' || option === 'endpoint' ? shown : JSON.parse(shown);
        expect(resolve({ [option]: parsed }, {}, fail)).toEqual(defaults);
      }
      expect(variable === undefined).toBe(['resolver', 'fields', 'selfObsMeterProvider'].includes(option));
      if (variable === undefined) continue;
      // The variable means this option, and no other.
      const other = OTHER_VALUES[option] ?? (value as number) + 1;
      const name = `OTEL_EXPORTER_FLUENT_FORWARD_${variable}`;
      const environment = { [name]: String(other) };
      if (option === 'sharedKey' || option === 'password') {
        // It shows nothing but where it is from.
        expect(resolve({}, environment, () => {})[option]).toMatchObject({ origin: name });
        continue;
      }
      expect(resolve({}, environment, () => {})).toEqual(resolve({ [option]: other }, {}, () => {}));
      expect(resolve({}, environment, () => {})).not.toEqual(defaults);
    }
  });

  it('README.md lists every variable that register reads', () => {
    const names = new Set<string>();
    const environment = new Proxy({}, { get: (_, name) => void names.add(String(name)) });
    const variables = new Variables(environment, fail);
    for (const read of [
      readActivation,
      readProcessorOptions,
      describeIgnored,
      readRecordLimits,
      readResourceAttributes,
      (given: Variables) => readDetectors(given, resources),
      (given: Variables) => setConsoleDiag(given, diag),
    ]) {
      read(variables);
    }
    diag.disable();
    expect(names.size).toBeGreaterThan(10);
    expect([...names].filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  it('README.md links only to headings that it has', () => {
    const headings = [...readme.matchAll(/^##+ (.+)$/gm)].map(([, heading]) => anchorOf(heading as string));
    const linked = [...readme.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor as string);
    expect(linked.length).toBeGreaterThan(10);
    expect(linked.filter((anchor) => !headings.includes(anchor))).toEqual([]);
  });

  it('README.md lists every error code and every marker in a value', () => {
    for (const [, code] of read('src/errors.ts').matchAll(/\| '(FLUENT_FORWARD_\w+)'/g)) {
      expect(readme).toContain(
        (code as string).replace(/^FLUENT_FORWARD_(?=CONNECT|CREDENTIALS|TLS|AUTH|SERVER|ACK|NOT|BAD|CLOSED)/, ''),
      );
    }
    for (const [, marker] of read('src/encode/value.ts').matchAll(/string\('(\[[A-Z][a-z ]+\])'\)/g)) {
      expect(readme).toContain(marker);
    }
  });
});

describe('the commands of the repository', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

  it.each(['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', 'bench/README.md', 'scripts/proof.mjs', '.ci/run'])(
    'a document names only npm scripts that exist: %s',
    (path) => {
      const named = [...read(path).matchAll(/\bnpm run (?:--silent )?([a-z][a-z:]*)/g)].map(
        ([, name]) => name as string,
      );
      expect(named.filter((name) => !(name in scripts))).toEqual([]);
    },
  );

  it('CONTRIBUTING.md says of every test, proof and benchmark what it needs and how long it takes', () => {
    const rows = [...read('CONTRIBUTING.md').matchAll(/^\| `npm (?:run )?([a-z:]+)` \| .+ \| .+ \| .*\d.* \|$/gm)];
    const listed = rows.map(([, name]) => name as string);
    const wanted = Object.keys(scripts).filter((name) => !['build', 'lint', 'prepack'].includes(name));
    expect(listed).toEqual(expect.arrayContaining(wanted));
  });
});

function fail(message: string): never {
  throw new Error(message);
}

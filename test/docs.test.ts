import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { diag } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { type Config, resolveConfig } from '../src/config/config.ts';
import { FluentForwardLogExporter } from '../src/index.ts';
import { readActivation } from '../src/register/activation.ts';
import { setConsoleDiag } from '../src/register/console-diag.ts';
import { readProcessorOptions } from '../src/register/processor-options.ts';
import { readRecordLimits } from '../src/register/record-limits.ts';
import { readResourceAttributes } from '../src/register/resource-attributes.ts';
import { Variables } from '../src/register/variables.ts';
import { ForwardReceiver } from '../src/testing/index.ts';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const readme = read('README.md');

/** Values that are no default; a number has its own plus one. */
const OTHER_VALUES: { readonly [option in keyof Config]?: unknown } = {
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
  compression: 'gzip',
};

/** The code block behind a `<!-- name -->` comment. */
function block(name: string): string {
  const match = new RegExp(`<!-- ${name} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(readme);
  if (match?.[1] === undefined) throw new Error(`README.md has no block ${name}`);
  return match[1];
}

/** Runs code as a module beside README.md. */
function evaluate(code: string): Promise<{ stdout: string }> {
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], { cwd: root });
}

describe('README.md', () => {
  it('shows the quickstart as it is', () => {
    expect(block('examples/quickstart/quickstart.mjs')).toBe(read('examples/quickstart/quickstart.mjs'));
  });

  it.each([
    ['record', 'default'],
    ['flat', 'flat'],
  ] as const)('shows what a record becomes: %s', async (name, layout) => {
    const receiver = await ForwardReceiver.listen();
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint, layout });
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

  it.each(['receiver', 'stats', 'channels'])('shows code that works: %s', async (name) => {
    const code = block(name);
    const { stdout } = await evaluate(code);
    expect(code).toContain(stdout.replaceAll(/^(?=.)/gm, '// '));
  });

  it('shows how metrics get to Prometheus', async () => {
    const receiver = await ForwardReceiver.listen();
    const { port } = receiver;
    await receiver.close();
    // On a port that is free here.
    const code = block('metrics').replace('PrometheusExporter()', `PrometheusExporter({ port: ${port} })`);
    const { stdout } = await evaluate(`${code}
      const response = await fetch('http://localhost:${port}/metrics');
      console.log(await response.text());
      await exporter.shutdown();
      await selfObsMeterProvider.shutdown();`);
    expect(stdout).toMatch(/^otel_sdk_exporter_log_inflight\{.*server_port="24224".*\} 0$/m);
  });

  it('shows a layout function that leaves records out and adds a field', async () => {
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

  it('lists every option with its variable and default', () => {
    const rows = [
      ...readme.matchAll(/^\| `(\w+)` \| (?:`([A-Z_]+)`)? ?\| (?:`([^`]+)`|DNS|none|Node\.js's roots)? ?\|/gm),
    ];
    const defaults = resolveConfig({}, {}, fail);
    expect(rows.map(([, option]) => option)).toEqual(Object.keys(defaults));
    for (const [, option, variable, shown] of rows as unknown as [string, keyof Config, string?, string?][]) {
      if (option === 'tls') continue;
      const value = defaults[option];
      expect(shown === undefined).toBe(value === undefined);
      // One default is described, because it is another for each process.
      if (shown !== undefined && !shown.startsWith('<')) {
        const parsed = typeof value === 'string' || option === 'endpoint' ? shown : JSON.parse(shown);
        expect(resolveConfig({ [option]: parsed }, {}, fail)).toEqual(defaults);
      }
      expect(variable === undefined).toBe(['resolver', 'fields', 'selfObsMeterProvider'].includes(option));
      if (variable === undefined) continue;
      // The variable means this option, and no other.
      const other = OTHER_VALUES[option] ?? (value as number) + 1;
      const name = `OTEL_EXPORTER_FLUENT_FORWARD_${variable}`;
      const environment = { [name]: String(other) };
      if (option === 'sharedKey' || option === 'password') {
        // It shows nothing but where it is from.
        expect(resolveConfig({}, environment, () => {})[option]).toMatchObject({ origin: name });
        continue;
      }
      expect(resolveConfig({}, environment, () => {})).toEqual(resolveConfig({ [option]: other }, {}, () => {}));
      expect(resolveConfig({}, environment, () => {})).not.toEqual(defaults);
    }
  });

  it('lists every variable that the set-up without code reads', () => {
    const names = new Set<string>();
    const environment = new Proxy({}, { get: (_, name) => void names.add(String(name)) });
    const variables = new Variables(environment, fail);
    for (const read of [
      readActivation,
      readProcessorOptions,
      readRecordLimits,
      readResourceAttributes,
      setConsoleDiag,
    ]) {
      read(variables);
    }
    diag.disable();
    expect(names.size).toBeGreaterThan(10);
    expect([...names].filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  it('lists every code of an error and every marker in a value', () => {
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

function fail(message: string): never {
  throw new Error(message);
}

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { parser } from '@prometheus-io/lezer-promql';
import { beforeAll, describe, expect, it } from 'vitest';
import { FluentForwardLogExporter } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { exportBodies } from '../support/harness.ts';
import { HeldAck } from '../support/held-ack.ts';
import { DEAD_ENDPOINT } from './run-example.ts';

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
}

/** What Prometheus itself adds to a sample. */
const OF_THE_SCRAPE = ['instance', 'job'];
const path = new URL('../../examples/grafana/dashboard.json', import.meta.url);
const dashboard = JSON.parse(readFileSync(path, 'utf8')) as Dashboard;
/** The values of the labels of each sample, by its name. */
const exposed = new Map<string, Map<string, Set<string>>>();

beforeAll(async () => {
  const prometheus = new PrometheusExporter({ preventServerStart: true });
  const provider = new MeterProvider({ readers: [prometheus] });
  const server = createServer((request, response) => prometheus.getMetricsRequestHandler(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await withEveryMetric(provider, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    readSamples(await response.text());
  });
  server.close();
  await provider.shutdown();
});

/** Has records rotate, resent, lost, too large and left out, and dials fail. */
async function withEveryMetric(selfObsMeterProvider: MeterProvider, use: () => Promise<void>): Promise<void> {
  const receiver = await ForwardReceiver.listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
  const exporter = new FluentForwardLogExporter({
    endpoint: receiver.endpoint,
    rotationIntervalMillis: 300,
    ackTimeoutMillis: 20_000,
    selfObsMeterProvider,
    layout: ({ body }, entry) => (body === 'filtered' ? undefined : entry),
  });
  const lost = new FluentForwardLogExporter({
    endpoint: DEAD_ENDPOINT,
    timeoutMillis: 1_000,
    selfObsMeterProvider,
  });
  const oversize = Array.from({ length: 30 }, () => 'x'.repeat(262_000));
  await exportBodies(lost, 'lost');
  await exportBodies(exporter, 'first', 'filtered', oversize);
  await exportBodies(exporter, 'resent');
  while (exporter.stats().rotations === 0) await exportBodies(exporter, 'until a rotation');
  // A connection with nothing in flight would be closed after two rotation intervals.
  const ack = new HeldAck();
  receiver.messageFaults = [ack.fault];
  const { messageCount } = receiver;
  const held = exportBodies(exporter, 'held');
  await until(() => receiver.messageCount > messageCount);
  await use();
  ack.release();
  await held;
  await Promise.all([exporter.shutdown(), lost.shutdown()]);
  await receiver.close();
}

function readSamples(text: string): void {
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = exposed.get(name) ?? new Map<string, Set<string>>();
    exposed.set(name, known);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }
}

/** A metric's use in an expression: the labels that it has to have, and the values that are asked for. */
interface Use {
  readonly metrics: readonly string[];
  readonly labels: readonly string[];
  readonly matches: readonly (readonly [label: string, value: string])[];
}

/** What Grafana puts in the place of variables does not matter here. */
function useOf(expression: string): Use {
  const text = expression.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, 'variable');
  const use = { metrics: [] as string[], labels: [] as string[], matches: [] as [string, string][] };
  parser.parse(text).iterate({
    enter: ({ type, node, from, to }) => {
      if (type.isError) throw new Error(`no PromQL at character ${from} of ${text}`);
      const words = text.slice(from, to);
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') use.metrics.push(words);
      if (type.name === 'LabelName') use.labels.push(words);
      const match = /^(\w+)="(.+)"$/.exec(type.name === 'UnquotedLabelMatcher' ? words : '');
      if (match !== null) use.matches.push([match[1] as string, match[2] as string]);
    },
  });
  return use;
}

function expectExposed({ metrics, labels, matches }: Use): void {
  expect(metrics).not.toEqual([]);
  for (const metric of metrics) {
    const known = exposed.get(metric);
    expect([...exposed.keys()]).toContain(metric);
    for (const label of labels) {
      if (!OF_THE_SCRAPE.includes(label)) expect([metric, ...(known?.keys() ?? [])]).toContain(label);
    }
    for (const [label, value] of matches) expect([...(known?.get(label) ?? [])]).toContain(value);
  }
}

const panels = dashboard.panels.map((panel) => [panel.title, panel] as const);

describe('examples/grafana/dashboard.json', () => {
  it.each(panels)('a panel of the dashboard shows metrics that the exporter exposes: %s', (_, { targets }) => {
    for (const { expr, legendFormat } of targets) {
      const use = useOf(expr);
      expectExposed(use);
      // A legend can only name what the expression keeps.
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(use.labels).toContain(label);
    }
  });

  it('the variables of the dashboard are labels that the exporter exposes, and all are defined', () => {
    const queries = dashboard.templating.list.flatMap(({ query }) => /^label_values\((.+), (\w+)\)$/.exec(query) ?? []);
    expect(queries).toHaveLength(2 * 3);
    for (let i = 0; i < queries.length; i += 3) {
      const use = useOf(queries[i + 1] as string);
      expectExposed({ ...use, labels: [...use.labels, queries[i + 2] as string] });
    }
    const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join();
    const used = new Set(expressions.match(/(?<=\$)\w+/g));
    expect([...used].sort()).toEqual(['__rate_interval', 'exporter', 'instance']);
  });

  it('the dashboard shows every metric of the exporter', () => {
    const used = new Set(dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => useOf(expr).metrics)));
    const families = new Set([...used].map(familyOf));
    const own = [...exposed.keys()].filter((name) => name !== 'target_info').map(familyOf);
    expect([...families].sort()).toEqual([...new Set(own)].sort());
  });
});

function familyOf(sample: string): string {
  return sample.replace(/(?<=_duration)_(bucket|count|sum)$/, '');
}

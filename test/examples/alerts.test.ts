import { readFileSync } from 'node:fs';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FAULTS } from '../../src/connection/faults.ts';
import { FluentForwardLogRecordProcessor } from '../../src/index.ts';
import { scrapeEveryMetric } from './every-metric.ts';
import { expectExposed, selectedFrom, useOf } from './promql.ts';
import { DEAD_ENDPOINT } from './run-example.ts';
import { type Sample, ScrapedMeter } from './scraped-meter.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const path = new URL('../../examples/grafana/alerts.yaml', import.meta.url);
const { groups } = parse(readFileSync(path, 'utf8')) as { groups: readonly { readonly rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
let exposed: Sample[];

beforeAll(async () => {
  exposed = await scrapeEveryMetric();
});

function ruleOf(alert: string): Rule {
  const rule = rules.find((one) => one.alert === alert);
  if (rule === undefined) throw new Error(`no alert ${alert}`);
  return rule;
}

describe('examples/grafana/alerts.yaml', () => {
  it('there are alerts, each with a name of its own', () => {
    expect(rules.length).toBeGreaterThan(0);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  describe.each(rules.map((rule) => [rule.alert, rule] as const))('%s', (_, rule) => {
    it('the expression is PromQL over metrics, labels and values that the package exposes', () => {
      expectExposed(useOf(rule.expr), exposed);
    });

    it('the alert has a severity, a summary and a description', () => {
      expect(['warning', 'critical']).toContain(rule.labels.severity);
      expect(rule.annotations).toEqual({ summary: expect.any(String), description: expect.any(String) });
      if (rule.for !== undefined) expect(rule.for).toMatch(/^\d+m$/);
    });

    it('the texts of the alert name only labels that the expression keeps', () => {
      const text = Object.values(rule.annotations).join(' ');
      const named = new Set([...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label));
      const { groups, selectors } = useOf(rule.expr);
      // A comparison without a group keeps the labels of the first metric.
      const kept = rule.expr.includes('sum by') ? groups : labelsOf(selectors[0]?.metric);
      for (const label of named) expect(kept).toContain(label);
    });
  });

  function labelsOf(metric: string | undefined): string[] {
    return [
      'instance',
      'job',
      ...exposed.filter(({ name }) => name === metric).flatMap(({ labels }) => Object.keys(labels)),
    ];
  }

  it('the alert FluentForwardRecordsLost explains every reason for which records are dropped', () => {
    const { description } = ruleOf('FluentForwardRecordsLost').annotations;
    const reasons = exposed
      .map(({ labels }) => labels.fluent_forward_drop_reason)
      .filter((reason) => reason !== undefined);
    const reserved = ['no_endpoint', 'spool_full', 'spool_age'];
    expect(reasons).toEqual(expect.arrayContaining(reserved));
    for (const reason of new Set(reasons)) {
      if (!reserved.includes(reason)) expect(description).toMatch(new RegExp(`^(.+, )?${reason}(, .+)?: `, 'm'));
    }
  });

  it('the faults that need an operator have the alert FluentForwardNeedsOperator, and the others another', () => {
    const codes = Object.keys(FAULTS);
    const samples = codes.map((error_type) => ({
      name: 'fluent_forward_connection_fault_total',
      labels: { error_type },
      value: 1,
    }));
    const codesOf = (alert: string) => selectedFrom(ruleOf(alert).expr, samples).map(({ labels }) => labels.error_type);
    const needsOperator = Object.entries(FAULTS).flatMap(([code, traits]) => (traits.needsOperator ? [code] : []));
    expect(codesOf('FluentForwardNeedsOperator')).toEqual(needsOperator);
    expect(codesOf('FluentForwardConnectionFaults')).toEqual(codes.filter((code) => !needsOperator.includes(code)));
  });

  it('the alert FluentForwardRecordsLost has a positive value when a processor loses records', async () => {
    const meter = await ScrapedMeter.start();
    const processor = new FluentForwardLogRecordProcessor({
      endpoint: DEAD_ENDPOINT,
      maxInFlightBytes: 1_024,
      flushTimeoutMillis: 1,
      selfObsMeterProvider: meter.provider,
    });
    const { expr } = ruleOf('FluentForwardRecordsLost');
    const found = async () => {
      const samples = selectedFrom(expr, await meter.scrape()).filter(({ value }) => value > 0);
      return Object.fromEntries(samples.map(({ labels, value }) => [labels.fluent_forward_drop_reason, value]));
    };
    const counted = () =>
      Object.fromEntries(Object.entries(processor.stats().dropped).filter(([, count]) => count > 0));
    expect(await found()).toEqual({});
    const logger = new LoggerProvider({ processors: [processor] }).getLogger('test');
    for (let n = 0; n < 10; n++) logger.emit({ body: 'x'.repeat(500) });
    expect(counted()).not.toEqual({});
    expect(await found()).toEqual(counted());
    // The next collection is the last one.
    await processor.shutdown();
    expect(await found()).toEqual(counted());
    expect(processor.stats()).toMatchObject({ emitted: 10, held: { records: 0 } });
    await meter.close();
  });
});

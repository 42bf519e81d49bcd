import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { scrapeEveryMetric } from './every-metric.ts';
import { expectExposed, useOf } from './promql.ts';
import type { Sample } from './scraped-meter.ts';

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
}

const path = new URL('../../examples/grafana/dashboard.json', import.meta.url);
const dashboard = JSON.parse(readFileSync(path, 'utf8')) as Dashboard;
let exposed: Sample[];

beforeAll(async () => {
  exposed = await scrapeEveryMetric();
});

const panels = dashboard.panels.map((panel) => [panel.title, panel] as const);

describe('examples/grafana/dashboard.json', () => {
  it.each(panels)('a panel of the dashboard shows metrics that the package exposes: %s', (_, { targets }) => {
    for (const { expr, legendFormat } of targets) {
      const use = useOf(expr);
      expectExposed(use, exposed);
      // A legend can only name what the expression keeps.
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(use.groups).toContain(label);
    }
  });

  it('the variables of the dashboard are labels that the package exposes, and all are defined', () => {
    const queries = dashboard.templating.list.flatMap(({ query }) => /^label_values\((.+), (\w+)\)$/.exec(query) ?? []);
    expect(queries).toHaveLength(2 * 3);
    for (let i = 0; i < queries.length; i += 3) {
      const { selectors } = useOf(queries[i + 1] as string);
      expectExposed({ selectors, groups: [queries[i + 2] as string] }, exposed);
    }
    const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join();
    const used = new Set(expressions.match(/(?<=\$)\w+/g));
    expect([...used].sort()).toEqual(['__rate_interval', 'component', 'instance']);
  });

  it('the dashboard shows every metric of the package', () => {
    const shown = dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => useOf(expr).selectors));
    const families = new Set(shown.map(({ metric }) => familyOf(metric)));
    const own = exposed.map(({ name }) => name).filter((name) => name !== 'target_info');
    expect([...families].sort()).toEqual([...new Set(own.map(familyOf))].sort());
  });
});

function familyOf(sample: string): string {
  return sample.replace(/(?<=_duration)_(bucket|count|sum)$/, '');
}

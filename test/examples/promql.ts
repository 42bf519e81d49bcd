import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import { expect } from 'vitest';
import type { Sample } from './scraped-meter.ts';

/** What Prometheus itself adds to a sample. */
const OF_THE_SCRAPE = ['instance', 'job'];

interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

/** What an expression uses. */
export interface Use {
  readonly selectors: readonly Selector[];
  /** The labels that it groups by. */
  readonly groups: readonly string[];
}

/** Throws if the expression is not PromQL. What Grafana puts in the place of variables does not matter here. */
export function useOf(expression: string): Use {
  const text = expression.replaceAll('$__rate_interval', '5m').replaceAll(/"\$\w+"/g, '".*"');
  const selectors: Selector[] = [];
  const groups: string[] = [];
  parser.parse(text).iterate({
    enter: ({ type, node, from, to }) => {
      if (type.isError) throw new Error(`no PromQL at character ${from} of ${text}`);
      if (type.name === 'VectorSelector') selectors.push(selectorOf(node, text));
      if (type.name === 'LabelName' && node.parent?.name === 'GroupingLabels') groups.push(text.slice(from, to));
    },
  });
  return { selectors, groups };
}

function selectorOf(node: SyntaxNode, text: string): Selector {
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  return { metric: textOf(node, 'Identifier', text), matchers: matchers.map((matcher) => matcherOf(matcher, text)) };
}

function matcherOf(node: SyntaxNode, text: string): Matcher {
  return {
    label: textOf(node, 'LabelName', text),
    operator: textOf(node, 'MatchOp', text),
    value: textOf(node, 'StringLiteral', text).slice(1, -1),
  };
}

function textOf(parent: SyntaxNode, child: string, text: string): string {
  const node = parent.getChild(child);
  if (node === null) throw new Error(`no ${child} in ${text.slice(parent.from, parent.to)}`);
  return text.slice(node.from, node.to);
}

/** Fails if the samples lack a metric, a label or a value that the expression uses. */
export function expectExposed({ selectors, groups }: Use, samples: readonly Sample[]): void {
  expect(selectors).not.toEqual([]);
  for (const { metric, matchers } of selectors) {
    const found = samples.filter(({ name }) => name === metric);
    const labels = new Set([...OF_THE_SCRAPE, ...found.flatMap((sample) => Object.keys(sample.labels))]);
    expect(samples.map(({ name }) => name)).toContain(metric);
    for (const label of groups) expect([metric, ...labels]).toContain(label);
    for (const matcher of matchers) {
      expect([metric, ...labels]).toContain(matcher.label);
      if (!OF_THE_SCRAPE.includes(matcher.label)) expectMatch(metric, matcher, found);
    }
  }
}

function expectMatch(metric: string, matcher: Matcher, samples: readonly Sample[]): void {
  const { label, operator, value } = matcher;
  const hasMatch = samples.some(({ labels }) => matches(labels[label] ?? '', matcher));
  expect(hasMatch, `${metric}{${label}${operator}"${value}"} has samples`).toBe(true);
}

/** The samples that the first selector of an expression selects. */
export function selectedFrom(expression: string, samples: readonly Sample[]): Sample[] {
  const [selector] = useOf(expression).selectors;
  return samples.filter(
    ({ name, labels }) =>
      name === selector?.metric && selector.matchers.every((matcher) => matches(labels[matcher.label] ?? '', matcher)),
  );
}

function matches(label: string, { operator, value }: Matcher): boolean {
  switch (operator) {
    case '=':
      return label === value;
    case '!=':
      return label !== value;
    case '=~':
      return new RegExp(`^(?:${value})$`).test(label);
    case '!~':
      return !new RegExp(`^(?:${value})$`).test(label);
    default:
      throw new Error(`no operator ${operator}`);
  }
}

import { describe, expect, it, vi } from 'vitest';
import type { FluentForwardLogExporterOptions } from '../src/index.ts';
import { exporterFixture } from './support/exporter-fixture.ts';
import { until } from './support/fake-clock.ts';
import { logRecord } from './support/harness.ts';

const { listen, log, start } = exporterFixture();

/** It would begin a new line of the log, colour a terminal, and write from right to left. */
const HOSTILE = 'x\n2026-01-01 CRITICAL forged\u001b[31m\u009b2J\u202e';
const ESCAPED = 'x\\u{a}2026-01-01 CRITICAL forged\\u{1b}[31m\\u{9b}2J\\u{202e}';
const ESCAPED_END = ESCAPED.slice(ESCAPED.indexOf('forged'));
const CONTROL = /\p{C}/u;

const throwHostile = () => {
  throw new Error(HOSTILE);
};

/**
 * Exports a record to a receiver that it does not reach, and returns the message of the error and of its cause. The
 * deadline is before a second dial.
 */
async function messagesOf(options: FluentForwardLogExporterOptions): Promise<string[]> {
  const timeoutMillis = 50;
  const { clock, send } = start({ ...options, timeoutMillis });
  // The exporter has warned that the deadline is so short.
  log.length = 0;
  const result = send('a');
  await until(() => log.length > 0);
  await clock.advance(timeoutMillis);
  const { error } = await result;
  return [String(error?.message), String((error?.cause as Error | undefined)?.message)];
}

describe('text that the exporter has not written itself', () => {
  it.each<[string, FluentForwardLogExporterOptions]>([
    ['the error of a resolver', { endpoint: 'tcp://fluent', resolver: async () => throwHostile() }],
    ['an address of a resolver', { endpoint: 'tcp://fluent', resolver: async () => [{ address: HOSTILE }] }],
    [
      'a port of a resolver',
      { endpoint: 'tcp://fluent', resolver: async () => [{ address: '::1', port: HOSTILE as never }] },
    ],
    ['the error of a function for a secret', { sharedKey: throwHostile }],
    ['the error of a function for a certificate', { endpoint: 'tls://127.0.0.1', tls: { ca: throwHostile } }],
    [
      'the path of a certificate',
      { endpoint: 'tls://127.0.0.1', tls: { ca: `/nowhere/${HOSTILE.replace('\n', ' ')}` } },
    ],
    ['the path of a socket', { endpoint: `unix:///nowhere/${encodeURIComponent(HOSTILE)}` }],
    // The system says why, with the path: it is no directory.
    ['the error of a connect', { endpoint: `unix:///dev/null/${encodeURIComponent(HOSTILE)}` }],
  ])('messages and errors escape control characters: %s', async (_, options) => {
    const messages = await messagesOf(options);
    const warnings = log.filter(([level]) => level === 'warn').map(([, text]) => text);
    for (const text of [...messages, ...warnings]) expect(text).not.toMatch(CONTROL);
    expect(messages[0]).toContain(ESCAPED_END);
    expect(messages[1]).toContain(ESCAPED_END);
    expect(warnings.join()).toContain(ESCAPED_END);
  });

  it.each<[string, FluentForwardLogExporterOptions, object?]>([
    ['the error of a layout function', { layout: throwHostile }],
    [
      'the class of what a layout function returns',
      { layout: () => Object.create({ constructor: { name: HOSTILE } }) },
    ],
    ['the error of a tag function', { tag: throwHostile }],
    ['the class of what a tag function returns', { tag: () => Object.create({ constructor: { name: HOSTILE } }) }],
    ['the error of a record', {}, new Proxy({}, { get: throwHostile })],
  ])('warnings about records escape control characters: %s', async (_, options, record = logRecord('a')) => {
    const { endpoint } = await listen();
    const { exporter } = start({ endpoint, ...options });
    exporter.export([record as never], () => {});
    expect(log).toEqual([['warn', expect.stringContaining(ESCAPED)]]);
    expect(log[0]?.[1]).not.toMatch(CONTROL);
  });

  it('the warning about too many tags escapes control characters', async () => {
    const { endpoint } = await listen();
    const { exporter } = start({ endpoint, tag: `${HOSTILE}.\${attributes.n}` });
    exporter.export(
      Array.from({ length: 65 }, (_, n) => logRecord('a', { n })),
      () => {},
    );
    expect(log).toEqual([['warn', expect.stringContaining(`got the tag ${ESCAPED}.unknown:`)]]);
    expect(log[0]?.[1]).not.toMatch(CONTROL);
  });

  it('the warning about a callback that throws escapes the name and the message of the error', async () => {
    const error = Object.assign(new Error(HOSTILE), { name: HOSTILE });
    start({}).exporter.export([], () => {
      throw error;
    });
    await until(() => log.length > 0);
    expect(log).toEqual([['warn', expect.stringMatching(/threw: x\\u\{a\}.*: x\\u\{a\}/)]]);
    expect(log[0]?.[1]).not.toMatch(CONTROL);
  });

  it.each([
    ['ENDPOINT', HOSTILE],
    ['ENDPOINT', `tcp://a?${encodeURIComponent(HOSTILE)}=1`],
    ['TAG', `\${${HOSTILE}}`],
    ['LAYOUT', HOSTILE],
    ['TIMEOUT', HOSTILE],
    ['HOSTNAME', `${HOSTILE}${'x'.repeat(300)}`],
  ])('the warning about a bad variable escapes control characters: %s', (variable, text) => {
    vi.stubEnv(`OTEL_EXPORTER_FLUENT_FORWARD_${variable}`, text);
    start({});
    vi.unstubAllEnvs();
    expect(log).toEqual([
      ['warn', expect.stringMatching(/(\\n|\\u\{a\})2026.*(\\u001b|\\u\{1b\})\[31m.*\\u\{9b\}.*\\u\{202e\}/)],
    ]);
    expect(log[0]?.[1]).not.toMatch(CONTROL);
  });

  it('the warning about a certificate without its key escapes the path of the certificate', () => {
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_CLIENT_CERTIFICATE', `/nowhere/${HOSTILE.replace('\n', ' ')}`);
    start({ endpoint: 'tls://127.0.0.1' });
    vi.unstubAllEnvs();
    expect(log).toEqual([['warn', expect.stringContaining(`${ESCAPED_END}) is set, and tls.key (`)]]);
    expect(log[0]?.[1]).not.toMatch(CONTROL);
  });

  it.each([
    { [HOSTILE]: 1 },
    { tls: { [HOSTILE]: 1 } },
    { endpoint: HOSTILE },
    { fields: { [`${HOSTILE}\0`]: 1 } },
    { tls: HOSTILE as never },
  ])('the error for a bad option escapes control characters: %j', (options: object) => {
    expect(() => start(options)).toThrow(/forged/);
    expect(() => start(options)).not.toThrow(CONTROL);
  });
});

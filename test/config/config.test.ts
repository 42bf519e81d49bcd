import * as zlib from 'node:zlib';
import { createNoopMeter } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { type ExporterConfig, resolveExporterConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/env.ts';
import { processHostname } from '../../src/config/hostname.ts';
import type { FluentForwardLogExporterOptions } from '../../src/config/options.ts';

const PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';
const MAX_MILLIS = 2 ** 31 - 1;

/** Resolves `options`, of any shape, with `environment`, whose names lack the prefix. */
function resolve(options: object = {}, environment: Environment = {}): { config: ExporterConfig; warnings: string[] } {
  const warnings: string[] = [];
  const variables = Object.fromEntries(Object.entries(environment).map(([name, text]) => [PREFIX + name, text]));
  const config = resolveExporterConfig(options as FluentForwardLogExporterOptions, variables, (message) => {
    warnings.push(message);
  });
  return { config, warnings };
}

const TAG_RULE =
  'a string of 1 to 1024 bytes, in which ${resource.<attribute>}, ${attributes.<attribute>}, ${scope.name}, ' +
  '${severity_text} and ${event_name} stand for what a record has, each with :-<fallback> before the } if need be; ' +
  'or a function (record) => string';

const tcp = (host: string, port: number): ExporterConfig['endpoint'] => [
  { protocol: 'tcp', host, port, url: `tcp://${host}:${port}`, weight: 1, standby: false },
];

interface NumberOption {
  readonly option: keyof FluentForwardLogExporterOptions;
  readonly variable: string;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

const NUMBERS: readonly NumberOption[] = [
  { option: 'timeoutMillis', variable: 'TIMEOUT', fallback: 25_000, min: 1, max: MAX_MILLIS },
  { option: 'ackTimeoutMillis', variable: 'ACK_TIMEOUT', fallback: 5_000, min: 1, max: MAX_MILLIS },
  { option: 'connectTimeoutMillis', variable: 'CONNECT_TIMEOUT', fallback: 5_000, min: 1, max: MAX_MILLIS },
  { option: 'flushTimeoutMillis', variable: 'FLUSH_TIMEOUT', fallback: 10_000, min: 1, max: MAX_MILLIS },
  { option: 'exitTimeoutMillis', variable: 'EXIT_TIMEOUT', fallback: 2_000, min: 1, max: MAX_MILLIS },
  { option: 'rotationIntervalMillis', variable: 'ROTATION_INTERVAL', fallback: 60_000, min: 0, max: MAX_MILLIS },
  { option: 'connections', variable: 'CONNECTIONS', fallback: 1, min: 1, max: 256 },
  { option: 'maxInFlightChunks', variable: 'MAX_IN_FLIGHT_CHUNKS', fallback: 8, min: 1, max: 1024 },
  { option: 'maxChunkBytes', variable: 'MAX_CHUNK_BYTES', fallback: 1_000_000, min: 2048, max: 6_000_000 },
  { option: 'maxStringBytes', variable: 'MAX_STRING_BYTES', fallback: 262_144, min: 64, max: 6_000_000 },
  {
    option: 'maxInFlightBytes',
    variable: 'MAX_IN_FLIGHT_BYTES',
    fallback: 33_554_432,
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
  },
  { option: 'compressionLevel', variable: 'COMPRESSION_LEVEL', fallback: 1, min: 1, max: 19 },
];

describe('the defaults', () => {
  it('every option has its default without options and variables', () => {
    const { config, warnings } = resolve();
    expect(config).toStrictEqual({
      endpoint: tcp('localhost', 24224),
      tag: 'opentelemetry.logs',
      sharedKey: undefined,
      username: undefined,
      password: undefined,
      hostname: processHostname(),
      layout: 'default',
      resourceAttributes: true,
      fields: {},
      recordUid: false,
      flushAtExit: true,
      eventNameAttribute: undefined,
      resolver: undefined,
      compression: 'none',
      selfObsMeterProvider: undefined,
      tls: {
        ca: undefined,
        cert: undefined,
        key: undefined,
        passphrase: undefined,
        serverName: undefined,
        minVersion: 'TLSv1.2',
        insecureSkipVerify: false,
      },
      ...Object.fromEntries(NUMBERS.map(({ option, fallback }) => [option, fallback])),
    });
    expect(warnings).toEqual([]);
  });

  it('an option whose value is undefined has its default', () => {
    const options = Object.fromEntries(Object.keys(resolve().config).map((option) => [option, undefined]));
    expect(resolve(options).config).toStrictEqual(resolve().config);
  });

  it('the resolved configuration is frozen', () => {
    expect(Object.isFrozen(resolve().config)).toBe(true);
    expect(Object.isFrozen(resolve().config.tls)).toBe(true);
  });
});

describe('the source of an option', () => {
  it.each(NUMBERS)('a number is taken from code, else from its variable: $option', ({ option, variable, min, max }) => {
    expect(resolve({}, { [variable]: String(max) }).config[option]).toBe(max);
    expect(resolve({ [option]: min }, { [variable]: String(max) }).config[option]).toBe(min);
    expect(resolve({ [option]: undefined }, { [variable]: String(max) }).config[option]).toBe(max);
  });

  it('the endpoint and the tag are taken from code, else from their variables', () => {
    const environment = { ENDPOINT: 'tcp://env:1', TAG: 'env.tag' };
    expect(resolve({}, environment).config).toMatchObject({ endpoint: tcp('env', 1), tag: 'env.tag' });
    expect(resolve({ endpoint: 'tcp://code:2', tag: 'code.tag' }, environment).config).toMatchObject({
      endpoint: tcp('code', 2),
      tag: 'code.tag',
    });
  });

  it('each option is taken by itself from code, a variable or the default', () => {
    const { config } = resolve({ tag: 'code.tag' }, { TIMEOUT: '7000', TAG: 'env.tag' });
    expect(config).toMatchObject({ tag: 'code.tag', timeoutMillis: 7_000, ackTimeoutMillis: 5_000 });
  });

  it('the option selfObsMeterProvider takes only a meter provider or true', () => {
    const provider = { getMeter: createNoopMeter };
    expect(resolve({ selfObsMeterProvider: provider }).config.selfObsMeterProvider).toBe(provider);
    expect(resolve({ selfObsMeterProvider: true }).config.selfObsMeterProvider).toBe(true);
    for (const wrong of [false, {}, 'global', null]) {
      expect(() => resolve({ selfObsMeterProvider: wrong })).toThrow(
        /^option selfObsMeterProvider: got .*, allowed: a MeterProvider, or true for the global one$/,
      );
    }
  });

  it('a resolver is taken from code and never from a variable', () => {
    const resolver = async (): Promise<[]> => [];
    expect(resolve({ resolver }).config.resolver).toBe(resolver);
    expect(resolve({}, { RESOLVER: 'x' }).config.resolver).toBeUndefined();
  });

  it('variables without the prefix of the package are ignored', () => {
    const config = resolveExporterConfig({}, { TAG: 'x', TIMEOUT: '1', ENDPOINT: 'tcp://x' }, () => {});
    expect(config).toStrictEqual(resolve().config);
  });
});

describe('a bad value in code', () => {
  const RANGE = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1_000_000.5];
  const TYPE = ['5', null, true, 5n, {}, [], () => {}, Symbol('s')];

  it.each(NUMBERS)('a number out of range or of another type throws: $option', ({ option, min, max }) => {
    const allowed = `an integer from ${min} to ${max}`;
    for (const value of [min - 1, max + 1, -1, ...RANGE]) {
      const expected = new RangeError(`option ${option}: got ${value}, allowed: ${allowed}`);
      expect(() => resolve({ [option]: value })).toThrow(expected);
      expect(() => resolve({ [option]: value })).toThrow(RangeError);
    }
    for (const value of TYPE) {
      expect(() => resolve({ [option]: value })).toThrow(TypeError);
      expect(() => resolve({ [option]: value })).toThrow(new RegExp(`^option ${option}: got .+, allowed: ${allowed}$`));
    }
    for (const value of [min, max]) expect(resolve({ [option]: value }).config[option]).toBe(value);
  });

  it.each([
    ['an empty tag', '', `got "", allowed: ${TAG_RULE}`],
    ['1025 bytes', 'x'.repeat(1025), `got "${'x'.repeat(199)}…, allowed: ${TAG_RULE}`],
    ['1026 bytes of 513 characters', 'é'.repeat(513), `got "${'é'.repeat(199)}…, allowed: ${TAG_RULE}`],
    ['a bad template', 'app.${foo}', `got "app.\${foo}" (character 5: unknown field foo), allowed: ${TAG_RULE}`],
  ])('a bad tag in code throws a RangeError: %s', (_, tag, message) => {
    expect(() => resolve({ tag })).toThrow(RangeError);
    expect(() => resolve({ tag })).toThrow(`option tag: ${message}`);
  });

  it('a tag of 1 to 1024 bytes is accepted, also with blanks', () => {
    for (const tag of ['x', ' x ', 'x'.repeat(1024), 'é'.repeat(512)]) expect(resolve({ tag }).config.tag).toBe(tag);
  });

  it('a tag, an endpoint or a resolver of the wrong type throws', () => {
    expect(() => resolve({ tag: 5 })).toThrow(new TypeError(`option tag: got 5, allowed: ${TAG_RULE}`));
    expect(() => resolve({ endpoint: new URL('tcp://a') })).toThrow(TypeError);
    expect(() => resolve({ endpoint: ['tcp://a', 5] })).toThrow(TypeError);
    expect(() => resolve({ endpoint: ['tcp://a', 5] })).toThrow(/^option endpoint: got an array, allowed: tcp:\/\//);
    expect(() => resolve({ endpoint: { url: 'tcp://a', weigth: 5 } })).toThrow(/^option endpoint: got an object, /);
    expect(() => resolve({ resolver: 'dns' })).toThrow(TypeError);
    expect(() => resolve({ resolver: 'dns' })).toThrow(/^option resolver: got "dns", allowed: a function \(endpoint\)/);
  });

  it('a bad endpoint in code throws a RangeError with the allowed forms', () => {
    expect(() => resolve({ endpoint: 'http://a' })).toThrow(RangeError);
    expect(() => resolve({ endpoint: 'http://a' })).toThrow(
      'option endpoint: got "http://a" ("http://a" is no endpoint), allowed: tcp://host[:port], tls://host[:port] ' +
        '(IPv6 addresses in brackets, port 1 to 65535, default 24224), srv+tcp://name, srv+tls://name or unix:///absolute/path ',
    );
    expect(() => resolve({ endpoint: ['tcp://a', 'tcp://b:0'] })).toThrow(
      'option endpoint: got an array ("tcp://b:0" is no endpoint), allowed: ',
    );
  });

  it('an unknown option throws a TypeError with the names of all options', () => {
    expect(() => resolve({ timeout: 5 })).toThrow(TypeError);
    expect(() => resolve({ timeout: 5 })).toThrow(
      /^unknown option timeout; the options are endpoint, tag, layout, .*, timeoutMillis/,
    );
    // Also when it is undefined, and when every object has one of that name.
    expect(() => resolve({ timeout: undefined })).toThrow(TypeError);
    expect(() => resolve({ toString: undefined })).toThrow('unknown option toString');
  });

  it.each([null, 'tcp://a', 5, () => {}])('options that are no object throw a TypeError: %s', (options) => {
    expect(() => resolve(options as object)).toThrow(TypeError);
  });

  it('a bad value in code throws even if its variable has a good one', () => {
    expect(() => resolve({ timeoutMillis: 0 }, { TIMEOUT: '5' })).toThrow(RangeError);
  });
});

describe('the options for the content of records', () => {
  const layoutFunction = (): object => ({});
  const tagFunction = (): string => 'a';

  it.each<[string, unknown, string | undefined, unknown]>([
    ['layout', 'flat', 'LAYOUT=flat', 'flat'],
    ['layout', 'otlp', 'LAYOUT=OTLP', 'otlp'],
    ['layout', 'default', 'LAYOUT=Default', 'default'],
    ['layout', layoutFunction, undefined, layoutFunction],
    ['tag', tagFunction, undefined, tagFunction],
    ['recordUid', true, 'RECORD_UID=TRUE', true],
    ['recordUid', false, 'RECORD_UID=false', false],
    ['eventNameAttribute', true, 'EVENT_NAME_ATTRIBUTE=true', true],
    ['eventNameAttribute', false, 'EVENT_NAME_ATTRIBUTE=False', false],
    ['resourceAttributes', true, 'RESOURCE_ATTRIBUTES=true', true],
    ['resourceAttributes', false, 'RESOURCE_ATTRIBUTES=FALSE', false],
    ['resourceAttributes', ['a.b', 'c'], 'RESOURCE_ATTRIBUTES=a.b , c', ['a.b', 'c']],
    ['resourceAttributes', [], undefined, []],
    ['fields', { env: 'prod', n: undefined }, undefined, { env: 'prod' }],
    ['fields', Object.assign(Object.create(null), { größe: 1, '😀': 2 }), undefined, { größe: 1, '😀': 2 }],
  ])('a good value is accepted from code and from its variable: %s, %o or %s', (option, code, variable, expected) => {
    const key = option as keyof ExporterConfig;
    expect(resolve({ [option]: code }).config[key]).toEqual(expected);
    if (variable === undefined) return;
    const [name = '', text] = variable.split('=');
    const { config, warnings } = resolve({}, { [name]: text });
    expect({ value: config[key], warnings }).toEqual({ value: expected, warnings: [] });
  });

  it.each([
    ['layout', 'Flat', RangeError, 'got "Flat", allowed: default, flat, otlp or a function (record, entry) => object'],
    ['layout', 5, TypeError, 'got 5, allowed: default, flat, otlp or a function'],
    ['recordUid', 'true', TypeError, 'got "true", allowed: true or false'],
    ['eventNameAttribute', 1, TypeError, 'got 1, allowed: true or false'],
    ['resourceAttributes', 'a', TypeError, 'got "a", allowed: true, false or a list of attribute names'],
    ['resourceAttributes', ['a', 5], TypeError, 'got an array, allowed: true, false or a list of attribute names'],
    ['fields', [], TypeError, 'got an array, allowed: a plain object with a property for each field'],
    ['fields', null, TypeError, 'got null, allowed: a plain object'],
    ['fields', new Map([['env', 'prod']]), TypeError, 'got an object, allowed: a plain object'],
    ['fields', new (class Fields {})(), TypeError, 'got an object, allowed: a plain object'],
    ['fields', { 'a\0b': 1 }, RangeError, 'got an object (the name "a\\u0000b"), allowed: a plain object'],
    ['fields', { ok: 1, '\ud800': 1 }, RangeError, 'got an object (the name "\\ud800"), allowed: a plain object'],
    ['fields', { '\u2400': 1 }, RangeError, 'got an object (the name "\u2400"), allowed: a plain object'],
    ['fields', { '\ufffd': 1 }, RangeError, 'got an object (the name "\ufffd"), allowed: a plain object'],
  ])('a bad value in code throws an error with the allowed values: %s, %o', (option, value, errorClass, message) => {
    expect(() => resolve({ [option]: value })).toThrow(errorClass);
    expect(() => resolve({ [option]: value })).toThrow(`option ${option}: ${message}`);
  });

  it.each([
    ['LAYOUT', 'json', 'got "json", allowed: default, flat, otlp or a function .*; using "default"'],
    ['RECORD_UID', '1', 'got "1", allowed: true or false; using false'],
    ['RECORD_UID', 'yes', 'got "yes", allowed: true or false; using false'],
    ['EVENT_NAME_ATTRIBUTE', 'on', 'got "on", allowed: true or false; using none'],
    ['TAG', 'a.${x', 'got "a.\\${x" \\(character 3: no } ends it\\), allowed: .*; using "opentelemetry.logs"'],
  ])('a bad variable for the content of records warns and counts as unset: %s=%s', (variable, text, message) => {
    const { config, warnings } = resolve({}, { [variable]: text });
    expect(config).toStrictEqual(resolve().config);
    expect(warnings).toEqual([expect.stringMatching(`^${PREFIX}${variable}: ${message}$`)]);
  });

  it('later changes to a given list or to given fields do not change the configuration', () => {
    const resourceAttributes = ['a'];
    const fields: Record<string, unknown> = { a: 1 };
    const { config } = resolve({ resourceAttributes, fields });
    resourceAttributes.push('b');
    fields.b = 2;
    expect(config).toMatchObject({ resourceAttributes: ['a'], fields: { a: 1 } });
    expect(config.fields).not.toHaveProperty('b');
  });
});

describe('the variables', () => {
  it.each(NUMBERS)(
    'a bad number in a variable warns and counts as unset: $variable',
    ({ option, variable, fallback, min, max }) => {
      const bad = [
        'x',
        '1e3',
        '0x10',
        '5.5',
        '5ms',
        '1 000',
        '1,000',
        '٥',
        'NaN',
        'Infinity',
        String(min - 1),
        `${max}0`,
      ];
      for (const text of bad) {
        const { config, warnings } = resolve({}, { [variable]: text });
        expect(config[option]).toBe(fallback);
        expect(warnings).toEqual([
          `${PREFIX}${variable}: got "${text}", allowed: an integer from ${min} to ${max}; using ${fallback}`,
        ]);
      }
    },
  );

  it('a bad TAG and a bad ENDPOINT warn and count as unset', () => {
    const { config, warnings } = resolve({}, { TAG: 'x'.repeat(1025), ENDPOINT: 'localhost:24224' });
    expect(config).toStrictEqual(resolve().config);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: got "localhost:24224" \("localhost:24224" is no endpoint\), allowed: tcp:.*; using "tcp:\/\/localhost:24224"$/,
      ),
      expect.stringMatching(
        /^OTEL_EXPORTER_FLUENT_FORWARD_TAG: got "x{199}…, allowed: .*; using "opentelemetry.logs"$/,
      ),
    ]);
  });

  it('a bad variable does not warn if code has a value', () => {
    expect(resolve({ timeoutMillis: 7_000 }, { TIMEOUT: 'x' })).toMatchObject({
      config: { timeoutMillis: 7_000 },
      warnings: [],
    });
  });

  it.each([
    ['', 25_000],
    [' \t\n', 25_000],
    [undefined, 25_000],
    [' 7000\n', 7_000],
    ['007000', 7_000],
    ['+7000', 7_000],
  ])('the variable TIMEOUT is read without a warning: %j gives %i', (text, expected) => {
    const { config, warnings } = resolve({}, { TIMEOUT: text });
    expect(config.timeoutMillis).toBe(expected);
    expect(warnings).toEqual([]);
  });

  it.each(['', '  '])('an empty or blank TAG and ENDPOINT count as unset: %j', (text) => {
    const { config, warnings } = resolve({}, { TAG: text, ENDPOINT: text });
    expect(config).toStrictEqual(resolve().config);
    expect(warnings).toEqual([]);
  });

  it('blanks around the text of a variable are ignored', () => {
    const { config, warnings } = resolve({}, { TAG: ' a.b ', ENDPOINT: ' tcp://h:5 ' });
    expect(config).toMatchObject({ tag: 'a.b', endpoint: tcp('h', 5) });
    expect(warnings).toEqual([]);
  });

  it('the variable ROTATION_INTERVAL may be 0 and the variable ACK_TIMEOUT may not', () => {
    expect(resolve({}, { ROTATION_INTERVAL: '0' })).toMatchObject({
      config: { rotationIntervalMillis: 0 },
      warnings: [],
    });
    expect(resolve({}, { ACK_TIMEOUT: '0' }).warnings).toHaveLength(1);
  });
});

describe('compression', () => {
  const hasZstd = 'zstdCompress' in zlib;

  it.each(['none', 'gzip'])('a compression is accepted from code and in capitals from its variable: %s', (name) => {
    expect(resolve({ compression: name }).config.compression).toBe(name);
    const { config, warnings } = resolve({ compression: undefined }, { COMPRESSION: name.toUpperCase() });
    expect([config.compression, warnings]).toEqual([name, []]);
  });

  // Not skipped in one of the two cases: the unit tests also run on a Node.js of the other kind.
  if (hasZstd) {
    it('the option compression accepts zstd if Node.js has it', () => {
      expect(resolve({ compression: 'zstd' }).config.compression).toBe('zstd');
      expect(resolve({}, { COMPRESSION: 'Zstd' })).toMatchObject({ config: { compression: 'zstd' }, warnings: [] });
    });

    it('the option maxChunkBytes warns above what receivers decompress with zstd', () => {
      expect(resolve({ compression: 'zstd', maxChunkBytes: 1_000_000 }).warnings).toEqual([]);
      expect(resolve({ compression: 'zstd', maxChunkBytes: 1_000_001 }).warnings).toEqual([
        'maxChunkBytes (1000001) is above 1000000: larger chunks are sent without zstd, as receivers would lose them',
      ]);
    });
  } else {
    it('the option compression refuses zstd if Node.js has none', () => {
      const refusal = `got "zstd" (Node.js ${process.versions.node} has no zstd; 22.15 and later have), allowed: none, gzip, zstd`;
      expect(() => resolve({ compression: 'zstd' })).toThrow(new RangeError(`option compression: ${refusal}`));
      const { config, warnings } = resolve({}, { COMPRESSION: 'ZSTD' });
      expect(config).toStrictEqual(resolve().config);
      expect(warnings).toEqual([`${PREFIX}COMPRESSION: ${refusal.replace('"zstd"', '"ZSTD"')}; using "none"`]);
    });
  }

  it('the option compression refuses an unknown name and other types', () => {
    const allowed = 'allowed: none, gzip, zstd';
    expect(() => resolve({ compression: 'Gzip' })).toThrow(
      new RangeError(`option compression: got "Gzip", ${allowed}`),
    );
    expect(() => resolve({ compression: true })).toThrow(new TypeError(`option compression: got true, ${allowed}`));
    const { config, warnings } = resolve({}, { COMPRESSION: 'brotli' });
    expect(config).toStrictEqual(resolve().config);
    expect(warnings).toEqual([`${PREFIX}COMPRESSION: got "brotli", ${allowed}; using "none"`]);
  });

  it('the default of exitTimeoutMillis is longer if an endpoint is encrypted', () => {
    const timeout = (endpoint: string) => resolve({ endpoint }).config.exitTimeoutMillis;
    expect(timeout('tcp://a,unix:///b')).toBe(2_000);
    expect(timeout('tcp://a,tls://b')).toBe(5_000);
    expect(timeout('srv+tls://_forward._tcp.a')).toBe(5_000);
    expect(resolve({ endpoint: 'tls://a', exitTimeoutMillis: 1 }).config.exitTimeoutMillis).toBe(1);
  });

  it('the range of compressionLevel depends on the compression', () => {
    const rule = 'allowed: an integer from 1 to 9';
    expect(resolve({ compression: 'gzip', compressionLevel: 9 }).config.compressionLevel).toBe(9);
    expect(() => resolve({ compression: 'gzip', compressionLevel: 10 })).toThrow(
      new RangeError(`option compressionLevel: got 10, ${rule}`),
    );
    expect(() => resolve({ compressionLevel: 10 }, { COMPRESSION: 'gzip' })).toThrow(rule);
    const { config, warnings } = resolve({ compression: 'gzip' }, { COMPRESSION_LEVEL: '10' });
    expect(config.compressionLevel).toBe(1);
    expect(warnings).toEqual([`${PREFIX}COMPRESSION_LEVEL: got "10", ${rule}; using 1`]);
  });

  it('the option maxChunkBytes does not warn with the compression gzip', () => {
    expect(resolve({ compression: 'gzip', maxChunkBytes: 6_000_000 }).warnings).toEqual([]);
  });
});

describe('time limits that contradict each other', () => {
  const NEVER_ELSEWHERE = 'an unanswered chunk is never sent to another receiver';
  const PROCESSOR = 'after which BatchLogRecordProcessor by default gives up on an export that still runs';

  it.each<[FluentForwardLogExporterOptions, string[]]>([
    [{ ackTimeoutMillis: 9_999, timeoutMillis: 10_000 }, []],
    [{ ackTimeoutMillis: 10_000, timeoutMillis: 10_000 }, [NEVER_ELSEWHERE]],
    [{ timeoutMillis: 4_000 }, [NEVER_ELSEWHERE]],
    [{ timeoutMillis: 29_999 }, []],
    [{ timeoutMillis: 30_000 }, [PROCESSOR]],
    [{ timeoutMillis: 60_000, ackTimeoutMillis: 60_000 }, [NEVER_ELSEWHERE, PROCESSOR]],
  ])('time limits warn only if they contradict each other: %j', (options, expected) => {
    const { warnings, config } = resolve(options);
    expect(warnings).toEqual(expected.map((text) => expect.stringContaining(text)));
    expect(config).toMatchObject(options);
  });

  it('a time limit in code that contradicts one in a variable warns', () => {
    const { warnings } = resolve({ ackTimeoutMillis: 8_000 }, { TIMEOUT: '8000' });
    expect(warnings).toEqual([
      `ackTimeoutMillis (8000) must be less than timeoutMillis (8000); otherwise ${NEVER_ELSEWHERE}`,
    ]);
  });
});

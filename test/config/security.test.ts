import { mkdtempSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Config, resolveExporterConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/env.ts';
import { processHostname } from '../../src/config/hostname.ts';
import type { Source } from '../../src/config/source.ts';

const PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';
const TLS = { endpoint: 'tls://fluent' };
const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
/** In no message, whatever is wrong. */
const SECRET = 'do-not-tell';

function resolve(options: object = {}, environment: Environment = {}): { config: Config; warnings: string[] } {
  const warnings: string[] = [];
  const variables = Object.fromEntries(Object.entries(environment).map(([name, text]) => [PREFIX + name, text]));
  const config = resolveExporterConfig(options, variables, (message) => warnings.push(message));
  return { config, warnings };
}

function file(content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'secret-')), 'file.pem');
  writeFileSync(path, content);
  return path;
}

const read = (source: Source | undefined) => (source as Source).read();

describe.each([
  ['sharedKey', 'SHARED_KEY'],
  ['password', 'PASSWORD'],
] as const)('the secret %s', (option, variable) => {
  /** The options without which this one warns. */
  const others = option === 'password' ? { sharedKey: 'k', username: 'u' } : {};

  it(`the option ${option} is taken from code, else from the file, else from the variable`, async () => {
    const path = file('from the file');
    const environment = { [variable]: 'from the variable', [`${variable}_FILE`]: path };
    const all = resolve({ ...others, [option]: 'from code' }, environment);
    expect(await read(all.config[option])).toBe('from code');
    expect(all.warnings).toEqual([]);
    const both = resolve(others, environment);
    expect(await read(both.config[option])).toBe('from the file');
    expect(both.warnings).toEqual([`both ${PREFIX}${variable} and ${PREFIX}${variable}_FILE are set; using the file`]);
    const one = resolve(others, { [variable]: 'from the variable' });
    expect(await read(one.config[option])).toBe('from the variable');
    expect(one.warnings).toEqual([]);
  });

  it(`the option ${option} is read anew each time from its file or function`, async () => {
    const path = file('a');
    const inFile = resolve(others, { [`${variable}_FILE`]: path }).config[option];
    expect(await read(inFile)).toBe('a');
    writeFileSync(path, 'b');
    expect(await read(inFile)).toBe('b');
    const give = vi.fn(async () => 'c').mockImplementationOnce(() => Promise.resolve('d'));
    const given = resolve({ ...others, [option]: give }).config[option];
    expect([await read(given), await read(given)]).toEqual(['d', 'c']);
    expect(await read(resolve({ ...others, [option]: () => 'e' }).config[option])).toBe('e');
  });

  it.each([
    ['a\n', 'a'],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
    [' a b \n', ' a b '],
    ['é€', 'é€'],
  ])(`the option ${option} drops one newline at the end of a file or variable: %j`, async (text, expected) => {
    expect(await read(resolve(others, { [`${variable}_FILE`]: file(text) }).config[option])).toBe(expected);
    expect(await read(resolve(others, { [variable]: text }).config[option])).toBe(expected);
  });

  it.each([
    ['an empty file', () => file('\n'), 'it is empty'],
    ['a file that is too long', () => file('x'.repeat(1025)), 'what it holds is not a string of 1 to 1024 bytes'],
    ['a missing file', () => '/nonexistent/secret', 'ENOENT: no such file or directory'],
    ['a directory', () => tmpdir(), 'EISDIR: illegal operation on a directory'],
  ])(`the option ${option} cannot be read from a bad file: %s`, async (_, path, reason) => {
    const named = path();
    const source = resolve(others, { [`${variable}_FILE`]: named }).config[option];
    await expect(read(source)).rejects.toThrow(new Error(`${PREFIX}${variable}_FILE (${named}): ${reason}`));
  });

  it(`the option ${option} cannot be read from a function that returns no secret or throws`, async () => {
    for (const bad of [() => '', () => 5, () => undefined, async () => `${SECRET}`.repeat(200)]) {
      const failure = read(resolve({ ...others, [option]: bad }).config[option]);
      await expect(failure).rejects.toThrow(new RegExp(`^${option}: `));
      await expect(failure).rejects.not.toThrow(SECRET);
    }
    const failing = () => {
      throw new Error('vault is sealed');
    };
    await expect(read(resolve({ ...others, [option]: failing }).config[option])).rejects.toThrow(
      new Error(`${option}: vault is sealed`),
    );
  });

  it(`the option ${option} refuses a bad value without showing the value`, () => {
    const allowed = 'allowed: a string of 1 to 1024 bytes, or a function that gives one';
    expect(() => resolve({ [option]: '' })).toThrow(
      new RangeError(`option ${option}: got a value of type string, ${allowed}`),
    );
    expect(() => resolve({ [option]: SECRET.repeat(100) })).toThrow(
      new RangeError(`option ${option}: got a value of type string, ${allowed}`),
    );
    expect(() => resolve({ [option]: Buffer.from(SECRET) })).toThrow(
      new TypeError(`option ${option}: got a value of type object, ${allowed}`),
    );
    const { config, warnings } = resolve(others, { [variable]: SECRET.repeat(100) });
    expect(config[option]).toBeUndefined();
    expect(warnings[0]).toBe(`${PREFIX}${variable}: got a value of type string, ${allowed}; using none`);
    expect(warnings.join()).not.toContain(SECRET);
  });

  it(`the option ${option} appears in no inspection and no JSON of the configuration`, () => {
    const { config } = resolve({ ...others, [option]: SECRET });
    expect(inspect(config, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true })).not.toContain(SECRET);
    expect(JSON.stringify(config)).not.toContain(SECRET);
  });
});

describe('the names in the handshake', () => {
  it.each(['username', 'hostname'] as const)(
    'a name in the handshake has 1 to 255 bytes, from code or else from its variable: %s',
    (option) => {
      for (const name of ['a', ' ', 'é'.repeat(127), 'x'.repeat(255)])
        expect(resolve({ [option]: name }).config[option]).toBe(name);
      for (const name of ['', 'é'.repeat(128), 'x'.repeat(256), 'lone \ud800 surrogate']) {
        expect(() => resolve({ [option]: name })).toThrow(RangeError);
        expect(() => resolve({ [option]: name })).toThrow(/allowed: a string of 1 to 255 bytes$/);
      }
      expect(() => resolve({ [option]: 5 })).toThrow(TypeError);
      expect(resolve({}, { [option.toUpperCase()]: 'env' }).config[option]).toBe('env');
      expect(resolve({ [option]: 'code' }, { [option.toUpperCase()]: 'env' }).config[option]).toBe('code');
    },
  );

  it('the default hostname is the name of the machine with a random part, one per process', async () => {
    const name = resolve().config.hostname;
    expect(name).toMatch(/\/otel-[0-9a-f]{8}$/);
    expect(name.startsWith(hostname().slice(0, 64))).toBe(true);
    // As where the package is loaded twice.
    vi.resetModules();
    const again = await import('../../src/config/hostname.ts');
    expect(again.processHostname).not.toBe(processHostname);
    expect(again.processHostname()).toBe(name);
  });

  it.each<[object, RegExp[]]>([
    [{ sharedKey: 'k' }, []],
    [{ sharedKey: 'k', username: 'u', password: 'p' }, []],
    [{ username: 'u', password: 'p' }, [/^username and password are not used: without sharedKey/]],
    [{ password: 'p' }, [/^username and password are not used: without sharedKey/]],
    [{ sharedKey: 'k', username: 'u' }, [/^username and password: set both or neither$/]],
    [{ sharedKey: 'k', password: 'p' }, [/^username and password: set both or neither$/]],
  ])('a login warns only if the handshake cannot use it: %j', (options, expected) => {
    expect(resolve(options).warnings).toEqual(expected.map((text) => expect.stringMatching(text)));
  });
});

describe('the TLS options', () => {
  it.each([
    ['ca', 'CERTIFICATE', {}],
    ['cert', 'CLIENT_CERTIFICATE', { key: PEM }],
    ['key', 'CLIENT_KEY', { cert: PEM }],
  ] as const)(
    'a TLS option takes PEM text, a path or a function that returns either: %s',
    async (option, variable, others) => {
      const path = file(`${PEM}in a file`);
      const sources: [unknown, string][] = [
        [PEM, PEM],
        [path, `${PEM}in a file`],
        [() => PEM, PEM],
        [async () => PEM, PEM],
        [async () => path, `${PEM}in a file`],
      ];
      for (const [value, expected] of sources) {
        const { config } = resolve({ ...TLS, tls: { ...others, [option]: value } }, { [variable]: '/other' });
        expect(await read(config.tls[option])).toBe(expected);
      }
      const { config, warnings } = resolve({ ...TLS, tls: others }, { [variable]: ` ${path}\n` });
      expect(await read(config.tls[option])).toBe(`${PEM}in a file`);
      expect(warnings).toEqual([]);
      writeFileSync(path, `${PEM}renewed`);
      expect(await read(config.tls[option])).toBe(`${PEM}renewed`);
      writeFileSync(path, 'half a fi');
      await expect(read(config.tls[option])).rejects.toThrow(
        new Error(`${PREFIX}${variable} (${path}): there is no PEM text in it`),
      );
    },
  );

  it('a TLS key without its PEM lines is refused and appears in no message', async () => {
    const key = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/x==';
    for (const bad of [key, key.replaceAll(/.{64}/g, '$&\n'), '', 'a\0b']) {
      expect(() => resolve({ ...TLS, tls: { cert: PEM, key: bad } })).toThrow(
        new RangeError(
          'option tls.key: got a value of type string, allowed: PEM text, the path of a PEM file, or a function that gives either',
        ),
      );
      const given = resolve({ ...TLS, tls: { cert: PEM, key: () => bad } }).config.tls.key;
      await expect(read(given)).rejects.toThrow(new Error('tls.key: the function gave neither PEM text nor a path'));
    }
    const { warnings } = resolve(TLS, { CLIENT_KEY: key });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('CLIENT_KEY: got a value of type string');
    // Paths are not taken for keys.
    for (const path of [`/${'long/'.repeat(30)}key`, `./${'long/'.repeat(30)}key`, `${'x'.repeat(100)}.pem`]) {
      expect(resolve({ ...TLS, tls: { ca: path } }).config.tls.ca?.origin).toBe(`tls.ca (${path})`);
    }
  });

  it.each([
    '/ca',
    '/run/secrets/fluent-ca',
    './ca',
    '../ca',
    'C:\\ca',
    '\\\\host\\ca',
    'ca.pem',
    'certs/ca.CRT',
    'tls.key',
  ])('messages name a path that has the form of one: %s', async (path) => {
    const { config, warnings } = resolve({ ...TLS, tls: { ca: path } }, { SHARED_KEY_FILE: path });
    expect(config.tls.ca?.origin).toBe(`tls.ca (${path})`);
    expect(config.sharedKey?.origin).toBe(`${PREFIX}SHARED_KEY_FILE (${path})`);
    expect(warnings).toEqual([]);
  });

  it.each([
    SECRET,
    `${SECRET} with words`,
    `${SECRET}/x`,
    'ZG8tbm90LXRlbGw/+A==',
    '/G8tbm90LXRlbGw+do-not-tell',
    '/do-not-tell=',
  ])('messages and errors do not name a path that may be a secret: %s', async (secret) => {
    const { config } = resolve(
      { ...TLS, tls: { cert: secret, key: secret, ca: () => secret } },
      { SHARED_KEY_FILE: secret, PASSWORD_FILE: secret },
    );
    const { tls, sharedKey, password } = config;
    const missing = 'ENOENT: no such file or directory';
    for (const [source, message] of [
      [tls.cert, `tls.cert (taken for a path): ${missing}`],
      [tls.key, `tls.key (taken for a path): ${missing}`],
      [tls.ca, `tls.ca: ${missing}`],
      [sharedKey, `${PREFIX}SHARED_KEY_FILE (taken for a path): ${missing}`],
      [password, `${PREFIX}PASSWORD_FILE (taken for a path): ${missing}`],
    ] as const) {
      const error = await read(source).catch((error: Error) => error);
      expect((error as Error).message).toBe(message);
      // With its causes.
      expect(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain(secret);
    }
    expect(inspect(config, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain(secret);
  });

  it('a file whose name has not the form of a path is read', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'bare-'));
    writeFileSync(join(directory, 'ca'), PEM);
    const here = process.cwd();
    onTestFinished(() => process.chdir(here));
    process.chdir(directory);
    expect(await read(resolve({ ...TLS, tls: { ca: 'ca' } }).config.tls.ca)).toBe(PEM);
  });

  it('the TLS key and its passphrase appear in no inspection and no JSON', () => {
    const { config } = resolve({ ...TLS, tls: { cert: PEM, key: `-----BEGIN ${SECRET}`, passphrase: SECRET } });
    expect(inspect(config, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain(SECRET);
    expect(JSON.stringify(config)).not.toContain(SECRET);
  });

  it('a client certificate without its key is refused, and a key without its certificate', () => {
    for (const tls of [{ cert: PEM }, { key: PEM }]) {
      expect(() => resolve({ ...TLS, tls })).toThrow(TypeError);
      expect(() => resolve({ ...TLS, tls })).toThrow(
        /^option tls: tls\.(cert|key) is set, and tls\.(key|cert) \(OTEL_EX/,
      );
    }
    const { config, warnings } = resolve(TLS, { CLIENT_CERTIFICATE: '/cert' });
    expect(config.tls.cert).toBeUndefined();
    expect(warnings).toEqual([
      `${PREFIX}CLIENT_CERTIFICATE (/cert) is set, and tls.key (${PREFIX}CLIENT_KEY) is not; using no client certificate`,
    ]);
    expect(resolve({ ...TLS, tls: { key: PEM } }, { CLIENT_CERTIFICATE: '/cert' }).warnings).toEqual([]);
  });

  it.each<[object, RegExp]>([
    [{ tls: null }, /^option tls: got null, allowed: an object$/],
    [{ tls: 'ca.pem' }, /^option tls: got "ca.pem", allowed: an object$/],
    [{ tls: { caFile: 'x' } }, /^unknown option tls\.caFile; tls takes ca, cert, key, passphrase, serverName/],
    [{ tls: { ca: 5 } }, /^option tls\.ca: got a value of type number/],
    [{ tls: { ca: [PEM] } }, /^option tls\.ca: got a value of type object/],
    [{ tls: { minVersion: 'TLSv1.1' } }, /^option tls\.minVersion: got "TLSv1.1", allowed: TLSv1.2 or TLSv1.3$/],
    [{ tls: { insecureSkipVerify: 'true' } }, /^option tls\.insecureSkipVerify: got "true", allowed: true or false$/],
    [{ tls: { serverName: 'a b' } }, /^option tls\.serverName: got "a b", allowed: the name or IP address/],
    [{ tls: { serverName: '' } }, /^option tls\.serverName: got ""/],
  ])('a bad TLS option throws an error with the allowed values: %j', (options, message) => {
    expect(() => resolve({ ...TLS, ...options })).toThrow(message);
  });

  it.each([
    ['true', true, 'INSECURE'],
    ['TRUE', true, 'INSECURE'],
    ['false', false, undefined],
    ['1', false, 'BAD'],
    ['', false, undefined],
  ])('the variable INSECURE_SKIP_VERIFY is true or false, and warns if true or bad: %j', (text, expected, warning) => {
    const { config, warnings } = resolve(TLS, { INSECURE_SKIP_VERIFY: text });
    expect(config.tls.insecureSkipVerify).toBe(expected);
    const texts = {
      INSECURE:
        'tls.insecureSkipVerify is set: tls://fluent:24224 may be anybody, and whoever can redirect the traffic reads the log records',
      BAD: `${PREFIX}INSECURE_SKIP_VERIFY: got "1", allowed: true or false; using false`,
    };
    expect(warnings).toEqual(warning === undefined ? [] : [texts[warning as keyof typeof texts]]);
  });

  it('the option insecureSkipVerify in code wins over its variable', () => {
    const { config, warnings } = resolve(
      { ...TLS, tls: { insecureSkipVerify: false } },
      { INSECURE_SKIP_VERIFY: 'true' },
    );
    expect(config.tls.insecureSkipVerify).toBe(false);
    expect(warnings).toEqual([]);
  });

  it.each<[object, Environment, string]>([
    [{ tls: { ca: '/ca' } }, {}, 'tls.ca'],
    [{ tls: { serverName: 'x', minVersion: 'TLSv1.3' } }, {}, 'tls.serverName, tls.minVersion'],
    [{ tls: { insecureSkipVerify: true } }, {}, 'tls.insecureSkipVerify'],
    [{}, { CERTIFICATE: '/ca' }, 'tls.ca'],
  ])('TLS options warn if no endpoint is encrypted: %j with %j', (options, environment, names) => {
    expect(resolve(options, environment).warnings).toEqual([
      `${names} set, but tcp://localhost:24224 is not encrypted: tls:// and srv+tls:// endpoints are`,
    ]);
  });

  it('TLS options with their default values do not warn without an encrypted endpoint', () => {
    expect(resolve({ tls: { minVersion: 'TLSv1.2', insecureSkipVerify: false } }).warnings).toEqual([]);
  });
});

describe('an endpoint with a password in it', () => {
  it.each(['tcp://user:do-not-tell@host', 'tcp://user:do-not/tell@host', 'http://x:do-not-tell@a@b'])(
    'an endpoint with a password is refused and the password is hidden: %s',
    (endpoint) => {
      expect(() => resolve({ endpoint })).toThrow(/^option endpoint: got "\w+:\/\/…@/);
      expect(resolve({}, { ENDPOINT: endpoint }).warnings[0]).not.toMatch(/do-not/);
    },
  );

  it.each([
    'tcp:user:do-not-tell@host',
    'user:do-not-tell@host:24224',
    'do-not-tell@host',
    ':do-not-tell@host',
    '//user:do-not-tell@host',
    'tcp:/user:do-not-tell@host',
    'tcp//user:do-not-tell@host',
    ' tcp://user:do-not-tell@host',
    '"tcp://user:do-not-tell@host"',
    'tcp://user:do-not%40tell@host',
    'tcp://user:do-not-tell%40host:24224',
    'tcp://user%3Ado-not-tell%40host',
    'tcp://user:do-not,tell@host',
    'tcp://user:do-not?tell@host',
    'tcp://user:1?do-not-tell@host',
    'tcp://user:1?do-not=tell@host',
    'tcp://user:do-not#tell@host',
    'tcp://user:do-not\ntell@host',
    'tcp://a:1,tcp://user:do-not-tell@host',
    'tcp://user:do-not-tell@host,tcp://a:1',
    'tcp://a:1,tcp://user:do-not,tell@host,tcp://b',
    'tcp://a,user:do-not-tell@host:24224,b',
    'tcp://user:1?do-not,tell@host',
    'tcp://user:do-not-tell',
    'tcp://user:do-not,tell',
    'user:do-not-tell',
    'tcp://a,user:do-not-tell',
    'tcp://host:24224?shared_key=do-not-tell',
    'tcp://host:24224?weight=1&password=do-not-tell',
    'tcp://host:24224?password=do-not,tell',
    'unix:///run/fluent.sock?password=do-not-tell',
  ])('no message shows a secret in a bad endpoint: %j', (endpoint) => {
    const isHidden = (text: string) => expect(text).not.toMatch(/do-not|tell/);
    for (const option of [endpoint, [endpoint], ['tcp://a', endpoint], [{ url: endpoint }]]) {
      expect(() => resolve({ endpoint: option })).toThrow(RangeError);
      try {
        resolve({ endpoint: option });
      } catch (error) {
        isHidden(inspect(error));
      }
    }
    const { config, warnings } = resolve({}, { ENDPOINT: endpoint });
    expect(config.endpoint.map(({ url }) => url)).toEqual(['tcp://localhost:24224']);
    expect(warnings).toHaveLength(1);
    warnings.forEach(isHidden);
  });

  it.each<[string, unknown]>([
    ['as all options', 'tcp://user:do-not-tell@host'],
    ['as another option', { layout: 'user:do-not-tell@host' }],
    ['as a group of options', { tls: 'tcp:user:do-not-tell@host' }],
  ])('no message shows the password of an endpoint in the wrong place: %s', (_, options) => {
    expect(() => resolve(options as object)).toThrow(/…@host/);
    expect(() => resolve(options as object)).not.toThrow(/do-not/);
  });

  it.each([
    ['localhost:24224', '"localhost:24224"'],
    ['tcp://a:24224,b:24224', '"b:24224"'],
    ['tcp://ho st', '"tcp://ho st"'],
    ['tcp://::1:24224', '"tcp://::1:24224"'],
    ['tcp://a:0', '"tcp://a:0"'],
    ['http://a:4318/v1/logs', '"http://a:4318/v1/logs"'],
    ['unix:/', '"unix:/"'],
    ['tcp://a:1/path?weight=2&standby=true', '"tcp://a:1/path?weight=2&standby=true"'],
    ['tcp://user:x@host:24224', '"tcp://…@host:24224"'],
    ['user:x@host:24224', '"…@host:24224"'],
    ['tcp://user:x', '"tcp://user:…"'],
  ])('the message about a bad endpoint shows what is no secret: %s', (endpoint, shown) => {
    expect(() => resolve({ endpoint })).toThrow(`(${shown} is no endpoint)`);
  });
});

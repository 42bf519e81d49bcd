import { describe, expect, it } from 'vitest';
import { parseEndpoints } from '../../src/config/endpoint.ts';

const DEFAULTS = { weight: 1, standby: false };

describe('parseEndpoints', () => {
  it.each([
    ['tcp://localhost', 'localhost', 24224, 'tcp://localhost:24224'],
    ['tcp://localhost/', 'localhost', 24224, 'tcp://localhost:24224'],
    ['tcp://fluent.logging.svc.cluster.local:5170', 'fluent.logging.svc.cluster.local', 5170, undefined],
    ['tcp://under_score:1', 'under_score', 1, undefined],
    ['tcp://10.0.0.1:65535', '10.0.0.1', 65535, undefined],
    ['tcp://[::1]', '::1', 24224, 'tcp://[::1]:24224'],
    ['tcp://[2001:db8::1]:80', '2001:db8::1', 80, 'tcp://[2001:db8::1]:80'],
    ['tcp://[::ffff:10.0.0.1]:80', '::ffff:a00:1', 80, 'tcp://[::ffff:a00:1]:80'],
    ['TCP://host:024224', 'host', 24224, 'tcp://host:24224'],
    [' tcp://host:1\n', 'host', 1, 'tcp://host:1'],
  ])('a tcp endpoint is parsed into host and port: %j', (text, host, port, url = text) => {
    expect(parseEndpoints(text)).toEqual([{ protocol: 'tcp', host, port, url, ...DEFAULTS }]);
  });

  it('the path of a Unix socket has at most the bytes that the system allows', () => {
    const longest = `/${'x'.repeat(process.platform === 'linux' ? 106 : 102)}`;
    const url = `unix://${longest}`;
    expect(parseEndpoints(url)).toEqual([{ protocol: 'unix', path: longest, url, ...DEFAULTS }]);
    expect(() => parseEndpoints(`${url}x`)).toThrow('is no endpoint');
    // It is bytes that count.
    expect(() => parseEndpoints(`${url.slice(0, -1)}é`)).toThrow('is no endpoint');
  });

  it.each([
    ['unix:///var/run/fluent.sock', '/var/run/fluent.sock'],
    ['unix:///run/a%20b%23c.sock', '/run/a b#c.sock'],
    ['unix:///run/größe.sock', '/run/größe.sock'],
    ['unix:/run/fluent.sock', '/run/fluent.sock'],
  ])('a unix endpoint is parsed into its path: %j', (text, path) => {
    expect(parseEndpoints(text)).toEqual([{ protocol: 'unix', path, url: `unix://${path}`, ...DEFAULTS }]);
  });

  it.each([
    // no URL
    '',
    ' ',
    'localhost',
    'localhost:24224',
    '127.0.0.1:24224',
    '[::1]:24224',
    '//localhost',
    '/var/run/fluent.sock',
    // other protocols
    'http://localhost',
    'udp://localhost',
    'srv+udp://_forward._udp.example.com',
    'fluent://localhost',
    // hosts
    'tcp:',
    'tcp://',
    'tcp:///path',
    'tcp://:24224',
    'tcp:localhost',
    'tcp://a b',
    'tcp://::1',
    'tcp://::1:24224',
    'tcp://[::1',
    'tcp://[::x]',
    'tcp://[fe80::1%25eth0]',
    'tcp://.',
    'tcp://-..',
    'tcp://a..b',
    'tcp://999.1.1.1',
    'tcp://127.0.0.001',
    'tcp://0x7f.1',
    `tcp://${'a'.repeat(64)}.example`,
    `tcp://${'a.'.repeat(127)}aa`,
    'srv+tcp://127.0.0.1',
    // ports
    'tcp://host:0',
    'tcp://host:65536',
    'tcp://host:-1',
    'tcp://host:port',
    'tcp://host:1.5',
    // what an endpoint has no use for
    'tcp://host:1/path',
    'tcp://host#x',
    'tcp://user@host',
    'tcp://user:password@host',
    'tcp://:password@host',
    // names of SRV records
    'srv+tcp://',
    'srv+tcp://_forward._tcp.example.com:24224',
    'srv+tcp://_forward._tcp..example.com',
    'srv+tls://[::1]',
    // one of several
    'tcp://a,b',
    'tcp://a,',
    ',tcp://a',
    'tcp://a,,tcp://b',
    // A name has to be given in its ASCII form.
    'tcp://müller.example',
    'tcp://ho%20st',
    // paths
    'unix:',
    'unix://',
    'unix:///',
    'unix://run/fluent.sock',
    'unix://localhost/run/fluent.sock',
    'unix:fluent.sock',
    'unix:///a%00b',
    'unix:///a%zz',
    'unix:///a%ff',
    'unix:///a#b',
  ])('a text that is no endpoint throws a RangeError: %j', (text) => {
    expect(() => parseEndpoints(text)).toThrow(RangeError);
    expect(() => parseEndpoints(text)).toThrow(/^".*" is no endpoint$/);
  });

  it.each([
    ['tls://host', { protocol: 'tls', host: 'host', port: 24224, url: 'tls://host:24224' }],
    ['tls://[::1]:1', { protocol: 'tls', host: '::1', port: 1, url: 'tls://[::1]:1' }],
    ['srv+tcp://_f._tcp.a.b', { protocol: 'srv+tcp', host: '_f._tcp.a.b', port: 24224, url: 'srv+tcp://_f._tcp.a.b' }],
    [
      'srv+tls://_f._tcp.a.b./',
      { protocol: 'srv+tls', host: '_f._tcp.a.b.', port: 24224, url: 'srv+tls://_f._tcp.a.b.' },
    ],
  ])('a tls or srv endpoint is parsed into protocol, host and port: %j', (text, location) => {
    expect(parseEndpoints(text)).toEqual([{ ...location, ...DEFAULTS }]);
  });

  it.each([
    ['tcp://a?weight=2&standby=false', 2, false],
    ['tcp://a/?standby=TRUE', 1, true],
    ['unix:///a?weight=65535', 65_535, false],
    ['srv+tcp://_f._tcp.a?weight=3', 3, false],
  ])(
    'the parameters of an endpoint set its weight and standby: %j has weight %d, standby %s',
    (text, weight, standby) => {
      const [endpoint] = parseEndpoints([text, 'tcp://other']);
      expect(endpoint).toMatchObject({ weight, standby });
      expect(endpoint?.url).not.toContain('?');
    },
  );

  it('endpoints are given as a text, an array or objects, and keep their order', () => {
    const expected = parseEndpoints('tcp://a:1?weight=2, unix:///b?standby=true,tcp://[::1]:3');
    expect(expected.map(({ url }) => url)).toEqual(['tcp://a:1', 'unix:///b', 'tcp://[::1]:3']);
    expect(
      parseEndpoints([{ url: 'tcp://a:1', weight: 2 }, { url: 'unix:///b', standby: true }, 'tcp://[::1]:3']),
    ).toEqual(expected);
    expect(parseEndpoints({ url: 'tcp://a:1', weight: undefined, standby: undefined })).toEqual(
      parseEndpoints('tcp://a:1'),
    );
  });

  it.each([
    [[], 'there is no endpoint in it'],
    ['tcp://a,tcp://b,tcp://a:24224', 'tcp://a:24224 is listed twice'],
    [['tcp://a?weight=2', { url: 'TCP://A', standby: true }], 'tcp://a:24224 is listed twice'],
    ['tcp://a?standby=true,unix:///b?standby=true', 'all endpoints are standbys; at least one must not be'],
    ['tcp://b,tcp://a?weight=0', '"tcp://a?weight=0" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?weight=-1', '"tcp://a?weight=-1" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?weight=65536', '"tcp://a?weight=65536" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?weight=', '"tcp://a?weight=" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?weight=0x10', '"tcp://a?weight=0x10" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?weight=1e3', '"tcp://a?weight=1e3" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?weight=1.5', '"tcp://a?weight=1.5" has a weight that is no integer from 1 to 65535'],
    [{ url: 'tcp://a', weight: Number.NaN }, '"tcp://a" has a weight that is no integer from 1 to 65535'],
    ['tcp://a?standby=yes', '"tcp://a?standby=yes" has a standby that is neither true nor false'],
    ['tcp://a?weight=1&weight=2', '"tcp://a?weight=1&weight=2" has weight twice'],
    [{ url: 'tcp://a?standby=true', standby: false }, '"tcp://a?standby=true" has standby twice'],
    ['tcp://a?priority=1', '"tcp://a?priority=…" has an unknown parameter, priority'],
  ])('endpoints that contradict each other or a rule throw a RangeError: %j', (value, reason) => {
    expect(() => parseEndpoints(value)).toThrow(new RangeError(reason));
  });

  it('a parsed endpoint is frozen, so that a resolver cannot change it', () => {
    for (const endpoint of parseEndpoints('tcp://a,unix:///b')) expect(Object.isFrozen(endpoint)).toBe(true);
  });
});

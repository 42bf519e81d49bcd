import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../../src/config/endpoint.ts';

describe('endpoints', () => {
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
  ])('%j', (text, host, port, url = text) => {
    expect(parseEndpoint(text)).toEqual({ protocol: 'tcp', host, port, url });
  });

  it.each([
    ['unix:///var/run/fluent.sock', '/var/run/fluent.sock'],
    ['unix:///run/a%20b%23c.sock', '/run/a b#c.sock'],
    ['unix:///run/größe.sock', '/run/größe.sock'],
    ['unix:/run/fluent.sock', '/run/fluent.sock'],
  ])('%j', (text, path) => {
    expect(parseEndpoint(text)).toEqual({ protocol: 'unix', path, url: `unix://${path}` });
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
    // other protocols, those of later versions too
    'http://localhost',
    'udp://localhost',
    'tls://localhost',
    'srv+tcp://_forward._tcp.example.com',
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
    // ports
    'tcp://host:0',
    'tcp://host:65536',
    'tcp://host:-1',
    'tcp://host:port',
    'tcp://host:1.5',
    // what an endpoint has no use for
    'tcp://host:1/path',
    'tcp://host?x=1',
    'tcp://host#x',
    'tcp://user@host',
    'tcp://user:password@host',
    'tcp://:password@host',
    // several are for a later version
    'tcp://a:1,tcp://b:1',
    'tcp://a,tcp://b',
    'tcp://a,b',
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
    'unix:///a?b',
    'unix:///a#b',
  ])('%j is none', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });
});

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveExporterConfig } from '../../src/config/config.ts';
import { Credentials } from '../../src/connection/credentials.ts';
import { Diagnostics } from '../../src/diagnostics.ts';
import { Authority } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** What the certificates of the two authorities are in, and a key that belongs to neither. */
interface Texts {
  readonly a: string;
  readonly b: string;
  readonly key: string;
}

const texts = {} as Record<keyof Texts, string>;
/** Each has a certificate of one of the authorities. */
const servers: ReturnType<typeof createServer>[] = [];

beforeAll(async () => {
  for (const name of ['a', 'b'] as const) {
    const authority = await Authority.create(name);
    const pair = await authority.issue();
    texts[name] = lines(authority.cert);
    texts.key = lines(pair.key);
    const server = createServer(pair, (socket) => socket.on('error', () => {}).end());
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
  }
});
afterAll(() => {
  for (const server of servers) server.close();
});

function lines(pem: string): string {
  return `${pem.replaceAll('\r', '').trimEnd()}\n`;
}

/** Whether a client with these options trusts both servers, by real handshakes. */
async function trustsBoth(options: ConnectionOptions): Promise<boolean> {
  const handshakes = servers.map(async (server) => {
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    await once(socket, 'secureConnect');
    socket.destroy();
    return socket.authorized;
  });
  return (await Promise.all(handshakes)).every(Boolean);
}

function credentialsWith(ca: string): Credentials {
  const clock = new FakeClock();
  const config = resolveExporterConfig({ endpoint: 'tls://fluent', tls: { ca: () => ca } }, {}, () => {});
  return new Credentials({ config, clock, diagnostics: new Diagnostics(clock) });
}

describe('tls.ca with two authorities', () => {
  it.each<[string, (texts: Texts) => string]>([
    ['one behind the other', ({ a, b }) => a + b],
    ['no line break at the end', ({ a, b }) => (a + b).trimEnd()],
    ['line breaks of Windows', ({ a, b }) => (a + b).replaceAll('\n', '\r\n')],
    ['a byte order mark', ({ a, b }) => `\ufeff${a}${b}`],
    ['a byte order mark for each', ({ a, b }) => `\ufeff${a}\ufeff${b}`],
    ['white space at the ends of lines', ({ a, b }) => (a + b).replaceAll('\n', ' \t \n')],
    ['indented base64', ({ a, b }) => (a + b).replaceAll(/^(?!-)(?=.)/gm, '  ')],
    ['base64 on one line', ({ a, b }) => (a + b).replaceAll(/(?<!-)\n(?!-)/g, '')],
    ['comments and other lines between them', ({ a, b }) => `# one: a\n${a}\nSubject: b\n# ü\n${b}# end`],
    ['a certificate in a comment', ({ a, b }) => `${a}${a.replaceAll(/^(?=.)/gm, '# ')}${b}`],
    ['a private key between them', ({ a, b, key }) => a + key + b],
    ['the older label of certificates', ({ a, b }) => (a + b).replaceAll(' CERTIFICATE', ' X509 CERTIFICATE')],
    ['the label of trusted certificates', ({ a, b }) => (a + b).replaceAll(' CERTIFICATE', ' TRUSTED CERTIFICATE')],
  ])('the exporter accepts it, and TLS trusts both: %s', async (_, make) => {
    const ca = make(texts);
    expect(await trustsBoth({ ca })).toBe(true);
    const { context } = await credentialsWith(ca).certificates();
    expect(await trustsBoth({ secureContext: context })).toBe(true);
  });

  const shared =
    /^tls\.ca: line \d+ has more than -----BEGIN …----- or -----END …-----, which must be on a line of its own$/;
  const escaped = /^tls\.ca: it has the two characters \\n in place of line breaks$/;
  const notWhole = /^tls\.ca does not hold whole certificates$/;
  const damaged = /^tls\.ca holds what is no certificate: /;
  it.each<[string, (texts: Texts) => string, RegExp]>([
    ['quotes', ({ a, b }) => `"${a}${b}"`, shared],
    ['indentation', ({ a, b }) => (a + b).replaceAll(/^(?=.)/gm, '  '), shared],
    ['indentation of the first line', ({ a, b }) => `  ${a}${b}`, shared],
    ['indentation of the second certificate alone', ({ a, b }) => `${a} ${b}`, shared],
    ['indentation of the ends', ({ a, b }) => (a + b).replaceAll('-----END', ' -----END'), shared],
    ['a key of YAML', ({ a, b }) => `ca: ${a}${b}`, shared],
    ['no line break between them', ({ a, b }) => a.trimEnd() + b, shared],
    ['text behind the end', ({ a, b }) => `${a.trimEnd()};\n${b}`, shared],
    ['all on one line', ({ a, b }) => (a + b).replaceAll('\n', ' '), shared],
    ['line breaks of old Macs', ({ a, b }) => (a + b).replaceAll('\n', '\r'), shared],
    ['escaped line breaks', ({ a, b }) => (a + b).replaceAll('\n', '\\n'), escaped],
    ['escaped line breaks of Windows', ({ a, b }) => (a + b).replaceAll('\n', '\\r\\n'), escaped],
    ['a cut in the base64', ({ a, b }) => (a + b).slice(0, -60), notWhole],
    ['a cut in the last line', ({ a, b }) => (a + b).slice(0, -10), notWhole],
    ['a cut in the first certificate', ({ a, b }) => `${a.slice(0, -60)}\n${b}`, notWhole],
    ['a dash too few', ({ a, b }) => a + b.slice(1), notWhole],
    ['only a private key', ({ key }) => key, notWhole],
    ['damaged base64', ({ a, b }) => a.replace(/\nM/, '\n%') + b, damaged],
    ['a damaged certificate', ({ a, b }) => a.replace(/\nM/, '\nX') + b, damaged],
    ['a damaged private key between them', ({ a, b, key }) => a + key.replace(/\nM/, '\n%') + b, damaged],
    ['a comment within a certificate', ({ a, b }) => a.replace('\n', '\n# x\n') + b, damaged],
    ['a blank line before a byte order mark', ({ a, b }) => `${a}\n\ufeff${b}`, damaged],
    ['a blank line between all lines', ({ a, b }) => (a + b).replaceAll('\n', '\n\n'), damaged],
    ['nothing', () => '', /^tls\.ca: the function gave neither PEM text nor a path$/],
  ])('the exporter refuses it, and TLS would not trust both: %s', async (_, make, message) => {
    const ca = make(texts);
    expect(await trustsBoth({ ca })).toBe(false);
    await expect(credentialsWith(ca).certificates()).rejects.toThrow(message);
  });
});

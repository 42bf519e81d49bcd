import { promises } from 'node:dns';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { parseEndpoints } from '../../src/config/endpoint.ts';
import { Diagnostics } from '../../src/diagnostics.ts';
import { Addresses } from '../../src/endpoint/addresses.ts';
import { DnsServer } from '../support/dns-server.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';

const NAME = '_forward._tcp.fluent.example';
const { listen, start, warnings } = exporterFixture();

/** The addresses of one endpoint, from a real lookup. */
function addressesOf(endpoint: string, tlsServerName?: string, clock: FakeClock = new FakeClock()): Addresses {
  return new Addresses({
    endpoints: parseEndpoints(endpoint),
    resolver: undefined,
    tlsServerName,
    connectTimeoutMillis: 5_000,
    clock,
    random: Math.random,
    diagnostics: new Diagnostics(clock),
  });
}

const failureOf = (addresses: Addresses) => addresses.acquire(undefined).catch((error: Error) => error.message);

describe('SRV lookups', () => {
  it('an SRV lookup returns addresses with their ports, priorities and weights', async () => {
    const dns = await DnsServer.start();
    dns.srv.set(NAME, [
      { priority: 1, weight: 20, port: 1001, target: '127.0.0.1' },
      { priority: 1, weight: 0, port: 1002, target: '127.0.0.1' },
      { priority: 2, port: 1003, target: '127.0.0.1' },
    ]);
    const addresses = addressesOf(`srv+tcp://${NAME}?weight=2`);
    await addresses.acquire(undefined);
    const found = addresses.all.map(({ text, priority, weight }) => ({ text, priority, weight }));
    expect(found.sort((a, b) => a.text.localeCompare(b.text))).toEqual([
      { text: '127.0.0.1:1001', priority: 1, weight: 40 },
      // RFC 2782 wants a small chance for a weight of 0.
      { text: '127.0.0.1:1002', priority: 1, weight: 2 },
      { text: '127.0.0.1:1003', priority: 2, weight: 2 },
    ]);
  });

  it('each dial asks for the SRV records again and looks up their targets', async () => {
    const dns = await DnsServer.start();
    dns.srv.set(NAME, [{ port: 1001, target: 'localhost' }]);
    const addresses = addressesOf(`srv+tcp://${NAME}`);
    expect((await addresses.acquire(undefined)).text).toMatch(/^(127\.0\.0\.1|\[::1\]):1001$/);
    dns.srv.set(NAME, [{ port: 1002, target: 'localhost' }]);
    expect((await addresses.acquire(undefined)).text).toMatch(/:1002$/);
    expect(dns.queries).toBe(2);
  });

  it('an SRV lookup leaves out an unresolvable target, and fails if no target resolves', async () => {
    const dns = await DnsServer.start();
    dns.srv.set(NAME, [
      { port: 1, target: 'nowhere.invalid' },
      { port: 1001, target: '127.0.0.1' },
    ]);
    const addresses = addressesOf(`srv+tcp://${NAME}`);
    await addresses.acquire(undefined);
    expect(addresses.all.map(({ text }) => text)).toEqual(['127.0.0.1:1001']);
    dns.srv.set(NAME, [{ port: 1, target: 'nowhere.invalid' }]);
    expect(await failureOf(addressesOf(`srv+tcp://${NAME}`))).toMatch(
      /^no address for srv\+tcp:\/\/_forward\._tcp\.fluent\.example: .*nowhere\.invalid/,
    );
  });

  it('a lookup of one SRV target that hangs does not stop the others, and is not repeated while it hangs', async () => {
    const dns = await DnsServer.start();
    const lookUp = vi.spyOn(promises, 'lookup');
    onTestFinished(() => lookUp.mockRestore());
    const hanging: ((found: { address: string; family: number }[]) => void)[] = [];
    lookUp.mockImplementation((async (target: string) =>
      target === '127.0.0.1'
        ? [{ address: target, family: 4 }]
        : new Promise((resolve) => hanging.push(resolve))) as never);
    dns.srv.set(NAME, [
      { port: 1001, target: 'hanging.test' },
      { port: 1002, target: '127.0.0.1' },
    ]);
    const clock = new FakeClock();
    const addresses = addressesOf(`srv+tcp://${NAME}`, undefined, clock);
    for (const dial of [1, 2]) {
      const found = addresses.acquire(undefined);
      await until(() => dns.queries === dial && lookUp.mock.results.length >= dial + 1);
      await clock.advance(4_500);
      expect((await found).text).toBe('127.0.0.1:1002');
    }
    expect(hanging).toHaveLength(1);
    hanging[0]?.([{ address: '127.0.0.2', family: 4 }]);
    await settle();
    const found = addresses.acquire(undefined);
    await until(() => hanging.length === 2);
    hanging[1]?.([{ address: '127.0.0.2', family: 4 }]);
    await found;
    expect(addresses.all.map(({ text }) => text).sort()).toEqual(['127.0.0.1:1002', '127.0.0.2:1001']);
  });

  it('the error for a missing SRV name says that the full name is needed', async () => {
    await DnsServer.start();
    expect(await failureOf(addressesOf('srv+tcp://_forward._tcp.fluent'))).toBe(
      'no address for srv+tcp://_forward._tcp.fluent: there are no SRV records for _forward._tcp.fluent (ENOTFOUND); ' +
        'it has to be the full name, such as _forward._tcp.fluent.logging.svc.cluster.local: no search list is applied to SRV names',
    );
  });

  it('the exporter warns and keeps the last SRV answer if a later lookup fails', async () => {
    const dns = await DnsServer.start();
    const receiver = await listen();
    dns.srv.set(NAME, [{ port: receiver.port, target: '127.0.0.1' }]);
    const { clock, send } = start({ endpoint: `srv+tcp://${NAME}`, rotationIntervalMillis: 1_000 });
    expect((await send('a')).code).toBe(0);
    dns.srv.set(NAME, 'SERVFAIL');
    await clock.advance(500);
    await until(() => receiver.connectionCount === 2);
    expect((await send('b')).code).toBe(0);
    expect(warnings()).toEqual([
      expect.stringMatching(
        /name lookup for srv\+tcp:.* failed \(.*ESERVFAIL.*\); going on with the last answer, 1 address/,
      ),
    ]);
  });

  it('TLS verifies the configured name and never the name of an SRV target', async () => {
    const dns = await DnsServer.start();
    dns.srv.set(NAME, [{ port: 1001, target: 'localhost' }]);
    const { target } = await addressesOf(`srv+tls://${NAME}`).acquire(undefined);
    expect(target).toMatchObject({ port: 1001, tls: { serverName: 'fluent.example' } });
    const other = await addressesOf(`srv+tls://${NAME}`, 'fluent.internal').acquire(undefined);
    expect(other.target).toMatchObject({ tls: { serverName: 'fluent.internal' } });
    expect((await addressesOf('tls://localhost').acquire(undefined)).target).toMatchObject({
      tls: { serverName: 'localhost' },
    });
  });
});

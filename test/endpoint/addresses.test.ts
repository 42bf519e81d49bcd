import { diag } from '@opentelemetry/api';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseEndpoints } from '../../src/config/endpoint.ts';
import type { ResolvedAddress } from '../../src/config/options.ts';
import { Diagnostics } from '../../src/diagnostics.ts';
import type { Address } from '../../src/endpoint/address.ts';
import { Addresses, type AddressesOptions } from '../../src/endpoint/addresses.ts';
import type { FoundAddress } from '../../src/endpoint/lookup.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { type LogLine, recordDiag } from '../support/harness.ts';

/** Addresses with what a test does not care about. */
function made(options: Partial<AddressesOptions> = {}): Addresses {
  const clock = new FakeClock();
  return new Addresses({
    endpoints: parseEndpoints('tcp://fluent'),
    resolver: undefined,
    tlsServerName: undefined,
    connectTimeoutMillis: 5_000,
    clock,
    random: Math.random,
    diagnostics: new Diagnostics(clock),
    ...options,
  });
}

/** Addresses whose ranks on the ring are those of the answer, and whose ring starts at the first. */
function addressesOf(...answer: string[]) {
  const clock = new FakeClock();
  const resolved = (list: string[]): ResolvedAddress[] => list.map((address) => ({ address }));
  let current = resolved(answer);
  let lookups = 0;
  let rank = 0;
  const addresses = made({
    resolver: async () => {
      lookups++;
      return current;
    },
    clock,
    random: () => {
      rank += 0.01;
      return rank;
    },
  });
  return {
    clock,
    addresses,
    /** A dial of now fails. */
    fail: async (address: Address) => {
      await clock.advance(1);
      return address.health.failed(clock.now());
    },
    answer: (...list: string[]) => {
      current = resolved(list);
    },
    answerWith: (list: readonly FoundAddress[]) => {
      current = [...list];
    },
    lookups: () => lookups,
    /** Dials, and ends the connection at once. */
    dial: async (avoid?: Address) => {
      const address = await addresses.acquire(avoid);
      addresses.release(address);
      return address;
    },
  };
}

const host = ({ target }: Address) => ('host' in target ? target.host : '');

describe('the choice of an address', () => {
  it('the exporter dials its addresses in turn, whatever their order in the answers', async () => {
    const { dial, answer } = addressesOf('10.0.0.1', '10.0.0.2', '10.0.0.3');
    const hosts = [host(await dial())];
    answer('10.0.0.3', '10.0.0.1', '10.0.0.2');
    for (let i = 0; i < 5; i++) hosts.push(host(await dial()));
    expect(hosts).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.1', '10.0.0.2', '10.0.0.3']);
  });

  it('the exporter starts with a random address of the answer', async () => {
    const starts = new Set<string>();
    for (let i = 0; i < 50; i++) {
      const addresses = made({
        resolver: async () => ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => ({ address })),
      });
      starts.add(host(await addresses.acquire(undefined)));
    }
    // 3 × (2/3)^50 is the chance that one is never the first.
    expect(starts.size).toBe(3);
  });

  it('a new connection avoids the address just left while another is healthy', async () => {
    const { dial, fail } = addressesOf('10.0.0.1', '10.0.0.2');
    const first = await dial();
    const second = await dial(first);
    expect(second).not.toBe(first);
    await fail(first);
    expect(await dial(second)).toBe(second);
  });

  it('a new connection goes to the address with the fewest connections', async () => {
    const { addresses } = addressesOf('10.0.0.1', '10.0.0.2', '10.0.0.3');
    const chosen = [];
    for (let i = 0; i < 6; i++) chosen.push(host(await addresses.acquire(undefined)));
    expect(chosen.slice(0, 3).sort()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect(chosen.slice(3).sort()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  });

  it('a failed address is left out for longer each time, then tried by one connection', async () => {
    const { addresses, clock, dial, fail } = addressesOf('10.0.0.1', '10.0.0.2');
    const bad = await dial();
    await fail(bad);
    const firstEjection = bad.health.ejectedForMillis;
    for (let i = 0; i < 4; i++) expect(await dial()).not.toBe(bad);
    await fail(bad);
    expect(bad.health.ejectedForMillis).toBeGreaterThan(firstEjection);
    await clock.advance(60_000);
    const good = await dial(bad);
    const trial = await addresses.acquire(good);
    expect(trial).toBe(bad);
    // It has not acknowledged anything yet.
    expect(await dial(good)).toBe(good);
    addresses.succeeded(bad);
    addresses.release(trial);
    expect(await dial(good)).toBe(bad);
  });

  it('a new connection goes to the address that failed longest ago if all have failed', async () => {
    const { addresses, clock, dial, fail } = addressesOf('10.0.0.1', '10.0.0.2');
    const first = await dial();
    const second = await dial(first);
    await fail(second);
    await clock.advance(1);
    await fail(first);
    expect(addresses.hasHealthy()).toBe(false);
    expect(await dial()).toBe(second);
  });

  it('a new connection stays in the IP family that last worked, and falls back to the other', async () => {
    const { addresses, dial, fail } = addressesOf('::1', '127.0.0.1', '::2', '127.0.0.2');
    const six = await dial();
    expect(six.family).toBe(6);
    await fail(six);
    const otherSix = await dial(six);
    expect(otherSix.family).toBe(6);
    await fail(otherSix);
    const four = await dial(otherSix);
    expect(four.family).toBe(4);
    addresses.succeeded(four);
    // Both families lead to the same receivers, so there is no reason to change once the other may be tried again.
    addresses.succeeded(six);
    addresses.succeeded(four);
    const families = new Set<number>();
    for (let i = 0; i < 4; i++) families.add((await dial()).family);
    expect([...families]).toEqual([4]);
  });

  it('the exporter forgets which IP family worked for a name once answers no longer have that name', async () => {
    const { addresses, answerWith, dial } = addressesOf();
    const pod = (target: string) => ['::1', '127.0.0.1'].map((address) => ({ address, target }));
    answerWith(pod('pod-1'));
    expect((await dial()).family).toBe(6);
    addresses.succeeded(addresses.all.find(({ family }) => family === 4) as Address);
    expect((await dial()).family).toBe(4);
    answerWith([{ address: '10.0.0.1', target: 'pod-2' }]);
    await dial();
    answerWith(pod('pod-1'));
    expect((await dial()).family).toBe(6);
  });

  it('a new answer adds new addresses and removes the missing ones', async () => {
    const { dial, answer, lookups } = addressesOf('10.0.0.1');
    const one = await dial();
    answer('10.0.0.2');
    expect(host(await dial(one))).toBe('10.0.0.2');
    expect(host(await dial())).toBe('10.0.0.2');
    expect(lookups()).toBe(3);
  });

  it('an answer may hold IPv6 addresses, ports and duplicates, and each address counts once', async () => {
    const clock = new FakeClock();
    const addresses = made({
      endpoints: parseEndpoints('tcp://fluent:1000'),
      resolver: async () => [{ address: '::1' }, { address: '::1', port: 1000 }, { address: '::1', port: 2000 }],
      clock,
    });
    const texts = [await addresses.acquire(undefined), await addresses.acquire(undefined)].map(({ text }) => text);
    expect(texts.sort()).toEqual(['[::1]:1000', '[::1]:2000']);
  });
});

describe('the targets of SRV records', () => {
  it('the exporter chooses the IP family for each SRV target separately', async () => {
    const { addresses, answerWith } = addressesOf('10.0.0.1');
    answerWith([
      { address: '10.0.0.1', target: 'a.example' },
      { address: '::1', target: 'b.example' },
      { address: '::2', target: 'c.example' },
      { address: '10.0.0.2', target: 'c.example' },
    ]);
    const hosts = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const address = await addresses.acquire(undefined);
      addresses.release(address);
      hosts.add(host(address));
    }
    expect([...hosts].sort()).toEqual(['10.0.0.1', '::1', '::2']);
  });
});

describe('lookups', () => {
  it('a lookup leaves out an invalid address beside valid ones', async () => {
    const addresses = made({ resolver: async () => [{ address: '10.0.0.1' }, { address: '10.0.0.2', port: 0 }] });
    await addresses.acquire(undefined);
    expect(addresses.all.map(({ text }) => text)).toEqual(['10.0.0.1:24224']);
  });

  it.each<[string, unknown]>([
    ['a host name', 'logs.example'],
    ['a host name that looks like a number', '10.0.0'],
    ['an IPv6 address in brackets', '[::1]'],
    ['an address with its port', '10.0.0.2:24224'],
    ['an address with a line break behind it', '10.0.0.2\n'],
    ['a zone with a control character', 'fe80::1%\u001b[31m'],
    ['no string', 5],
    ['an object that cannot be read', Object.create(null)],
  ])('a lookup leaves out what is no IP address, with a warning: %s', async (_, address) => {
    const log: LogLine[] = [];
    recordDiag(log);
    onTestFinished(() => diag.disable());
    const addresses = made({
      resolver: async () => [{ address: '10.0.0.1' }, { address: address as string }, { address: '::1' }],
    });
    await addresses.acquire(undefined);
    expect(addresses.all.map(({ text }) => text)).toEqual(['10.0.0.1:24224', '[::1]:24224']);
    expect(log).toEqual([
      [
        'warn',
        expect.stringMatching(
          /the resolver's answer for tcp:\/\/fluent:24224 has 1 unusable address\(es\), which are left out; the first is address .+, port 24224$/,
        ),
      ],
    ]);
    expect(log[0]?.[1]).not.toMatch(/\p{C}/u);
    const alone = made({ resolver: async () => [{ address: address as string }] });
    await expect(alone.acquire(undefined)).rejects.toThrow(
      /^no address for tcp:\/\/fluent:24224: the resolver gave address .+, port 24224$/,
    );
  });

  it('a lookup takes an IPv6 address with a zone', async () => {
    const addresses = made({ resolver: async () => [{ address: 'fe80::1%eth0' }] });
    expect((await addresses.acquire(undefined)).text).toBe('[fe80::1%eth0]:24224');
  });

  it('an empty answer does not change the known addresses', async () => {
    const { addresses, answerWith } = addressesOf('10.0.0.1');
    const address = await addresses.acquire(undefined);
    answerWith([]);
    await addresses.acquire(undefined);
    expect(address).toMatchObject({ weight: 1, priority: 0 });
  });

  it.each<[Partial<ResolvedAddress>, string]>([
    [{ address: '' }, 'address , port 24224'],
    [{ port: 0 }, 'address 10.0.0.1, port 0'],
    [{ port: 65_536 }, 'address 10.0.0.1, port 65536'],
    [{ priority: -1 }, 'priority -1, weight 1'],
    [{ weight: 0.5 }, 'priority 0, weight 0.5'],
  ])('a lookup fails if the resolver returns only an invalid address: %j', async (resolved, reason) => {
    const addresses = made({ resolver: async () => [{ address: '10.0.0.1', ...resolved }] });
    await expect(addresses.acquire(undefined)).rejects.toThrow(
      `no address for tcp://fluent:24224: the resolver gave ${reason}`,
    );
  });

  it('dials at the same time share one lookup, and a later dial makes another', async () => {
    const { addresses, lookups } = addressesOf('10.0.0.1', '10.0.0.2');
    await Promise.all([addresses.acquire(undefined), addresses.acquire(undefined)]);
    expect(lookups()).toBe(1);
    await addresses.acquire(undefined);
    expect(lookups()).toBe(2);
  });

  it('a lookup that never ends delays one dial and no later lookup', async () => {
    const clock = new FakeClock();
    let lookups = 0;
    const addresses = made({
      resolver: () => (++lookups === 1 ? new Promise(() => {}) : Promise.resolve([{ address: '10.0.0.1' }])),
      clock,
    });
    const first = addresses.acquire(undefined).catch((error: Error) => error.message);
    await clock.advance(5_000);
    expect(await first).toBe('no address for tcp://fluent:24224: no answer within 5000 ms');
    expect(host(await addresses.acquire(undefined))).toBe('10.0.0.1');
  });

  it('an answer that comes after its limit is used, unless that of a later lookup has come', async () => {
    const clock = new FakeClock();
    const answers: ((address: string) => void)[] = [];
    const resolver = () =>
      new Promise<ResolvedAddress[]>((resolve) => answers.push((address) => resolve([{ address }])));
    const addresses = made({ resolver, clock });
    const isLate = addresses.acquire(undefined).catch((error: Error) => error.message);
    await clock.advance(5_000);
    expect(await isLate).toMatch(/no answer within 5000 ms$/);
    answers[0]?.('10.0.0.1');
    await settle();
    expect(addresses.all.map(host)).toEqual(['10.0.0.1']);
    const second = addresses.acquire(undefined);
    await clock.advance(2_500);
    expect(host(await second)).toBe('10.0.0.1');
    const third = addresses.acquire(undefined);
    answers[2]?.('10.0.0.3');
    await third;
    answers[1]?.('10.0.0.2');
    await settle();
    expect(addresses.all.map(host)).toEqual(['10.0.0.3']);
  });

  it('the last answer stays in use if the resolver rejects with an unreadable value', async () => {
    const clock = new FakeClock();
    let answer = async () => [{ address: '10.0.0.1' }];
    const addresses = made({
      resolver: () => answer(),
      clock,
    });
    await addresses.acquire(undefined);
    answer = () => Promise.reject(Object.create(null));
    expect(host(await addresses.acquire(undefined))).toBe('10.0.0.1');
  });

  it('a partial answer does not erase the failures and connections of other addresses', async () => {
    const { addresses, answer, dial, fail } = addressesOf('10.0.0.1', '10.0.0.2');
    const bad = await dial();
    await fail(bad);
    const used = await addresses.acquire(bad);
    answer('10.0.0.3');
    await dial();
    answer('10.0.0.1', '10.0.0.2', '10.0.0.3');
    const next = await addresses.acquire(used);
    expect(host(next)).toBe('10.0.0.3');
    expect(bad.health.ejectedForMillis).toBeGreaterThan(0);
    expect(await addresses.acquire(next)).toBe(used);
  });

  it('the system resolver looks up the host name of an endpoint', async () => {
    const clock = new FakeClock();
    const addresses = made({
      endpoints: parseEndpoints('tcp://localhost'),
      clock,
    });
    expect((await addresses.acquire(undefined)).text).toMatch(/^(127\.0\.0\.1|\[::1\]):24224$/);
  });
});

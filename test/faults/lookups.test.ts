import { describe } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import { settle, until } from '../support/fake-clock.ts';
import { BACKOFF_MILLIS, type FaultCase, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

interface Address {
  readonly address: string;
  readonly port: number;
}

/** The addresses behind the name, and how a lookup of it goes; cases change both. */
const dns = { addresses: [] as Address[], look: async (): Promise<Address[]> => dns.addresses };

function named(...addresses: Address[]): FluentForwardLogExporterOptions {
  dns.addresses = addresses;
  dns.look = async () => dns.addresses;
  return { endpoint: 'tcp://fluent', resolver: () => dns.look() };
}

const at = (port: number, address = '127.0.0.1'): Address => ({ address, port });
/** Nobody listens there. */
const NOWHERE = at(1);

const fails = () => Promise.reject(new Error('SERVFAIL'));
const isEmpty = async () => [];
const hangs = () => new Promise<never>(() => {});
const takes = (millis: number, clock: Pick<Clock, 'after'>) => () =>
  new Promise<Address[]>((resolve) => clock.after(millis, () => resolve(dns.addresses)));

/** The name's first lookup goes as `look` says. */
function atFirst(look: () => Promise<Address[]>): Pick<FaultCase, 'options' | 'happens'> {
  return {
    options: ({ receiver }) => {
      const options = named(at(receiver.port));
      dns.look = look;
      return options;
    },
    happens: async (run) => {
      run.send();
      await run.warned();
      dns.look = async () => dns.addresses;
    },
  };
}

/** The first lookup is good. The next one, after the loss of the only connection, goes as `look` says. */
function later(
  look: (run: FaultRun) => () => Promise<Address[]>,
): Pick<FaultCase, 'options' | 'happens' | 'logsRecovery'> {
  return {
    options: ({ receiver }) => named(at(receiver.port)),
    happens: async (run) => {
      await run.prove();
      run.receiver.resetConnections();
      await until(() => run.sockets.open.length === 0);
      dns.look = look(run);
      run.send();
      await settle();
    },
    // Nothing was in flight, and the last answer is good enough.
    logsRecovery: false,
  };
}

const LAST_ANSWER = 'going on with the last answer, 1 address';

describe('name lookups', () => {
  testFaults([
    {
      name: 'the exporter repeats a failed first lookup after one backoff',
      ...atFirst(fails),
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no address for tcp:\/\/fluent:24224: SERVFAIL/],
    },
    {
      name: 'an export fails at its deadline if every lookup fails',
      options: () => ({ ...named(), resolver: fails }),
      happens: (run) => void run.send(),
      settlesAfter: 25_000,
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_LOOKUP_FAILED',
      warns: [/no address for tcp:\/\/fluent:24224: SERVFAIL/],
      isFinal: true,
    },
    {
      name: 'the exporter uses the last answer if a later lookup fails',
      ...later(() => fails),
      warns: [new RegExp(`failed \\(SERVFAIL\\); ${LAST_ANSWER}`)],
    },
    {
      name: 'the exporter repeats an empty first lookup after one backoff',
      ...atFirst(isEmpty),
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no address for tcp:\/\/fluent:24224: the answer was empty/],
    },
    {
      name: 'the exporter uses the last answer if a later lookup is empty',
      ...later(() => isEmpty),
      warns: [new RegExp(`failed \\(the answer was empty\\); ${LAST_ANSWER}`)],
    },
    {
      name: 'the exporter waits for a first lookup that takes almost the whole connect timeout',
      options: ({ receiver }) => named(at(receiver.port)),
      happens: (run) => {
        dns.look = takes(4_999, run.clock);
        run.send();
      },
      settlesAfter: 4_999,
    },
    {
      name: 'the exporter repeats a hanging first lookup after the connect timeout and one backoff',
      options: ({ receiver }) => named(at(receiver.port)),
      happens: async (run) => {
        dns.look = hangs;
        run.send();
        await settle();
        dns.look = async () => dns.addresses;
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/the name lookup took longer than 5000 ms/],
    },
    {
      name: 'the exporter waits for a later lookup that takes almost half the connect timeout',
      ...later((run) => takes(2_499, run.clock)),
      settlesAfter: 2_499,
    },
    {
      name: 'the exporter uses the last answer if a later lookup hangs for half the connect timeout',
      ...later(() => hangs),
      settlesAfter: 2_500,
      warns: [new RegExp(`failed \\(no answer within 2500 ms\\); ${LAST_ANSWER}`)],
    },
    {
      name: 'the exporter resends to the new address of a receiver that has moved',
      receivers: [{ messageFaults: [undefined, { kind: 'withhold' }] }, {}],
      options: ({ receiver }) => named(at(receiver.port)),
      happens: async (run) => {
        const [old, moved] = run.receivers;
        await run.prove();
        run.send();
        await until(() => old?.messageCount === 2);
        dns.addresses = [at(moved?.port ?? 0)];
        const warned = run.warned();
        await old?.close();
        await warned;
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/closed the connection/],
      duplicates: { exactly: 1, because: 'the old receiver had it, and went without an ack' },
    },
    {
      name: 'the exporter dials another address if one of three refuses the connection',
      receivers: [{}, {}],
      options: ({ receivers }) => named(NOWHERE, ...receivers.map(({ port }) => at(port))),
      happens: (run) => void run.send(),
      debugs: /127\.0\.0\.1:1\): connection refused.*another address is tried/,
    },
    ...(['127.0.0.1', '::1'] as const).map(
      (host, i): FaultCase => ({
        name: `the exporter dials the other address family if the receiver listens only on IPv${i === 0 ? 4 : 6}`,
        receivers: [{ host }],
        options: ({ receiver }) => named(at(receiver.port, i === 0 ? '::1' : '127.0.0.1'), at(receiver.port, host)),
        happens: (run) => void run.send(),
        debugs: /connection refused.*another address is tried/,
      }),
    ),
    {
      name: 'the exporter dials an IPv4 address after the connect timeout if the IPv6 address is a black hole',
      options: async (run) => {
        const hole = await run.openBlackHole('::1');
        return named(at(hole.port, '::1'), at(run.receiver.port));
      },
      happens: (run) => void run.send(),
      settlesAfter: 5_000,
      debugs: /the connect took longer than 5000 ms; another address is tried/,
    },
  ]);
});

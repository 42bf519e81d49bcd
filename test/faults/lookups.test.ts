import { describe } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import { settle, until } from '../support/fake-clock.ts';
import { BlackHole } from './children.ts';
import { BACKOFF_MILLIS, type FaultCase, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

interface Address {
  readonly address: string;
  readonly port: number;
}

/** What the name stands for, and how a lookup of it goes; cases change both. */
const dns = { addresses: [] as Address[], look: async (): Promise<Address[]> => dns.addresses };

function named(...addresses: Address[]): FluentForwardLogExporterOptions {
  dns.addresses = addresses;
  dns.look = async () => dns.addresses;
  return { endpoint: 'tcp://fluent', resolver: () => dns.look() };
}

const at = (port: number, address = '127.0.0.1'): Address => ({ address, port });
/** Nothing listens there. */
const NOWHERE = at(1);

const fails = () => Promise.reject(new Error('SERVFAIL'));
const isEmpty = async () => [];
const hangs = () => new Promise<never>(() => {});
const takes = (millis: number, clock: Pick<Clock, 'after'>) => () =>
  new Promise<Address[]>((resolve) => clock.after(millis, () => resolve(dns.addresses)));

/** The name's first lookup is a bad one. */
function first(look: () => Promise<Address[]>): Pick<FaultCase, 'options' | 'happens'> {
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

/** A lookup goes wrong after one that was good, when the only connection has been lost. */
function later(
  look: (run: FaultRun) => () => Promise<Address[]>,
): Pick<FaultCase, 'options' | 'happens' | 'tellsRecovery'> {
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
    // Nothing was in flight, and the last answer does.
    tellsRecovery: false,
  };
}

const LAST_ANSWER = 'going on with the last answer, 1 address';

describe('a lookup', () => {
  testFaults([
    {
      name: 'fails at the start',
      ...first(fails),
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no address for tcp:\/\/fluent:24224: SERVFAIL/],
    },
    {
      name: 'fails for good',
      options: () => ({ ...named(), resolver: fails }),
      happens: (run) => void run.send(),
      settlesAfter: 25_000,
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_LOOKUP_FAILED',
      warns: [/no address for tcp:\/\/fluent:24224: SERVFAIL/],
      isFinal: true,
    },
    {
      name: 'fails later',
      ...later(() => fails),
      warns: [new RegExp(`failed \\(SERVFAIL\\); ${LAST_ANSWER}`)],
    },
    {
      name: 'is empty at the start',
      ...first(isEmpty),
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no address for tcp:\/\/fluent:24224: the answer was empty/],
    },
    {
      name: 'is empty later',
      ...later(() => isEmpty),
      warns: [new RegExp(`failed \\(the answer was empty\\); ${LAST_ANSWER}`)],
    },
    {
      name: 'is slow at the start',
      options: ({ receiver }) => named(at(receiver.port)),
      happens: (run) => {
        dns.look = takes(4_999, run.clock);
        run.send();
      },
      settlesAfter: 4_999,
    },
    {
      name: 'hangs at the start',
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
      name: 'is slow later',
      ...later((run) => takes(2_499, run.clock)),
      settlesAfter: 2_499,
    },
    {
      name: 'hangs later',
      ...later(() => hangs),
      settlesAfter: 2_500,
      warns: [new RegExp(`failed \\(no answer within 2500 ms\\); ${LAST_ANSWER}`)],
    },
    {
      name: 'gives other addresses, as the receiver has moved',
      receivers: [{ messageFaults: [undefined, { kind: 'withhold' }] }, {}],
      options: ({ receiver }) => named(at(receiver.port)),
      happens: async (run) => {
        const [old, moved] = run.receivers;
        await run.prove();
        run.send();
        await until(() => old?.messageCount === 2);
        dns.addresses = [at(moved?.port ?? 0)];
        await old?.close();
        await run.warned();
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/closed the connection/],
      duplicates: { exactly: 1, because: 'the old receiver had it, and went without an ack' },
    },
    {
      name: 'gives three addresses, one of them dead',
      receivers: [{}, {}],
      options: ({ receivers }) => named(NOWHERE, ...receivers.map(({ port }) => at(port))),
      happens: (run) => void run.send(),
      debugs: /127\.0\.0\.1:1\): connection refused.*another address is tried/,
    },
    ...(['127.0.0.1', '::1'] as const).map(
      (host, i): FaultCase => ({
        name: `gives both families, with the receiver on IPv${i === 0 ? 4 : 6} only`,
        receivers: [{ host }],
        options: ({ receiver }) => named(at(receiver.port, i === 0 ? '::1' : '127.0.0.1'), at(receiver.port, host)),
        happens: (run) => void run.send(),
        debugs: /connection refused.*another address is tried/,
      }),
    ),
    {
      name: 'gives both families, one of them a black hole',
      options: async (run) => {
        const hole = run.use(await BlackHole.open('::1'));
        return named(at(hole.port, '::1'), at(run.receiver.port));
      },
      happens: (run) => void run.send(),
      settlesAfter: 5_000,
      debugs: /the connect took longer than 5000 ms; another address is tried/,
    },
  ]);
});

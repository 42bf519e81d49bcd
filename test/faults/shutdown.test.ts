import { describe } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { ACK_LOST, type FaultCase, sendAndAwaitArrival, sendAndAwaitWarning, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

const FLUSH_MILLIS = 10_000;
const ROTATION_MILLIS = 1_000;
const hangs = () => new Promise<never>(() => {});

let ack: HeldAck;

/** Acks wait for `ack.release()`. */
function hold(run: FaultRun): void {
  ack = new HeldAck();
  run.receiver.messageFaults = () => ack.fault;
}

/** Sends five chunks on a connection that has had an ack. */
async function sendFiveUnacknowledged(run: FaultRun): Promise<void> {
  await run.prove();
  hold(run);
  run.send(4);
  await sendAndAwaitArrival(run);
}

/** Begins a rotation while the exporter has nothing to send. */
async function rotate(run: FaultRun): Promise<void> {
  await run.prove();
  await run.clock.advance(ROTATION_MILLIS / 2);
}

/** A shutdown, and what comes before and after it. */
interface ShutdownCase extends Omit<FaultCase, 'happens' | 'isFinal'> {
  readonly before: (run: FaultRun) => void | Promise<void>;
  readonly after?: () => void;
}

const shutdownCase = ({ before, after, ...rest }: ShutdownCase): FaultCase => ({
  ...rest,
  happens: async (run) => {
    await before(run);
    void run.exporter.shutdown();
    after?.();
  },
  isFinal: true,
});

/** What shutdown logs about the exports that its flush gave up. */
const GIVEN_UP = /export\(s\) with .* failed in .*; code: FLUENT_FORWARD_FLUSH_TIMEOUT$/;
const UNANSWERED = { settlesAfter: FLUSH_MILLIS, results: ['FLUENT_FORWARD_FLUSH_TIMEOUT'] } as const;

const shutdowns: readonly ShutdownCase[] = [
  { name: 'shutdown before the first export leaves nothing behind', before: () => {} },
  {
    name: 'shutdown fails an export at the flush timeout if its name lookup hangs',
    options: () => ({ endpoint: 'tcp://fluent', resolver: hangs }),
    before: (run) => void run.send(),
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
    warns: [/the name lookup took longer/, GIVEN_UP],
  },
  {
    name: 'shutdown fails an export at the flush timeout if its connect hangs',
    options: async (run) => {
      const { port } = await run.openBlackHole();
      return { endpoint: `tcp://127.0.0.1:${port}` };
    },
    before: (run) => void run.send(),
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
    warns: [/the connect took longer/, GIVEN_UP],
  },
  {
    name: 'shutdown waits for the first ack of a new connection and then sends what is left',
    before: async (run) => {
      hold(run);
      await sendAndAwaitArrival(run);
      run.send();
    },
    after: () => ack.release(),
  },
  {
    name: 'shutdown fails an export at the flush timeout if a new connection gets no ack',
    before: async (run) => {
      hold(run);
      await sendAndAwaitArrival(run);
    },
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_ACK_TIMEOUT',
    warns: [/no ack within 5000 ms/, GIVEN_UP],
    duplicates: { exactly: 1, because: ACK_LOST },
  },
  {
    name: 'shutdown waits for the acks of all chunks in flight',
    before: sendFiveUnacknowledged,
    after: () => ack.release(),
  },
  {
    name: 'shutdown fails all chunks in flight at the flush timeout if no ack arrives',
    before: sendFiveUnacknowledged,
    settlesAfter: FLUSH_MILLIS,
    results: ['acknowledged', ...Array.from({ length: 5 }, () => 'FLUENT_FORWARD_FLUSH_TIMEOUT' as const)],
    cause: 'FLUENT_FORWARD_ACK_TIMEOUT',
    warns: [/no ack within 5000 ms/, GIVEN_UP],
    duplicates: { exactly: 1, because: 'a new connection carries one chunk until its first ack' },
  },
  {
    name: 'shutdown waits for the acks of a connection that its successor has replaced',
    options: () => ({ rotationIntervalMillis: ROTATION_MILLIS }),
    before: async (run) => {
      await run.prove();
      hold(run);
      await sendAndAwaitArrival(run);
      await run.clock.advance(ROTATION_MILLIS / 2);
      run.receiver.messageFaults = [];
      const [probe] = run.send();
      await until(() => probe?.calls === 1);
    },
    after: () => ack.release(),
  },
  {
    name: 'shutdown resends at once a chunk that waits for the end of a backoff',
    receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
    before: sendAndAwaitWarning,
    warns: [/reset the connection/],
    duplicates: { exactly: 1, because: ACK_LOST },
  },
  {
    name: 'shutdown fails an export at the flush timeout if every dial is refused',
    receivers: [],
    options: () => ({ endpoint: 'tcp://127.0.0.1:1' }),
    before: sendAndAwaitWarning,
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_CONNECT_FAILED',
    warns: [/connection refused/, GIVEN_UP],
  },
  {
    name: 'shutdown resends at once a chunk that waits after its ack timeout',
    receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
    before: async (run) => {
      await sendAndAwaitArrival(run);
      await run.clock.advance(5_000);
    },
    warns: [/no ack within 5000 ms/],
    duplicates: { exactly: 1, because: ACK_LOST },
  },
  {
    name: 'shutdown ends at once while a rotation looks up the name',
    options: ({ receiver }) => {
      let lookups = 0;
      const answer = async () => [{ address: '127.0.0.1', port: receiver.port }];
      const resolver = () => (lookups++ === 0 ? answer() : hangs());
      return { endpoint: 'tcp://fluent', resolver, rotationIntervalMillis: ROTATION_MILLIS };
    },
    before: rotate,
  },
  {
    name: 'shutdown ends at once while a rotation connects',
    options: async (run) => {
      const hole = await run.openBlackHole();
      const ports = [run.receiver.port];
      const resolver = async () => ports.splice(0, 1, hole.port).map((port) => ({ address: '127.0.0.1', port }));
      return { endpoint: 'tcp://fluent', resolver, rotationIntervalMillis: ROTATION_MILLIS };
    },
    before: async (run) => {
      await rotate(run);
      await until(() => run.sockets.open.length === 2);
    },
  },
  {
    name: 'shutdown ends at once while a successor connection waits for its first chunk',
    options: () => ({ rotationIntervalMillis: ROTATION_MILLIS }),
    before: async (run) => {
      await rotate(run);
      await until(() => run.openConnections === 2 && run.openAtExporter === 2);
    },
  },
  { name: 'shutdown ends at once while the connection is idle', before: (run) => run.prove() },
];

describe('shutdown', () => {
  testFaults(shutdowns.map(shutdownCase));
});

describe('forceFlush', () => {
  testFaults([
    {
      name: 'forceFlush resends at once a chunk that waits for the end of a backoff',
      receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
      happens: async (run) => {
        await sendAndAwaitWarning(run);
        void run.exporter.forceFlush();
      },
      warns: [/reset the connection/],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'forceFlush resends at once a chunk that waits after its ack timeout',
      receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
      happens: async (run) => {
        await sendAndAwaitArrival(run);
        await run.clock.advance(5_000);
        void run.exporter.forceFlush();
      },
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
  ]);
});

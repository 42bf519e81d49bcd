import { describe } from 'vitest';
import { settle, until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { BlackHole } from './children.ts';
import { type FaultCase, HAD_IT, meetsFault, meetsSilence, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

const FLUSH_MILLIS = 10_000;
const ROTATION_MILLIS = 1_000;
const hangs = () => new Promise<never>(() => {});

let ack: HeldAck;
let hole: BlackHole;

/** Acks wait for `ack.release()`. */
function hold(run: FaultRun): void {
  ack = new HeldAck();
  run.receiver.messageFaults = () => ack.fault;
}

/** A rotation dials, and the exporter has nothing to send. */
async function rotate(run: FaultRun): Promise<void> {
  await run.prove();
  await run.clock.advance(ROTATION_MILLIS / 2);
}

/** What comes before the shutdown; exports that have no ack by then get `code`. */
interface Phase extends Omit<FaultCase, 'name' | 'happens' | 'isFinal'> {
  readonly phase: string;
  readonly reach: (run: FaultRun) => void | Promise<void>;
  /** What comes after it. */
  readonly afterwards?: () => void;
}

const shutdownDuring = ({ phase, reach, afterwards, ...rest }: Phase): FaultCase => ({
  ...rest,
  name: `while ${phase}`,
  happens: async (run) => {
    await reach(run);
    void run.exporter.shutdown();
    afterwards?.();
  },
  isFinal: true,
});

const UNANSWERED = { settlesAfter: FLUSH_MILLIS, results: ['FLUENT_FORWARD_FLUSH_TIMEOUT'] } as const;

const phases: readonly Phase[] = [
  { phase: 'there has been no export', reach: () => {} },
  {
    phase: 'a name lookup hangs',
    options: () => ({ endpoint: 'tcp://fluent', resolver: hangs }),
    reach: (run) => void run.send(),
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
    warns: [/the name lookup took longer/],
  },
  {
    phase: 'a connect hangs',
    options: async (run) => {
      hole = run.use(await BlackHole.open());
      return { endpoint: `tcp://127.0.0.1:${hole.port}` };
    },
    reach: (run) => void run.send(),
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
    warns: [/the connect took longer/],
  },
  {
    phase: 'a new connection waits for its first ack, which comes',
    reach: async (run) => {
      hold(run);
      await meetsSilence(run);
      run.send();
    },
    afterwards: () => ack.release(),
  },
  {
    phase: 'a new connection waits for its first ack, which does not come',
    reach: async (run) => {
      hold(run);
      await meetsSilence(run);
    },
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_ACK_TIMEOUT',
    warns: [/no ack within 5000 ms/],
    duplicates: { exactly: 1, because: HAD_IT },
  },
  {
    phase: 'chunks are in flight, whose acks come',
    reach: async (run) => {
      await run.prove();
      hold(run);
      run.send(4);
      await meetsSilence(run);
    },
    afterwards: () => ack.release(),
  },
  {
    phase: 'chunks are in flight, whose acks do not come',
    reach: async (run) => {
      await run.prove();
      hold(run);
      run.send(4);
      await meetsSilence(run);
    },
    settlesAfter: FLUSH_MILLIS,
    results: ['acknowledged', ...Array.from({ length: 5 }, () => 'FLUENT_FORWARD_FLUSH_TIMEOUT' as const)],
    cause: 'FLUENT_FORWARD_ACK_TIMEOUT',
    warns: [/no ack within 5000 ms/],
    duplicates: { exactly: 1, because: 'a new connection carries one chunk until its first ack' },
  },
  {
    phase: 'an old connection drains behind its successor',
    options: () => ({ rotationIntervalMillis: ROTATION_MILLIS }),
    reach: async (run) => {
      await run.prove();
      hold(run);
      await meetsSilence(run);
      await run.clock.advance(ROTATION_MILLIS / 2);
      run.receiver.messageFaults = [];
      const [probe] = run.send();
      await until(() => probe?.calls === 1);
    },
    afterwards: () => ack.release(),
  },
  {
    phase: 'a chunk waits for the end of a backoff',
    receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
    reach: meetsFault,
    warns: [/reset the connection/],
    duplicates: { exactly: 1, because: HAD_IT },
  },
  {
    phase: 'a dial waits for the end of a backoff, in vain',
    receivers: [],
    options: () => ({ endpoint: 'tcp://127.0.0.1:1' }),
    reach: meetsFault,
    ...UNANSWERED,
    cause: 'FLUENT_FORWARD_CONNECT_FAILED',
    warns: [/connection refused/],
  },
  {
    phase: 'a chunk is postponed that may be refused',
    receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
    reach: async (run) => {
      await meetsSilence(run);
      await run.clock.advance(5_000);
    },
    warns: [/no ack within 5000 ms/],
    duplicates: { exactly: 1, because: HAD_IT },
  },
  {
    phase: 'the name is looked up for a rotation',
    options: ({ receiver }) => {
      let lookups = 0;
      const answer = async () => [{ address: '127.0.0.1', port: receiver.port }];
      const resolver = () => (lookups++ === 0 ? answer() : hangs());
      return { endpoint: 'tcp://fluent', resolver, rotationIntervalMillis: ROTATION_MILLIS };
    },
    reach: rotate,
  },
  {
    phase: 'a rotation connects',
    options: async (run) => {
      hole = run.use(await BlackHole.open());
      const ports = [run.receiver.port];
      const resolver = async () => ports.splice(0, 1, hole.port).map((port) => ({ address: '127.0.0.1', port }));
      return { endpoint: 'tcp://fluent', resolver, rotationIntervalMillis: ROTATION_MILLIS };
    },
    reach: async (run) => {
      await rotate(run);
      await until(() => run.sockets.open.length === 2);
    },
  },
  {
    phase: 'a successor waits for its first chunk',
    options: () => ({ rotationIntervalMillis: ROTATION_MILLIS }),
    reach: async (run) => {
      await rotate(run);
      await until(() => run.openConnections === 2);
      await settle();
    },
  },
  { phase: 'the connection is idle', reach: (run) => run.prove() },
];

describe('shutdown()', () => {
  testFaults(phases.map(shutdownDuring));
});

describe('forceFlush()', () => {
  testFaults([
    {
      name: 'cuts a backoff short',
      receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
      happens: async (run) => {
        await meetsFault(run);
        void run.exporter.forceFlush();
      },
      warns: [/reset the connection/],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'cuts the wait of a postponed chunk short',
      receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
      happens: async (run) => {
        await meetsSilence(run);
        await run.clock.advance(5_000);
        void run.exporter.forceFlush();
      },
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: HAD_IT },
    },
  ]);
});

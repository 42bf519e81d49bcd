import { describe, expect } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { testFaults } from './fault-case.ts';

const MANY = 10_000;

describe('10,000 exports at once', () => {
  testFaults([
    {
      name: 'are all acknowledged over one connection',
      happens: async (run) => {
        await run.prove();
        const { listeners } = run.sockets;
        run.send(MANY);
        await until(() => run.isSettled);
        expect(run.sockets.dialled).toBe(1);
        expect(run.sockets.listeners).toBe(listeners);
      },
      // The receiver's part and the test's own are in there too.
      grows: 128,
    },
    {
      name: 'all fail where no receiver is',
      receivers: [],
      options: () => ({ endpoint: 'tcp://127.0.0.1:1' }),
      happens: async (run) => {
        run.send(MANY);
        await run.warned();
        expect(run.sockets.open.length).toBeLessThanOrEqual(1);
      },
      settlesAfter: 25_000,
      results: Array.from({ length: MANY }, () => 'FLUENT_FORWARD_TIMEOUT'),
      cause: 'FLUENT_FORWARD_CONNECT_FAILED',
      warns: [/connection refused/],
      grows: 128,
      isFinal: true,
    },
  ]);
});

import type { MeterProvider } from '@opentelemetry/api';
import { Counters } from '../../src/stats.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { FakeClock } from './fake-clock.ts';

export const COMPONENT = {
  'otel.component.type': 'fluent_forward_log_processor',
  'otel.component.name': 'fluent_forward_log_processor/0',
};

/** The metrics of a processor, over counters and a memory that a test fills. */
export function processorMetrics(provider: MeterProvider) {
  const counters = new Counters();
  const memory = { usedBytes: 0, limitBytes: 1_000_000 };
  const metrics = new Metrics({
    meter: provider.getMeter('test'),
    componentType: 'fluent_forward_log_processor',
    name: COMPONENT['otel.component.name'],
    endpoints: [],
    clock: new FakeClock(),
    counters,
    memory,
    connections: () => [],
    warn: (_, message) => {
      throw new Error(message);
    },
  });
  return { counters, memory, metrics };
}

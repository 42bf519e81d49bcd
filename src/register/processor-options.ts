import { VARIABLE_PREFIX } from '../config/env.ts';
import type { FluentForwardLogRecordProcessorOptions } from '../config/options.ts';
import { PROCESSOR_RULES } from '../config/rules.ts';
import type { Variables } from './variables.ts';

/** What they set does not exist here: a queue of records, batches, and a limit for one export. */
const WITHOUT_EFFECT = [
  'OTEL_BLRP_EXPORT_TIMEOUT',
  'OTEL_BLRP_MAX_QUEUE_SIZE',
  'OTEL_BLRP_MAX_EXPORT_BATCH_SIZE',
] as const;

/** The options that variables of OpenTelemetry's own set. */
export function readProcessorOptions(variables: Variables): FluentForwardLogRecordProcessorOptions {
  return { ...readDelay(variables), ...readMetrics(variables) };
}

/** As OpenTelemetry's NodeSDK turns on the metrics of its own parts. */
function readMetrics(variables: Variables): FluentForwardLogRecordProcessorOptions {
  return variables.boolean('OTEL_NODE_EXPERIMENTAL_SDK_METRICS', false) ? { selfObsMeterProvider: true } : {};
}

/** `OTEL_BLRP_SCHEDULE_DELAY`, unless the processor has a variable of its own for it. */
function readDelay(variables: Variables): FluentForwardLogRecordProcessorOptions {
  const { variable, fallback } = PROCESSOR_RULES.scheduledDelayMillis;
  if (variables.text(`${VARIABLE_PREFIX}${variable}`) !== undefined) return {};
  return { scheduledDelayMillis: variables.integer('OTEL_BLRP_SCHEDULE_DELAY', 0, fallback) };
}

/** Says which of the variables for `BatchLogRecordProcessor` have no effect. Undefined if none of these is set. */
export function describeIgnored(variables: Variables): string | undefined {
  const names = WITHOUT_EFFECT.filter((name) => variables.text(name) !== undefined);
  if (names.length === 0) return undefined;
  return `these variables have no effect: ${names.join(', ')}; FluentForwardLogRecordProcessor has no queue, and ${VARIABLE_PREFIX}MAX_IN_FLIGHT_BYTES limits what it holds`;
}

import type { LoggerProviderOptions } from '@opentelemetry/sdk-logs';
import type { Variables } from './variables.ts';

/** `OTEL_LOGRECORD_*`, else the variables for all signals; the fallbacks are those of the specification. */
export function readRecordLimits(variables: Variables): NonNullable<LoggerProviderOptions['logRecordLimits']> {
  const limit = (name: string, fallback: number) =>
    variables.integer(`OTEL_LOGRECORD_${name}`, 0, variables.integer(`OTEL_${name}`, 0, fallback));
  return {
    attributeCountLimit: limit('ATTRIBUTE_COUNT_LIMIT', 128),
    attributeValueLengthLimit: limit('ATTRIBUTE_VALUE_LENGTH_LIMIT', Number.POSITIVE_INFINITY),
  };
}

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { isEmpty } from './field.ts';

export type Scope = ReadableLogRecord['instrumentationScope'];

/** The parts of a scope that are sent, by the names of their fields. */
export interface ScopeFields {
  readonly name: string | undefined;
  readonly version: string | undefined;
  readonly schema_url: string | undefined;
  readonly attributes: object | undefined;
}

export function scopeFields({ name, version, schemaUrl, attributes }: Scope): ScopeFields {
  return {
    name: name || undefined,
    version: version || undefined,
    schema_url: schemaUrl || undefined,
    attributes: isEmpty(attributes) ? undefined : attributes,
  };
}

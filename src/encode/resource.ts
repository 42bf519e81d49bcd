import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { hasField, isObject } from './field.ts';
import { readProperty } from './value.ts';

export type Resource = ReadableLogRecord['resource'];

/** Which attributes of a resource are sent: all, none, or those with the listed names. */
export type ResourceAttributes = boolean | readonly string[];

/** The parts of a resource that are sent. */
export function selectResource(
  resource: Resource,
  selection: ResourceAttributes,
): { attributes: object | undefined; schemaUrl: unknown } {
  if (selection === false) return { attributes: undefined, schemaUrl: undefined };
  const attributes: object | undefined = resource.attributes;
  const schemaUrl = resource.schemaUrl || undefined;
  if (selection === true || !isObject(attributes)) return { attributes, schemaUrl };
  const names = selection.filter((name) => hasField(attributes, name));
  return { attributes: Object.fromEntries(names.map((name) => [name, readProperty(attributes, name)])), schemaUrl };
}

/** Whether all detectors have finished. Until then the resource can get more attributes. */
export function isComplete({ asyncAttributesPending }: Resource): boolean {
  return !asyncAttributesPending;
}

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { hasField, isObject, setField } from './field.ts';
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

/**
 * Returns a resource with the attributes that are known now. While a resource is pending, reading its `attributes` logs
 * an error through `diag`, so that its raw attributes are read, where it has them.
 */
export function knownPart(resource: Resource): Resource {
  const { schemaUrl } = resource;
  if (typeof resource.getRawAttributes !== 'function') return { ...resource, attributes: resource.attributes };
  const attributes: Record<string, unknown> = {};
  for (const [name, value] of resource.getRawAttributes()) {
    const isKnown =
      value !== undefined && value !== null && typeof (value as Partial<Promise<unknown>>).then !== 'function';
    // The first one counts, as it does for the SDK.
    if (isKnown && !Object.hasOwn(attributes, name)) setField(attributes, name, value);
  }
  return { attributes, schemaUrl } as Resource;
}

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

/** The attributes of a resource that is pending. */
export class PendingAttributes {
  readonly #resource: Resource;
  /** The values of promises that are fulfilled. */
  readonly #values = new Map<unknown, unknown>();

  constructor(resource: Resource) {
    this.#resource = resource;
    for (const [, value] of this.#raw) if (isThenable(value)) this.#note(value);
  }

  /**
   * A resource with the attributes that are known now. The SDK awaits one attribute after the other, so that all that
   * follow a slow one count as pending. While a resource is pending, reading its `attributes` logs an error.
   */
  get known(): Resource {
    const attributes: Record<string, unknown> = {};
    for (const [name, raw] of this.#raw) {
      const value = isThenable(raw) ? this.#values.get(raw) : raw;
      // The first one counts, as it does for the SDK.
      if (value !== undefined && value !== null && !Object.hasOwn(attributes, name)) setField(attributes, name, value);
    }
    return { attributes, schemaUrl: this.#resource.schemaUrl } as Resource;
  }

  get #raw(): readonly (readonly [name: string, value: unknown])[] {
    const { getRawAttributes } = this.#resource;
    return typeof getRawAttributes === 'function'
      ? getRawAttributes.call(this.#resource)
      : Object.entries(this.#resource.attributes);
  }

  #note(promise: PromiseLike<unknown>): void {
    Promise.resolve(promise).then(
      (value) => this.#values.set(promise, value),
      () => {},
    );
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && typeof (value as Partial<PromiseLike<unknown>>).then === 'function';
}

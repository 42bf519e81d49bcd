import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { record } from '../support/records.ts';

export type Flavor =
  | 'plain'
  /** A part of it throws when it is read. */
  | 'unencodable'
  /** The layout function leaves it out. */
  | 'filtered'
  /** Another record is logged while it is encoded. */
  | 'nesting'
  /** Its severity throws when it is read. */
  | 'unreadable severity'
  /** Receivers refuse its chunk. */
  | 'poison'
  /** Its resource is pending. */
  | 'pending';

export interface FlavoredRecord {
  readonly id: number;
  readonly severityNumber: number | undefined;
  readonly tag: string;
  readonly bytes: number;
  readonly flavor: Flavor;
  readonly scope: object;
  /** For the flavor `pending`. */
  readonly resource: object;
  /** For the flavor `nesting`. */
  readonly logNested: () => void;
}

/** Makes a record whose body contains its number. */
export function flavoredRecord(from: FlavoredRecord): ReadableLogRecord {
  const { bytes, flavor, id, logNested, resource, scope, severityNumber, tag } = from;
  const attributes: Record<string, unknown> = { tag };
  if (flavor === 'filtered') attributes.filtered = true;
  if (flavor === 'nesting') defineGetter(attributes, 'value', logNested);
  const made = record({
    body: `#${id}#${'x'.repeat(bytes)}`,
    severityNumber,
    attributes,
    instrumentationScope: scope,
    ...(flavor === 'pending' && { resource }),
  });
  if (flavor === 'unencodable') defineGetter(made, 'spanContext', throwError);
  if (flavor === 'unreadable severity') {
    let reads = 0;
    // Only the processor's own read fails.
    defineGetter(made, 'severityNumber', () => (reads++ === 0 ? throwError() : undefined));
  }
  return made;
}

export interface PendingResource {
  readonly resource: object;
  /** The detector finishes. */
  readonly complete: () => void;
}

/** A resource with a detector that finishes when the test says so. */
export function pendingResource(): PendingResource {
  let done = () => {};
  const waited = new Promise<void>((resolve) => {
    done = resolve;
  });
  const resource = {
    attributes: { name: 'early' } as Record<string, unknown>,
    asyncAttributesPending: true,
    waitForAsyncAttributes: () => waited,
  };
  const complete = () => {
    resource.attributes = { name: 'late', 'host.id': 'x'.repeat(100) };
    resource.asyncAttributesPending = false;
    done();
  };
  return { resource, complete };
}

/** The number of a record, wherever the layout puts its body. Undefined for records that code of the processor emitted. */
export function idIn(entry: unknown): number | undefined {
  const { message, log } = entry as { message?: unknown; log?: unknown };
  const id = /^#(\d+)#/.exec(String(message ?? log))?.[1];
  return id === undefined ? undefined : Number(id);
}

function defineGetter(target: object, name: string, get: () => unknown): void {
  Object.defineProperty(target, name, { get, enumerable: true, configurable: true });
}

function throwError(): never {
  throw new Error('thrown by a record');
}

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { ignoreRejection, messageOf } from '../errors.ts';
import { describe } from './describe.ts';
import type { Resource } from './resource.ts';

/** Determines the tag of each record. */
export interface Tagger {
  /** The tag of records whose own tag cannot be determined. */
  readonly fallback: string;
  /** Returns the tag of a record, with `resource`, if given, in place of the record's own. Never throws. */
  tagOf(record: ReadableLogRecord, resource?: Resource): string;
  /** Returns the tag of a record whose resource is not known completely. Never throws. */
  deferredTagOf(record: ReadableLogRecord): DeferredTag;
}

/** A tag, or a template in which only attributes of the resource are missing. */
export type DeferredTag = string | TagTemplate;

export function completeTag(tag: DeferredTag, resource: Resource): string {
  return typeof tag === 'string' ? tag : tag.tagOf({} as ReadableLogRecord, resource);
}

/** Makes the tag of a record. */
export type TagFunction = (record: ReadableLogRecord) => string;

export const DEFAULT_TAG = 'opentelemetry.logs';
export const MAX_TAG_BYTES = 1024;
/** A part of a tag is the text between two dots. A `*` in a receiver's `match` stands for one part. */
const MAX_PART_LENGTH = 128;
const DEFAULT_FALLBACK = 'unknown';

export const TAG_RULE: string =
  `a string of 1 to ${MAX_TAG_BYTES} bytes, ` +
  'in which ${resource.<attribute>}, ${attributes.<attribute>}, ${scope.name}, ${severity_text} and ${event_name} ' +
  'stand for what a record has, each with :-<fallback> before the } if need be; or a function (record) => string';

/** A part of a tag that comes from the record. */
interface Placeholder {
  read(record: ReadableLogRecord, resource: Resource | undefined): unknown;
  readonly fallback: string;
  readonly isOfResource: boolean;
}

/** A tag with placeholders for fields of the record. */
export class TagTemplate implements Tagger {
  readonly fallback: string;
  readonly #parts: readonly (string | Placeholder)[];

  constructor(parts: readonly (string | Placeholder)[]) {
    this.#parts = parts;
    this.fallback = parts.map((part) => (typeof part === 'string' ? part : part.fallback)).join('');
  }

  get usesResource(): boolean {
    return this.#parts.some((part) => typeof part !== 'string' && part.isOfResource);
  }

  tagOf(record: ReadableLogRecord, resource?: Resource): string {
    let tag = '';
    for (const part of this.#parts) tag += typeof part === 'string' ? part : partOf(record, resource, part);
    return tag;
  }

  deferredTagOf(record: ReadableLogRecord): DeferredTag {
    const parts = this.#parts.map((part) =>
      typeof part === 'string' || part.isOfResource ? part : partOf(record, undefined, part),
    );
    return parts.every((part) => typeof part === 'string') ? parts.join('') : new TagTemplate(parts);
  }
}

/** Returns exactly one part of the tag. A dot in it would shift the parts that a receiver's `match` counts. */
function partOf(record: ReadableLogRecord, resource: Resource | undefined, { read, fallback }: Placeholder): string {
  let value: unknown;
  try {
    value = read(record, resource);
  } catch {
    return fallback;
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return fallback;
  const part = String(value).slice(0, MAX_PART_LENGTH);
  return part === '' ? fallback : part.replace(/[^A-Za-z0-9_-]/g, '_');
}

/**
 * Parses a value of the option `tag`. A text without placeholders is returned as it is.
 * @throws RangeError with the mistake and the number of its character.
 */
export function parseTag(text: string): string | TagTemplate {
  const parts: (string | Placeholder)[] = [];
  let end = 0;
  for (let start = text.indexOf('${'); start !== -1; start = text.indexOf('${', end)) {
    const close = text.indexOf('}', start);
    if (close === -1) throw new RangeError(`character ${start + 1}: no } ends it`);
    parts.push(text.slice(end, start), placeholder(text.slice(start + 2, close), start + 1));
    end = close + 1;
  }
  if (parts.length === 0) return text;
  parts.push(text.slice(end));
  const bytes = parts.reduce<number>((sum, part) => sum + maxBytes(part), 0);
  if (bytes > MAX_TAG_BYTES) throw new RangeError(`it can become ${bytes} bytes long`);
  return new TagTemplate(parts);
}

function maxBytes(part: string | Placeholder): number {
  return typeof part === 'string' ? Buffer.byteLength(part) : MAX_PART_LENGTH;
}

/** `character` is where the placeholder begins. */
function placeholder(content: string, character: number): Placeholder {
  const separator = content.indexOf(':-');
  const name = separator === -1 ? content : content.slice(0, separator);
  const fallback = separator === -1 ? DEFAULT_FALLBACK : content.slice(separator + 2);
  if (!/^[A-Za-z0-9_-]+$/.test(fallback) || fallback.length > MAX_PART_LENGTH) {
    throw new RangeError(
      `character ${character + 2 + separator + 2}: a fallback is 1 to ${MAX_PART_LENGTH} of A-Z, a-z, 0-9, _ and -`,
    );
  }
  const read = reader(name);
  if (read === undefined) throw new RangeError(`character ${character}: unknown field ${name}`);
  return { read, fallback, isOfResource: name.startsWith('resource.') };
}

function reader(name: string): Placeholder['read'] | undefined {
  switch (name) {
    case 'scope.name':
      return ({ instrumentationScope }) => instrumentationScope.name;
    case 'severity_text':
      return ({ severityText }) => severityText;
    case 'event_name':
      return ({ eventName }) => eventName;
  }
  const [, map, attribute] = /^(resource|attributes)\.(.+)$/s.exec(name) ?? [];
  if (attribute === undefined) return undefined;
  return map === 'resource'
    ? (record, resource) => (resource ?? record.resource).attributes[attribute]
    : ({ attributes }) => attributes[attribute];
}

/** Calls a function of the application for each tag, and replaces characters that receivers would not route. */
export class FunctionTagger implements Tagger {
  readonly fallback: string = DEFAULT_TAG;
  readonly #makeTag: TagFunction;
  readonly #warn: (cause: string, message: string) => void;

  constructor(makeTag: TagFunction, warn: (cause: string, message: string) => void) {
    this.#makeTag = makeTag;
    this.#warn = warn;
  }

  /** The function sees what is known of the resource. */
  deferredTagOf(record: ReadableLogRecord): string {
    return this.tagOf(record);
  }

  tagOf(record: ReadableLogRecord): string {
    let tag: unknown;
    try {
      tag = this.#makeTag(record);
    } catch (error) {
      this.#warn('tag function', `the tag function threw: ${messageOf(error)}; using ${this.fallback}`);
    }
    if (typeof tag === 'string' && tag !== '') return tag.slice(0, MAX_TAG_BYTES).replace(/[^A-Za-z0-9_.-]/g, '_');
    // A function may return no tag for a record. Any other value, such as the promise of an async function, is a
    // mistake.
    if (tag !== undefined && tag !== '') {
      ignoreRejection(tag);
      this.#warn('tag result', `the tag function returned ${describe(tag)}, no string; using ${this.fallback}`);
    }
    return this.fallback;
  }
}

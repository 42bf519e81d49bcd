import { printable } from '../printable.ts';
import type { Variables } from './variables.ts';

export type Attributes = Readonly<Record<string, string>>;

/**
 * `OTEL_RESOURCE_ATTRIBUTES`, with `OTEL_SERVICE_NAME` above it. As the specification asks, the whole
 * list is left out when an entry of it is bad.
 */
export function readResourceAttributes(variables: Variables): Attributes {
  const attributes = variables.parsed<Attributes | undefined>(
    'OTEL_RESOURCE_ATTRIBUTES',
    'key=value,key=value with percent-encoding',
    parse,
    undefined,
  );
  const serviceName = variables.text('OTEL_SERVICE_NAME');
  return { ...attributes, ...(serviceName === undefined ? {} : { 'service.name': serviceName }) };
}

function parse(list: string): Attributes {
  const entries = list.split(',').filter((entry) => entry.trim() !== '');
  return Object.fromEntries(entries.map(parseEntry));
}

function parseEntry(entry: string): readonly [key: string, value: string] {
  const parts = entry.split('=');
  const [key, value] = parts.map((part) => decode(part.trim()));
  if (parts.length !== 2 || key === undefined || key === '' || value === undefined) {
    throw new Error(`"${printable(entry)}" is no key=value; an = in either is written %3D`);
  }
  return [key, value];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`"${printable(text)}" cannot be percent-decoded`);
  }
}

import { CONTROLS } from '../printable.ts';

/**
 * JSON of what MessagePack can hold: bytes become base64, integers that JSON's readers would round become
 * strings. Nothing in it commands a terminal.
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, encodable, indent).replace(CONTROLS, unicodeEscape);
}

function encodable(this: unknown, key: string, value: unknown): unknown {
  // Before `Buffer.toJSON()` is asked.
  const given: unknown = (this as Record<string, unknown>)[key];
  if (given instanceof Uint8Array) return Buffer.from(given).toString('base64');
  return typeof value === 'bigint' ? String(value) : value;
}

/** A newline between tokens is the only control character in JSON that is not escaped yet and may stay. */
function unicodeEscape(character: string): string {
  if (character === '\n') return character;
  let escaped = '';
  for (let i = 0; i < character.length; i++) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}

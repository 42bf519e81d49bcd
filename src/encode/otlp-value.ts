import { ValueWriter } from './value.ts';

const SYMBOL_FOR_NUL = '\u2400';
const SYMBOL_FOR_NUL_BYTES = 3;

/**
 * Writes values so that Fluent Bit converts them to the same values in OTLP. Values that JSON cannot represent, such
 * as bytes and NaN, are not replaced by strings.
 */
export class OtlpValueWriter extends ValueWriter {
  /** Fluent Bit cuts a string at its first NUL. */
  protected override readable(text: string): string {
    return text.includes('\0') ? text.replaceAll('\0', SYMBOL_FOR_NUL) : text;
  }

  /** Does not make the whole text, because the writer may keep only a part of it. */
  protected override readableBytes(text: string): number {
    return super.readableBytes(text) + nulsIn(text) * (SYMBOL_FOR_NUL_BYTES - 1);
  }

  protected override number(value: number): void {
    if (Object.is(value, -0)) this.writer.float64(value);
    else this.writer.number(value);
  }

  protected override bytes(bytes: Buffer): void {
    // Fluent Bit's OTLP output crashes when it reads bytes of length 0, and crashes again at each restart.
    if (bytes.length === 0) this.writer.string('');
    else if (bytes.length <= this.maxStringBytes) this.writer.bin(bytes);
    else super.bytes(bytes);
  }
}

function nulsIn(text: string): number {
  const first = text.indexOf('\0');
  if (first === -1) return 0;
  let count = 0;
  for (let i = first; i < text.length; i++) if (text.charCodeAt(i) === 0) count++;
  return count;
}

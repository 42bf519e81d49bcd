import { ValueWriter } from './value.ts';

const SYMBOL_FOR_NUL = '\u2400';

/**
 * Writes values so that Fluent Bit makes of them the OTLP values that they are: what JSON cannot
 * hold, such as bytes and NaN, stays itself.
 */
export class OtlpValueWriter extends ValueWriter {
  override string(value: string): void {
    super.string(withoutNul(value));
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

  protected override received(name: string): string {
    return super.received(withoutNul(name));
  }

  protected override unchanged(name: string): boolean {
    return !name.includes('\0') && super.unchanged(name);
  }
}

/** Fluent Bit keeps of a string what stands before a NUL. */
function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', SYMBOL_FOR_NUL) : text;
}

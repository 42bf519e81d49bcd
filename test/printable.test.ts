import { describe, expect, it } from 'vitest';
import { printable } from '../src/printable.ts';

describe('text of others in a message', () => {
  it('keeps what can be read', () => {
    const text = 'größe 数 👍🏽 "quoted" \\ <a> $1';
    expect(printable(text)).toBe(text);
  });

  it('escapes every control character, whatever it controls', () => {
    for (let code = 0; code <= 0xffff; code++) {
      const character = String.fromCharCode(code);
      const isControl = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u.test(character);
      expect(printable(`a${character}b`)).toBe(isControl ? `a\\u{${code.toString(16)}}b` : `a${character}b`);
    }
    expect(printable('\u{e0041}')).toBe('\\u{e0041}');
  });

  it('is cut before it is escaped, so that its length is bounded', () => {
    expect(printable('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
    expect(printable('\n'.repeat(1e6)).length).toBeLessThan(2_000);
    // A pair that the cut parts.
    expect(printable(`${'x'.repeat(199)}👍`)).toBe(`${'x'.repeat(199)}\\u{d83d}…`);
  });
});

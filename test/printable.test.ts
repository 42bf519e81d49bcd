import { describe, expect, it } from 'vitest';
import { printable } from '../src/printable.ts';

describe('printable', () => {
  it('printable keeps letters, emoji, quotes and backslashes as they are', () => {
    const text = 'größe 数 👍🏽 "quoted" \\ <a> $1';
    expect(printable(text)).toBe(text);
  });

  it('printable escapes every control, format, surrogate and unassigned character', () => {
    const codes = Array.from({ length: 0x10000 }, (_, code) => code);
    const expected = codes.map((code) => {
      const character = String.fromCharCode(code);
      const isControl = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u.test(character);
      return isControl ? `a\\u{${code.toString(16)}}b` : `a${character}b`;
    });
    expect(codes.map((code) => printable(`a${String.fromCharCode(code)}b`))).toEqual(expected);
    expect(printable('\u{e0041}')).toBe('\\u{e0041}');
  });

  it('printable cuts text before it escapes it so that the length is bounded', () => {
    expect(printable('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
    expect(printable('\n'.repeat(1e6)).length).toBeLessThan(2_000);
    // The cut parts a surrogate pair.
    expect(printable(`${'x'.repeat(199)}👍`)).toBe(`${'x'.repeat(199)}\\u{d83d}…`);
  });
});

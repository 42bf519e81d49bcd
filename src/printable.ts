const MAX_CHARACTERS = 200;

/**
 * A text that somebody else has written, as it may stand in a message: control characters, line
 * separators and what changes the direction of writing are escaped (`\u{1b}`), so that it can
 * neither forge a line of a log nor command a terminal, and it is cut at 200 characters.
 */
export function printable(text: string): string {
  const cut = text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

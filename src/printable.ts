const MAX_CHARACTERS = 200;

/**
 * A text that somebody else has written, as it may stand in a message: {@link escapeControls} of it,
 * cut at 200 characters.
 */
export function printable(text: string): string {
  return escapeControls(text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text);
}

/**
 * Escapes control characters, line separators and what changes the direction of writing (`\u{1b}`), so
 * that the text can neither forge a line of a log nor command a terminal.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

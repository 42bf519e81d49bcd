const MAX_CHARACTERS = 200;

/** Control characters, line separators and what changes the direction of writing. */
export const CONTROLS: RegExp = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * A text that somebody else has written, as it may stand in a message: {@link escapeControls} of it,
 * cut at 200 characters.
 */
export function printable(text: string): string {
  return escapeControls(text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text);
}

/** Escapes {@link CONTROLS} (`\u{1b}`), so that the text can neither forge a line of a log nor command a terminal. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

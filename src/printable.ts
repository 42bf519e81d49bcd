const MAX_CHARACTERS = 200;

/** Control characters, line separators and what changes the direction of writing. */
export const CONTROLS: RegExp = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Makes text from elsewhere safe for a message: escapes it by {@link escapeControls}, and cuts it at `maxCharacters`,
 * by default 200.
 */
export function printable(text: string, maxCharacters: number = MAX_CHARACTERS): string {
  return escapeControls(text.length > maxCharacters ? `${text.slice(0, maxCharacters)}…` : text);
}

/** {@link printable} of any value of the application. Never throws. */
export function printableValue(value: unknown): string {
  try {
    return printable(String(value));
  } catch {
    return 'a value that cannot be read';
  }
}

/**
 * Escapes {@link CONTROLS} (`\u{1b}`), so that the text can neither forge a line of a log nor command a terminal.
 * Escaping a second time changes nothing.
 */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** Whether the text looks like PEM, valid or not. */
export function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

/** The marker at the beginning or the end of a block. */
const MARKERS = /-----(BEGIN|END) [A-Z0-9 ]+-----/g;

/** Whether a block has no end or no beginning. */
export function isCutOff(text: string): boolean {
  const kinds = [...linesOf(text).join('\n').matchAll(MARKERS)].map(([, kind]) => kind);
  return kinds.filter((kind) => kind === 'BEGIN').length !== kinds.length / 2;
}

/**
 * Returns why OpenSSL does not see all blocks of a PEM text, or `undefined` if it sees all of them. OpenSSL skips a
 * block without an error if there is more text on the line of its marker.
 */
export function problemOfPem(text: string): string | undefined {
  for (const [index, line] of linesOf(text).entries()) {
    const [marker] = line.match(MARKERS) ?? [];
    if (marker === undefined || marker === line) continue;
    if (/\\[nr]/.test(line)) return 'it has the two characters \\n in place of line breaks';
    return `line ${index + 1} has more than -----BEGIN …----- or -----END …-----, which must be on a line of its own`;
  }
  return isCutOff(text) ? 'a block in it has no -----BEGIN …----- or no -----END …-----' : undefined;
}

/** The lines as OpenSSL reads them: no byte order mark, no white space at the end, and comments are empty lines. */
function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.replace(/^\uFEFF/, '').replace(/[\0-\x20]+$|^#.*$/g, ''));
}

/**
 * Cuts a PEM text after each certificate. A part keeps the text before its certificate, so that OpenSSL reads it in the
 * part if and only if it reads it in the whole text.
 */
export function certificatesOf(text: string): readonly string[] {
  const parts: string[] = [];
  let part: string[] = [];
  let end: string | undefined;
  const lines = linesOf(text);
  for (const [index, line] of text.split('\n').entries()) {
    part.push(line);
    end ??= END_OF.get(lines[index]);
    if (end === undefined || lines[index] !== end) continue;
    parts.push(part.join('\n'));
    part = [];
    end = undefined;
  }
  return parts;
}

/** The line that ends a certificate, by the line that begins it. */
const END_OF: ReadonlyMap<string | undefined, string> = new Map([
  ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'],
  ['-----BEGIN X509 CERTIFICATE-----', '-----END X509 CERTIFICATE-----'],
  ['-----BEGIN TRUSTED CERTIFICATE-----', '-----END TRUSTED CERTIFICATE-----'],
]);

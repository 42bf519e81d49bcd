/** Whether a text is meant as PEM, right or wrong. */
export function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

/** What begins or ends a block. */
const MARKERS = /-----(BEGIN|END) [A-Z0-9 ]+-----/g;

/** Whether a block has no end or no beginning. */
export function isCutOff(text: string): boolean {
  const kinds = [...linesOf(text).join('\n').matchAll(MARKERS)].map(([, kind]) => kind);
  return kinds.filter((kind) => kind === 'BEGIN').length !== kinds.length / 2;
}

/**
 * Why OpenSSL does not see all blocks of a PEM text; `undefined` if it does. It passes over a block without an error
 * if anything else is on the line of its marker.
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

/** As OpenSSL reads them: without a byte order mark, and without white space at the end. Comments are left empty. */
function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.replace(/^\uFEFF/, '').replace(/[\0-\x20]+$|^#.*$/g, ''));
}

/**
 * Cuts a PEM text behind each certificate. Each part begins with what is before the certificate, so that OpenSSL reads
 * the certificate of each part exactly if it reads that of the whole.
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

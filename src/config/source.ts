import { messageOf } from '../errors.ts';
import { escapeControls } from '../printable.ts';
import { fileReads } from './file-reads.ts';
import { isPem } from './pem.ts';

/** A text, or a function that gives it each time it is needed. */
export type TextOrFunction = string | (() => string | Promise<string>);

/**
 * Where a secret or a certificate comes from. It is read again each time it is needed. `util.inspect()`, JSON and
 * errors of a source never contain the text itself.
 */
export class Source {
  /** The name of the option or variable, with the path if there is a file. See {@link pathOrigin}. */
  readonly origin: string;
  readonly #read: () => string | Promise<string>;

  private constructor(origin: string, read: () => string | Promise<string>) {
    this.origin = escapeControls(origin);
    this.#read = read;
  }

  /** The text of a secret, or a function that returns it. */
  static secret(value: TextOrFunction, option: string): Source {
    return new Source(option, typeof value === 'function' ? async () => checkSecret(await value()) : () => value);
  }

  /** A file that contains a secret. A newline at the end of the file is ignored. */
  static secretFile(path: string, variable: string): Source {
    return new Source(pathOrigin(variable, path), async () => checkSecret((await textOf(path)).replace(/\r?\n$/, '')));
  }

  /** PEM text, the path of a PEM file, or a function that gives either. */
  static pem(value: TextOrFunction, option: string): Source {
    const origin = typeof value === 'string' && !isPem(value) ? pathOrigin(option, value) : option;
    return new Source(origin, async () => {
      const given: unknown = typeof value === 'function' ? await value() : value;
      if (!isPemOrPath(given)) throw new Error('the function gave neither PEM text nor a path');
      const text = isPem(given) ? given : await textOf(given);
      if (!isPem(text)) throw new Error('there is no PEM text in it');
      return text;
    });
  }

  /** Rejects with an error that names the origin. */
  async read(): Promise<string> {
    try {
      return await this.#read();
    } catch (error) {
      throw new Error(`${this.origin}: ${messageOf(error)}`, { cause: error });
    }
  }
}

const MAX_SECRET_BYTES = 1024;

/** The rule of {@link isSecret}, for messages. */
export const SECRET_RULE: string = `a string of 1 to ${MAX_SECRET_BYTES} bytes`;

export function isSecret(text: unknown): text is string {
  return typeof text === 'string' && text !== '' && Buffer.byteLength(text) <= MAX_SECRET_BYTES;
}

function checkSecret(text: unknown): string {
  if (isSecret(text)) return text;
  throw new Error(text === '' ? 'it is empty' : `what it holds is not ${SECRET_RULE}`);
}

/**
 * Whether the value is PEM text or can be a path. It rejects a key in base64 without its PEM lines, because messages
 * would show it as a path.
 */
export function isPemOrPath(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  return isPem(value) || (/^[^\0\r\n]{1,4096}$/.test(value) && !/^\w[\w+/=-]{79,}$/.test(value));
}

/** `option (path)`. The path can be a secret that was given by mistake, so it is shown only if it looks like a path. */
function pathOrigin(option: string, path: string): string {
  return `${option} (${hasFormOfPath(path) ? path : 'taken for a path'})`;
}

/** A path has a usual extension, or begins at the root or the working directory and cannot be base64. */
function hasFormOfPath(text: string): boolean {
  return /\.(pem|crt|cer|cert|key|p8|txt)$/i.test(text) || /^(\.{0,2}\/|[a-z]:[\\/]|\\\\)[^+=]+$/i.test(text);
}

async function textOf(path: string): Promise<string> {
  try {
    return await fileReads.read(path);
  } catch (error) {
    // Node.js shows the path after the comma. The error also has it as a property, so it is not used as the cause.
    throw new Error(messageOf(error).replace(/,.*/s, ''));
  }
}

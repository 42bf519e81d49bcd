import { messageOf } from '../errors.ts';
import { escapeControls } from '../printable.ts';
import { fileReads } from './file-reads.ts';
import { isPem } from './pem.ts';

/** A text, or a function that gives it each time it is needed. */
export type TextOrFunction = string | (() => string | Promise<string>);

/** What a source reads, in a form that another thread can get. A function cannot be given to it. */
export type PlainSource =
  | { readonly origin: string; readonly kind: 'text'; readonly text: string }
  | { readonly origin: string; readonly kind: 'secret file' | 'PEM file'; readonly path: string }
  | { readonly origin: string; readonly kind: 'function' };

/**
 * Where a secret or a certificate comes from. It is read again each time it is needed. `util.inspect()`, JSON and
 * errors of a source never contain the text itself.
 */
export class Source {
  /** The name of the option or variable, with the path if there is a file. See {@link pathOrigin}. */
  readonly origin: string;
  readonly #plain: PlainSource;
  readonly #read: () => string | Promise<string>;

  private constructor(plain: PlainSource, read: () => string | Promise<string>) {
    this.origin = escapeControls(plain.origin);
    this.#plain = plain;
    this.#read = read;
  }

  /** The text of a secret, or a function that returns it. */
  static secret(value: TextOrFunction, option: string): Source {
    if (typeof value === 'string') return Source.#text(value, option);
    return new Source({ origin: option, kind: 'function' }, async () => checkSecret(await value()));
  }

  /** A file that contains a secret. A newline at the end of the file is ignored. */
  static secretFile(path: string, variable: string): Source {
    return Source.#secretFile(path, pathOrigin(variable, path));
  }

  /** PEM text, the path of a PEM file, or a function that gives either. */
  static pem(value: TextOrFunction, option: string): Source {
    if (typeof value === 'string') {
      return isPem(value) ? Source.#text(value, option) : Source.#pemFile(value, pathOrigin(option, value));
    }
    return new Source({ origin: option, kind: 'function' }, async () => {
      const given: unknown = await value();
      if (!isPemOrPath(given)) throw new Error('the function gave neither PEM text nor a path');
      return isPem(given) ? given : pemOf(given);
    });
  }

  /** The source that `plain` came from. One that was a function cannot be read. */
  static from(plain: PlainSource): Source {
    switch (plain.kind) {
      case 'text':
        return Source.#text(plain.text, plain.origin);
      case 'secret file':
        return Source.#secretFile(plain.path, plain.origin);
      case 'PEM file':
        return Source.#pemFile(plain.path, plain.origin);
      case 'function':
        return new Source(plain, () => Promise.reject(new Error('this thread cannot call the function')));
    }
  }

  static #text(text: string, origin: string): Source {
    return new Source({ origin, kind: 'text', text }, () => text);
  }

  static #secretFile(path: string, origin: string): Source {
    const read = async () => checkSecret((await textOf(path)).replace(/\r?\n$/, ''));
    return new Source({ origin, kind: 'secret file', path }, read);
  }

  static #pemFile(path: string, origin: string): Source {
    return new Source({ origin, kind: 'PEM file', path }, () => pemOf(path));
  }

  /** `text`: what it has given, if that is known. */
  plain(text: string | undefined): PlainSource {
    return text === undefined ? this.#plain : { origin: this.origin, kind: 'text', text };
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

async function pemOf(path: string): Promise<string> {
  const text = await textOf(path);
  if (!isPem(text)) throw new Error('there is no PEM text in it');
  return text;
}

async function textOf(path: string): Promise<string> {
  try {
    return await fileReads.read(path);
  } catch (error) {
    // Node.js shows the path after the comma. The error also has it as a property, so it is not used as the cause.
    throw new Error(messageOf(error).replace(/,.*/s, ''));
  }
}

import { generate } from 'selfsigned';

/** A certificate and its private key, as PEM text. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Request {
  /** Names and IP addresses that it is for. */
  readonly names?: readonly string[];
  /** Default: the first of the names. */
  readonly commonName?: string;
  /** From when and until when it is valid, in days from now. Default: from -1 to 1. */
  readonly fromDay?: number;
  readonly toDay?: number;
  /** What its key is encrypted with. */
  readonly passphrase?: string;
}

/** An authority that lives as long as the tests. */
export class Authority {
  readonly cert: string;
  readonly #key: string;

  private constructor(cert: string, key: string) {
    this.cert = cert;
    this.#key = key;
  }

  static async create(name: string = 'authority of a test'): Promise<Authority> {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: day(-1_000),
      notAfterDate: day(1),
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, critical: true },
      ],
    });
    return new Authority(cert, key);
  }

  /** A certificate for servers and clients. */
  async issue(request: Request = {}): Promise<Pair> {
    const { names = ['127.0.0.1'], commonName = names[0] as string, fromDay = -1, toDay = 1, passphrase } = request;
    const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: day(fromDay),
      notAfterDate: day(toDay),
      ca: { cert: this.cert, key: this.#key },
      extensions: [
        { name: 'basicConstraints', cA: false },
        ...(names.length === 0 ? [] : [{ name: 'subjectAltName' as const, altNames: names.map(altName) }]),
      ],
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    return { cert, key };
  }
}

function altName(name: string) {
  return /^[\d.]+$|:/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name };
}

function day(days: number): Date {
  return new Date(Date.now() + days * 86_400_000);
}

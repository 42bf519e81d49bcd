/** The peer sent bytes that are not MessagePack, or more than it may. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** The answers of a receiver need a depth of 2. */
const DEFAULT_MAX_DEPTH = 32;

/**
 * Cuts a byte stream into whole MessagePack values without decoding them. Each byte is looked at
 * once, however the stream is split, and a value that announces more than `maxBytes` is refused
 * before its content arrives, as is one whose containers are nested deeper than `maxDepth`.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #maxDepth: number;
  #buffer: Buffer = Buffer.alloc(0);
  /** How far the value that begins at 0 has been walked; may lie beyond what has arrived. */
  #scanned = 0;
  /** For each open container, how many values are still to come in it. */
  readonly #open: number[] = [];

  constructor(maxBytes: number, maxDepth: number = DEFAULT_MAX_DEPTH) {
    this.#maxBytes = maxBytes;
    this.#maxDepth = maxDepth;
  }

  /**
   * Takes what has arrived and gives the values that are complete, in order.
   * @throws FrameError, after which the stream cannot be read on.
   */
  *push(data: Buffer): Generator<Buffer> {
    this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data]);
    while (this.#walk()) {
      const frame = this.#buffer.subarray(0, this.#scanned);
      this.#buffer = this.#buffer.subarray(this.#scanned);
      this.#scanned = 0;
      yield frame;
    }
  }

  /** Whether bytes are held that belong to a value which is not complete. */
  get isPartial(): boolean {
    return this.#buffer.length > 0;
  }

  /** Walks on; true when the value is complete and has arrived. */
  #walk(): boolean {
    const buffer = this.#buffer;
    while (this.#scanned === 0 || this.#open.length > 0) {
      if (this.#scanned >= buffer.length) return false;
      const header = headerAt(buffer, this.#scanned);
      if (header === undefined) return false;
      this.#scanned += header.bytes;
      // What a container announces takes at least a byte each.
      if (this.#scanned + header.children > this.#maxBytes) {
        throw new FrameError(`a message of more than ${this.#maxBytes} bytes`);
      }
      if (header.children > 0) this.#openContainer(header.children);
      else this.#closeContainers();
    }
    return this.#scanned <= buffer.length;
  }

  #openContainer(children: number): void {
    if (this.#open.length === this.#maxDepth) throw new FrameError(`a message nested deeper than ${this.#maxDepth}`);
    this.#open.push(children);
  }

  /** Counts a complete value in the container around it, and that one in the next if it is complete too. */
  #closeContainers(): void {
    for (let last = this.#open.length - 1; last >= 0; last--) {
      const left = (this.#open[last] as number) - 1;
      this.#open[last] = left;
      if (left > 0) return;
      this.#open.pop();
    }
  }
}

/** The bytes of a value without its children, and how many children follow; `undefined` when too little has arrived. */
function headerAt(buffer: Buffer, at: number): { bytes: number; children: number } | undefined {
  const type = buffer[at] as number;
  if (type <= 0x7f || type >= 0xe0) return { bytes: 1, children: 0 };
  if (type <= 0x8f) return { bytes: 1, children: (type & 0x0f) * 2 };
  if (type <= 0x9f) return { bytes: 1, children: type & 0x0f };
  if (type <= 0xbf) return { bytes: 1 + (type & 0x1f), children: 0 };
  const fixed = FIXED_BYTES[type];
  if (fixed !== undefined) return { bytes: fixed, children: 0 };
  const sized = SIZED[type];
  if (sized === undefined) throw new FrameError(`the byte 0x${type.toString(16)}, which is no MessagePack`);
  if (at + 1 + sized.lengthBytes > buffer.length) return undefined;
  const length = buffer.readUIntBE(at + 1, sized.lengthBytes);
  const bytes = 1 + sized.lengthBytes;
  return sized.perElement === 0
    ? { bytes: bytes + sized.extra + length, children: 0 }
    : { bytes, children: length * sized.perElement };
}

/** nil, booleans, floats, integers and fixext. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  192: 1,
  194: 1,
  195: 1,
  202: 5,
  203: 9,
  204: 2,
  205: 3,
  206: 5,
  207: 9,
  208: 2,
  209: 3,
  210: 5,
  211: 9,
  212: 3,
  213: 4,
  214: 6,
  215: 10,
  216: 18,
};

interface Sized {
  readonly lengthBytes: 1 | 2 | 4;
  /** Values that each counted element stands for; 0 when the length counts bytes. */
  readonly perElement: 0 | 1 | 2;
  /** Bytes between the length and the content. */
  readonly extra: 0 | 1;
}

function sized(lengthBytes: 1 | 2 | 4, perElement: 0 | 1 | 2 = 0, extra: 0 | 1 = 0): Sized {
  return { lengthBytes, perElement, extra };
}

/** bin, ext, str, array and map with a length of their own. */
const SIZED: Readonly<Record<number, Sized>> = {
  196: sized(1),
  197: sized(2),
  198: sized(4),
  199: sized(1, 0, 1),
  200: sized(2, 0, 1),
  201: sized(4, 0, 1),
  217: sized(1),
  218: sized(2),
  219: sized(4),
  220: sized(2, 1),
  221: sized(4, 1),
  222: sized(2, 2),
  223: sized(4, 2),
};

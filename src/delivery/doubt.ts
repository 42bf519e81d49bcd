import type { Address } from '../endpoint/address.ts';

/** A chunk that goes unacknowledged on so many connections while others are acknowledged there is refused. */
const REFUSALS = 5;
/** With fewer tries than this a chunk that is not acknowledged is probably unlucky. */
const MIN_TRIES = 3;

/** The handing over of a chunk to a connection. */
export interface HandOver {
  readonly address: Address;
  /** Its place among all that were handed over. */
  readonly order: number;
}

/** The order in which chunks are handed over, and how far each address has acknowledged it. */
export class HandOvers {
  #count = 0;
  readonly #acknowledged = new WeakMap<Address, number>();

  next(address: Address): HandOver {
    return { address, order: ++this.#count };
  }

  acknowledged({ address, order }: HandOver): void {
    this.#acknowledged.set(address, Math.max(order, this.#acknowledged.get(address) ?? 0));
  }

  /** Whether a chunk that was handed over later has been acknowledged at the same address. */
  isOvertaken({ address, order }: HandOver): boolean {
    return (this.#acknowledged.get(address) ?? 0) > order;
  }
}

/**
 * Whether a chunk is refused, or the receivers acknowledge nothing at all. A try counts as a refusal once the address
 * has acknowledged a later chunk.
 */
export class Doubt {
  readonly #handOvers: HandOvers;
  #tries = 0;
  #refusals = 0;
  /** The last try at each address, while it does not count as a refusal. */
  readonly #open = new Map<Address, HandOver>();

  constructor(handOvers: HandOvers) {
    this.#handOvers = handOvers;
  }

  /** How often the chunk went unacknowledged although the receiver had to answer it next. */
  get tries(): number {
    return this.#tries;
  }

  /** Whether there have been as many refusals as are needed to be sure. */
  get isCertain(): boolean {
    this.#look();
    return this.#refusals >= REFUSALS;
  }

  /** Whether refusals are the best explanation: there were several tries, and most of them were refusals. */
  get isLikely(): boolean {
    return this.isCertain || (this.#tries >= MIN_TRIES && this.#refusals * 2 > this.#tries);
  }

  /** The chunk went unacknowledged. */
  add(handOver: HandOver): void {
    this.#look();
    this.#tries++;
    this.#open.set(handOver.address, handOver);
  }

  #look(): void {
    for (const [address, handOver] of this.#open) {
      if (!this.#handOvers.isOvertaken(handOver)) continue;
      this.#refusals++;
      this.#open.delete(address);
    }
  }
}

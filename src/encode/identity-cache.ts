/**
 * Remembers values that were made from objects, by the object's identity. Records share their resources and scopes,
 * and nearly always a record has the same ones as the record before.
 */
export class IdentityCache<K extends object, V> {
  readonly #made = new WeakMap<K, V>();
  readonly #make: (object: K) => V;
  readonly #isFinal: (object: K) => boolean;
  #lastObject: K | undefined;
  #lastMade: V | undefined;

  /** A value that was made from an object for which `isFinal` returns false is not remembered. */
  constructor(make: (object: K) => V, isFinal: (object: K) => boolean = () => true) {
    this.#make = make;
    this.#isFinal = isFinal;
  }

  of(object: K): V {
    if (object === this.#lastObject) return this.#lastMade as V;
    let made = this.#made.get(object);
    if (made === undefined) {
      made = this.#make(object);
      if (!this.#isFinal(object)) return made;
      this.#made.set(object, made);
    }
    this.#lastObject = object;
    this.#lastMade = made;
    return made;
  }
}

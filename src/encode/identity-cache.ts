/**
 * Remembers what was made of objects that keep their identity, as resources and scopes do between
 * records. Nearly always the one asked for is the last one.
 */
export class IdentityCache<K extends object, V> {
  readonly #made = new WeakMap<K, V>();
  readonly #make: (object: K) => V;
  readonly #isFinal: (object: K) => boolean;
  #lastObject: K | undefined;
  #lastMade: V | undefined;

  /** What is made of an object that is not final is not remembered. */
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

import { BoundedWaits } from '../bounded-waits.ts';
import { inCleanContext } from '../clean-context.ts';
import type { Clock } from '../clock.ts';
import type { BufferPool } from '../encode/buffer-pool.ts';
import { type DeferredEntries, resourceBytes } from '../encode/deferred-entries.ts';
import { isObject } from '../encode/field.ts';
import type { Layout } from '../encode/layout/layout.ts';
import { isComplete, PendingAttributes, type Resource } from '../encode/resource.ts';
import { messageOf } from '../errors.ts';

export interface PendingResourcesOptions {
  readonly layout: Layout;
  readonly pool: BufferPool;
  readonly clock: Clock;
  readonly warn: (cause: string, message: string) => void;
  /** The entries that waited for a resource can be completed with `resource`. */
  readonly onKnown: (entries: Iterable<DeferredEntries>, resource: Resource) => void;
}

/** How a record with a resource is encoded. */
export type ResourceState =
  /** With the resource. */
  | { readonly name: 'complete' }
  /** With the part of the resource that is known. */
  | { readonly name: 'known'; readonly resource: Resource }
  /** Without the resource, into one of `entries`. */
  | { readonly name: 'waiting'; readonly entries: DeferredEntries[]; resourceBytes: number };

interface Wait {
  readonly attributes: PendingAttributes;
  readonly done: Promise<void>;
}

const COMPLETE: ResourceState = { name: 'complete' };

/** How long records wait for their resource. Detectors that call a service give up earlier. */
const MAX_WAIT_MILLIS = 5_000;

const LATE = `a detector has not answered within ${MAX_WAIT_MILLIS} ms`;

/** The resources whose detectors have not finished. Nobody else asks them to. */
export class PendingResources {
  readonly #options: PendingResourcesOptions;
  readonly #states = new WeakMap<Resource, ResourceState>();
  readonly #waits: BoundedWaits;
  /** The resources that records wait for. */
  readonly #waiting = new Map<Resource, Wait>();
  /** The last resource that was complete. It stays so. */
  #lastComplete: unknown;
  #discard = () => {};
  readonly #discarded = new Promise<void>((resolve) => {
    this.#discard = resolve;
  });

  constructor(options: PendingResourcesOptions) {
    this.#options = options;
    this.#waits = new BoundedWaits(options.clock);
  }

  of(resource: Resource): ResourceState {
    if (resource === this.#lastComplete || !isObject(resource)) return COMPLETE;
    if (!isComplete(resource)) return this.#states.get(resource) ?? this.#wait(resource);
    this.#lastComplete = resource;
    // The records before this one are sent first.
    if (this.#waiting.has(resource)) this.#finish(resource, COMPLETE);
    return COMPLETE;
  }

  /** Resolves when no record waits for its resource, which is after 5 s at the latest. */
  async settled(): Promise<void> {
    const waited = [...this.#waiting].filter(([resource]) => this.#states.get(resource)?.name === 'waiting');
    await Promise.race([this.#discarded, Promise.all(waited.map(([, { done }]) => done))]);
  }

  /** Waits no longer. The records are completed with what is known of their resources. */
  giveUpAll(reason: string): void {
    for (const [resource, { attributes }] of this.#waiting) this.#endWait(resource, attributes, reason);
  }

  /** Returns the entries that still wait. */
  discard(): readonly DeferredEntries[] {
    this.#waits.close();
    this.#discard();
    const states = [...this.#waiting.keys()].map((resource) => this.#states.get(resource));
    this.#waiting.clear();
    return states.flatMap((state) => (state?.name === 'waiting' ? state.entries : []));
  }

  #wait(resource: Resource): ResourceState {
    const { layout, pool } = this.#options;
    const attributes = new PendingAttributes(resource);
    const { known } = attributes;
    const state: ResourceState =
      layout.complete === undefined
        ? { name: 'known', resource: known }
        : { name: 'waiting', entries: [], resourceBytes: 0 };
    this.#states.set(resource, state);
    // Encodes values of the application, which may log.
    if (state.name === 'waiting') state.resourceBytes = resourceBytes(layout, pool, known);
    const done = inCleanContext(() => this.#waitFor(resource, attributes));
    this.#waiting.set(resource, { attributes, done });
    return state;
  }

  /** Never rejects. */
  async #waitFor(resource: Resource, attributes: PendingAttributes): Promise<void> {
    let reason = 'it is still pending after waitForAsyncAttributes()';
    try {
      // In a later microtask, because it is code of the application.
      const waited = Promise.resolve().then(() => resource.waitForAsyncAttributes?.());
      await this.#waits.within(MAX_WAIT_MILLIS, waited, () => LATE);
    } catch (error) {
      reason = messageOf(error);
    }
    if (this.#waiting.has(resource)) this.#endWait(resource, attributes, reason);
  }

  /** `reason`: why it is over, if the resource is not complete. */
  #endWait(resource: Resource, attributes: PendingAttributes, reason: string): void {
    if (isComplete(resource)) this.#finish(resource, COMPLETE);
    else this.#giveUp(resource, attributes, reason);
  }

  #giveUp(resource: Resource, { known }: PendingAttributes, reason: string): void {
    this.#finish(resource, { name: 'known', resource: known });
    const message = `the resource of log records is incomplete: ${reason}; they are sent with what is known of it`;
    this.#options.warn('resource', message);
  }

  /** Changes the state first, because completing the entries can call code of the application, which may log. */
  #finish(resource: Resource, next: ResourceState): void {
    const state = this.#states.get(resource);
    this.#waiting.delete(resource);
    this.#states.set(resource, next);
    if (state?.name !== 'waiting') return;
    this.#options.onKnown(state.entries, next.name === 'known' ? next.resource : resource);
  }
}

import { inCleanContext } from '../clean-context.ts';
import type { Delivery } from '../delivery/create.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Ending } from '../exit/ending.ts';
import { type PlainConfig, plainConfig } from '../exit/plain-config.ts';
import type { Pipeline } from './pipeline.ts';

/** If the last dial to every address failed within this time, another one would probably fail too. */
const UNREACHABLE_MILLIS = 5_000;

/** What the end of the process needs of an intake. */
export interface EndingIntake {
  readonly pipeline: Pipeline;
  flush(): Promise<void>;
  /** See {@link Ending.left}. */
  left(isOver: boolean): readonly Chunk[];
  /** See {@link Ending.settle}. */
  settle(isAcknowledged: (chunkId: string) => boolean, isOver: boolean): number;
}

/** An intake and its pipeline at the end of the process. */
export class PipelineEnding implements Ending {
  readonly #intake: EndingIntake;
  readonly #delivery: Delivery;

  constructor(intake: EndingIntake, delivery: Delivery) {
    this.#intake = intake;
    this.#delivery = delivery;
  }

  get endpoint(): string {
    return this.#intake.pipeline.endpoint;
  }

  get exitTimeoutMillis(): number {
    return this.#intake.pipeline.config.exitTimeoutMillis;
  }

  get emittedRecords(): number {
    return this.#intake.pipeline.counters.emittedRecords;
  }

  get heldRecords(): number {
    return this.#intake.pipeline.counters.heldRecords;
  }

  get obstacle(): string | undefined {
    const { addresses, credentials, pool } = this.#delivery;
    const { endpoint, resolver } = this.#intake.pipeline.config;
    if (pool.hasFailedWithin(UNREACHABLE_MILLIS)) return 'no receiver could be reached just before';
    const [unread] = credentials.neededFunctions;
    if (unread !== undefined) return `${unread} is a function that has given no value yet`;
    const needsResolver = resolver !== undefined && endpoint.every(({ protocol }) => protocol !== 'unix');
    return needsResolver && addresses.answers.size === 0 ? 'the resolver has given no address yet' : undefined;
  }

  get lastFault(): string | undefined {
    return this.#delivery.pool.lastError?.message;
  }

  flush(): Promise<void> {
    return this.#intake.flush();
  }

  left(isOver: boolean): readonly Chunk[] {
    return this.#intake.left(isOver);
  }

  configFor(budgetMillis: number): PlainConfig {
    return plainConfig(this.#intake.pipeline.config, this.#delivery, budgetMillis);
  }

  settle(isAcknowledged: (chunkId: string) => boolean, isOver: boolean): number {
    return this.#intake.settle(isAcknowledged, isOver);
  }

  hangUp(): void {
    inCleanContext(() => this.#delivery.pool.hangUp());
  }
}

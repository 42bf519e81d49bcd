import { systemClock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { BeforeExit } from './before-exit.ts';
import type { Ending } from './ending.ts';
import { ExitThread } from './exit-thread.ts';
import { type HandOver, plainChunk } from './hand-over.ts';
import { type Loss, LossLines } from './loss-lines.ts';
import { processWide } from './process-wide.ts';

const UNENCODED = 'the process ended while they were being encoded';

/** What is logged while records are handed over is handed over in another round. It could go on for ever. */
const MAX_ROUNDS = 3;

/** A pipeline that has records left. */
interface Left {
  readonly ending: Ending;
  /** Undefined if there are no chunks, or an obstacle. */
  readonly handOver: HandOver | undefined;
  /** Why records are lost, if there are any that the worker thread does not deliver. */
  readonly reason: string;
}

/** Sends what the pipelines of a process hold when it ends. There is one object for the process. */
export class ProcessEnd {
  readonly #endings = new Set<Ending>();
  readonly #beforeExit = new BeforeExit(this.#endings);
  readonly #thread = new ExitThread();
  readonly #lines = new LossLines();
  /** Whether what is done in a later turn would not run. */
  #hasBegun = false;
  /** When the first wait began. The time of all waits counts from then on. */
  #waitsSince: number | undefined;
  #isHandingOver = false;

  /** Whether the process is ending. Then each record is to be handed over when it is emitted. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  add(ending: Ending): void {
    this.#endings.add(ending);
    if (this.#endings.size > 1) return;
    process.prependListener('beforeExit', this.#beforeExit.listener);
    // First, because a listener may end the process at once. What later ones log is handed over when they log it.
    process.prependListener('exit', this.end);
  }

  delete(ending: Ending): void {
    this.#endings.delete(ending);
    if (this.#endings.size > 0) return;
    process.off('beforeExit', this.#beforeExit.listener);
    process.off('exit', this.end);
  }

  /** Sends what is left, and closes the connections, because Fluentd logs a warning if TLS is cut off. Never throws. */
  readonly end = (): void => {
    this.#hasBegun = true;
    this.#handOverAll(true);
    for (const ending of this.#endings) attempt(() => ending.hangUp());
    // If there is a next turn, the process goes on: somebody else has emitted the event.
    systemClock.afterReads(() => this.#goOn());
  };

  #goOn(): void {
    this.#hasBegun = false;
    this.#waitsSince = undefined;
    this.#lines.startAgain();
  }

  /** Sends what is left by a worker thread, and waits for it. Reports what is lost. Never throws. */
  handOver(): void {
    this.#handOverAll(false);
  }

  #handOverAll(isOver: boolean): void {
    // Sealing and reporting call code of the application, which may log or end the process.
    if (this.#isHandingOver) return;
    this.#isHandingOver = true;
    for (let round = 0; round < MAX_ROUNDS && this.#holding.length > 0; round++) {
      this.#handOver(this.#holding, isOver && round === 0);
    }
    this.#isHandingOver = false;
  }

  get #holding(): readonly Ending[] {
    return [...this.#endings].filter(({ heldRecords }) => heldRecords > 0);
  }

  #handOver(holding: readonly Ending[], isOver: boolean): void {
    try {
      this.#send(holding, isOver);
    } catch (error) {
      const reason = `a fault of this package: ${messageOf(error)}`;
      this.#lines.write(holding.map((ending) => lossOf(ending, ending.heldRecords, reason)));
    }
  }

  #send(holding: readonly Ending[], isOver: boolean): void {
    const budgetMillis = Math.max(...holding.map(({ exitTimeoutMillis }) => exitTimeoutMillis));
    const left = holding.map((ending) => leftOf(ending, budgetMillis, isOver));
    const handOvers = left.flatMap(({ handOver }) => handOver ?? []);
    this.#waitsSince ??= systemClock.now();
    const waitMillis = this.#waitsSince + budgetMillis - systemClock.now();
    const sent = handOvers.length > 0 && waitMillis > 0 ? this.#thread.send(handOvers, waitMillis) : [];
    const losses = left.map(({ ending, handOver, reason }) => {
      const { isAcknowledged, fault, obstacle } = sent[handOvers.indexOf(handOver as HandOver)] ?? NOTHING_SENT;
      const isDelivered = handOver?.chunks.every(({ id }) => isAcknowledged(id)) === true;
      const why = isDelivered ? UNENCODED : (notSent(obstacle) ?? reason);
      return lossOf(ending, ending.settle(isAcknowledged, isOver), why, fault);
    });
    this.#lines.write(losses.filter(({ records }) => records > 0));
  }
}

const NOTHING_SENT = { isAcknowledged: () => false, fault: undefined, obstacle: undefined };

function notSent(obstacle: string | undefined): string | undefined {
  return obstacle && `not sent, because ${obstacle}`;
}

function leftOf(ending: Ending, budgetMillis: number, isOver: boolean): Left {
  const chunks = ending.left(isOver);
  if (chunks.length === 0) return { ending, handOver: undefined, reason: UNENCODED };
  const obstacle = notSent(ending.obstacle);
  if (obstacle !== undefined) return { ending, handOver: undefined, reason: obstacle };
  const handOver = { config: ending.configFor(budgetMillis), chunks: chunks.map(plainChunk) };
  return { ending, handOver, reason: `no ack within ${budgetMillis} ms (exitTimeoutMillis)` };
}

function lossOf({ endpoint, lastFault }: Ending, records: number, reason: string, fault = lastFault): Loss {
  return { records, endpoint, reason, lastFault: fault };
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // The process ends, and nothing is lost by this.
  }
}

/** The one of this process. */
export function processEnd(): ProcessEnd {
  return processWide('process-end.1', () => new ProcessEnd());
}

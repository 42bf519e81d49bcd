import { systemClock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { BeforeExit } from './before-exit.ts';
import type { Ending } from './ending.ts';
import { ExitThread } from './exit-thread.ts';
import type { HandOver } from './hand-over.ts';
import { type Loss, LossLines } from './loss-lines.ts';

const UNREACHABLE = 'not sent, because no receiver could be reached just before';

/** A pipeline that has records left. */
interface Left {
  readonly ending: Ending;
  readonly handOver: HandOver | undefined;
}

/** Sends what the pipelines of a process hold when it ends. There is one object for the process. */
export class ProcessEnd {
  readonly #endings = new Set<Ending>();
  readonly #beforeExit = new BeforeExit(this.#endings);
  readonly #thread = new ExitThread();
  readonly #lines = new LossLines();
  #hasBegun = false;
  /** When the process must wait no longer. */
  #waitsUntil: number | undefined;
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
    process.prependListener('exit', this.#onExit);
  }

  delete(ending: Ending): void {
    this.#endings.delete(ending);
    if (this.#endings.size > 0) return;
    process.off('beforeExit', this.#beforeExit.listener);
    process.off('exit', this.#onExit);
  }

  readonly #onExit = () => this.end();

  /** Sends what is left, and closes the connections, because Fluentd logs a warning if TLS is cut off. Never throws. */
  end(): void {
    this.#hasBegun = true;
    this.handOver();
    for (const ending of this.#endings) attempt(() => ending.close());
  }

  /** Sends what is left by a worker thread, and waits for it. Reports what is lost. Never throws. */
  handOver(): void {
    // Sealing and reporting call code of the application, which may log or end the process.
    if (this.#isHandingOver) return;
    this.#isHandingOver = true;
    const holding = [...this.#endings].filter(({ heldRecords }) => heldRecords > 0);
    try {
      if (holding.length > 0) this.#send(holding);
    } catch (error) {
      const reason = `a fault of this package: ${messageOf(error)}`;
      this.#lines.write(holding.map((ending) => lossOf(ending, ending.heldRecords, reason)));
    }
    this.#isHandingOver = false;
  }

  #send(holding: readonly Ending[]): void {
    const budgetMillis = Math.max(...holding.map(({ exitTimeoutMillis }) => exitTimeoutMillis));
    const left = holding.map((ending): Left => ({ ending, handOver: handOverOf(ending, budgetMillis) }));
    const handOvers = left.flatMap(({ handOver }) => handOver ?? []);
    this.#waitsUntil ??= systemClock.now() + budgetMillis;
    const waitMillis = this.#waitsUntil - systemClock.now();
    const sent = handOvers.length > 0 && waitMillis > 0 ? this.#thread.send(handOvers, waitMillis) : [];
    const losses = left.map(({ ending, handOver }) => {
      const { isAcknowledged, fault } = sent[handOvers.indexOf(handOver as HandOver)] ?? NOTHING_SENT;
      const reason = handOver === undefined ? UNREACHABLE : `no ack within ${budgetMillis} ms (exitTimeoutMillis)`;
      return lossOf(ending, ending.settle(isAcknowledged), reason, fault);
    });
    this.#lines.write(losses.filter(({ records }) => records > 0));
  }
}

const NOTHING_SENT = { isAcknowledged: () => false, fault: undefined };

/** Undefined if there is nothing to send, or nowhere to send it to. */
function handOverOf(ending: Ending, budgetMillis: number): HandOver | undefined {
  const left = ending.left();
  if (left.length === 0 || ending.isUnreachable) return undefined;
  // Copies without the unused part of the buffers, so that they can be moved to the other thread.
  const chunks = left.map(({ id, tag, records, bytes }) => ({ id, tag, records, bytes: new Uint8Array(bytes) }));
  return { config: ending.configFor(budgetMillis), chunks };
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

/** The key has a number, which changes with {@link Ending} and with the methods of {@link ProcessEnd}. */
const KEY = Symbol.for('opentelemetry-exporter-fluent-forward.process-end.1');

/** One object for the process, also where it has loaded the package twice (as ES module and CommonJS). */
export function processEnd(): ProcessEnd {
  const holder = globalThis as { [KEY]?: ProcessEnd };
  holder[KEY] ??= new ProcessEnd();
  return holder[KEY];
}

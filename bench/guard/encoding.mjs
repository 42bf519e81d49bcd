import { createEncoder } from '../performance/encoder.mjs';
import { Workload } from '../performance/workload.mjs';
import { Child } from '../support/child.mjs';
import { spread } from '../support/statistics.mjs';

const SUBJECT = new URL('../performance/subject.mjs', import.meta.url);
const BATCH = 512;
const WARMUPS = 3;
const PASSES = 5;

/**
 * The heap that encoding takes, and its speed against another encoder's: each in a process of its own. A busy
 * machine, or code that happens to be compiled anew, can only add to a pass: the least of them is compared.
 */
export async function encoding() {
  const names = ['exporter', 'exporter, otlp', '@msgpack/msgpack'];
  const { outcomes, afterCollection } = await passesOf(names);
  const heap = (name) => spread(outcomes[name].map(({ reusedHeap }) => reusedHeap)).median;
  const [own, , other] = names.map((name) => outcomes[name].map(({ reused }) => reused));
  return {
    'heap bytes a record, default layout': heap('exporter'),
    'heap bytes a record, otlp layout': heap('exporter, otlp'),
    'heap bytes a record, after a full collection': afterCollection,
    'times as fast as @msgpack/msgpack, re-used records': Math.min(...other) / Math.min(...own),
  };
}

/** In turn. What is compiled must not depend on the time that a busy machine leaves for it. */
async function passesOf(names) {
  const children = names.map(
    () => new Child(SUBJECT, { args: ['encode'], execArgv: ['--expose-gc', '--single-threaded'] }),
  );
  try {
    const outcomes = names.map(() => []);
    for (const [i, subject] of names.entries()) await children[i].ask('create', { subject, batch: BATCH });
    for (let pass = -WARMUPS; pass < PASSES; pass++) {
      for (const [i, child] of children.entries()) {
        const outcome = await child.ask('pass');
        if (pass >= 0) outcomes[i].push(outcome);
      }
    }
    const afterCollection = [];
    for (let pass = 0; pass < PASSES; pass++) afterCollection.push(await children[0].ask('heapAfterCollection'));
    return {
      outcomes: Object.fromEntries(names.map((name, i) => [name, outcomes[i]])),
      afterCollection: Math.min(...afterCollection),
    };
  } finally {
    for (const child of children) await child.end();
  }
}

/** How often, and how many, bytes that are written already are moved. */
export function copies() {
  const encode = createEncoder();
  const workload = new Workload();
  // The first batch teaches the encoder how large records are.
  const chunks = encode(workload.records(BATCH));
  const records = workload.records(BATCH);
  const counter = new CopyCounter();
  const [chunk] = encode(records);
  counter.stop();
  for (const each of [...chunks, chunk]) each.release();
  return {
    'copies a record': counter.copies / BATCH,
    'bytes copied for a byte sent': counter.bytes / chunk.bytes.length,
  };
}

/** Watches what copies bytes. */
class CopyCounter {
  copies = 0;
  bytes = 0;
  #originals = [];

  constructor() {
    this.#watch(Object.getPrototypeOf(Uint8Array.prototype), 'set', ([source]) => source.length);
    this.#watch(Object.getPrototypeOf(Uint8Array.prototype), 'slice', (_, { length }) => length);
    this.#watch(
      Object.getPrototypeOf(Uint8Array.prototype),
      'copyWithin',
      ([, start, end], { length }) => (end ?? length) - start,
    );
    this.#watch(Buffer.prototype, 'copy', ([, , start = 0, end], { length }) => (end ?? length) - start);
    this.#watch(Buffer, 'concat', ([buffers]) => buffers.reduce((sum, { length }) => sum + length, 0));
    this.#watch(Buffer, 'from', ([source]) => source.length);
  }

  stop() {
    for (const [target, method, original] of this.#originals) {
      if (original === undefined) delete target[method];
      else Object.defineProperty(target, method, original);
    }
  }

  #watch(target, method, bytesOf) {
    this.#originals.push([target, method, Object.getOwnPropertyDescriptor(target, method)]);
    const original = target[method];
    const count = (args, self) => {
      this.copies++;
      this.bytes += bytesOf(args, self);
    };
    Object.defineProperty(target, method, {
      configurable: true,
      writable: true,
      value(...args) {
        count(args, this);
        return original.apply(this, args);
      },
    });
  }
}

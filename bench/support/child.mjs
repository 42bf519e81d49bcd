import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A program in a process of its own that answers questions, one at a time: see {@link answer}. */
export class Child {
  #process;
  #exit;
  #answered = () => {};

  /** `program` is a file URL. */
  constructor(program, { args = [], execArgv = [] } = {}) {
    // The advanced serialization takes bytes and undefined as they are.
    this.#process = fork(fileURLToPath(program), args, { execArgv, serialization: 'advanced' });
    this.#process.on('message', (reply) => this.#answered(reply));
    this.#exit = once(this.#process, 'exit').then(() => this.#answered({ error: 'the process has ended' }));
  }

  async ask(method, ...args) {
    const reply = new Promise((resolve) => {
      this.#answered = resolve;
    });
    this.#process.send({ method, args });
    const { value, error } = await reply;
    if (error !== undefined) throw new Error(`${method}: ${error}`);
    return value;
  }

  async end() {
    this.#process.kill('SIGKILL');
    await this.#exit;
  }
}

/** In a {@link Child}'s program: answers questions by methods of `target`. */
export function answer(target) {
  process.on('message', async ({ method, args }) => {
    try {
      process.send({ value: await target[method](...args) });
    } catch (error) {
      process.send({ error: error.stack });
    }
  });
  process.on('disconnect', () => process.exit());
}

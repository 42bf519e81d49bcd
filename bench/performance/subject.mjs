// One of those that a scenario compares, in a process of its own: see interleave.mjs.
import { answer } from '../support/child.mjs';

const { createSubject } = await import(`./scenarios/${process.argv[2]}.mjs`);
let subject;

answer({
  async create(parameters) {
    subject = await createSubject(parameters);
  },
  pass(phase) {
    return subject.pass(phase);
  },
  /** Sends records whose bytes are looked at; gives their bodies. */
  sendSample() {
    return subject.sendSample();
  },
  heapAfterCollection() {
    return subject.heapAfterCollection();
  },
  close() {
    return subject.close?.();
  },
});

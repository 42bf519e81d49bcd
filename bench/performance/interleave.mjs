import { Child } from '../support/child.mjs';

const SUBJECT = new URL('./subject.mjs', import.meta.url);

/**
 * Measures subjects against each other: each lives in a process of its own, with its own heap and its own
 * compiled code, and makes a pass in turn, A B C A B C, while the others wait.
 *
 * @param scenario the module's name; its `createSubject(parameters)` makes a subject, in the child
 * @param subjects the parameters of each, by its name
 * @param rounds how often each makes a pass that counts
 * @param warmups how often before
 * @param around called with a subject's name and its pass; gives what the pass comes to
 * @param finish called with a subject's name and its process after the last round
 * @returns what each one's passes came to, by its name
 */
export async function interleave({ scenario, subjects, rounds, warmups, around = (_, pass) => pass(), finish }) {
  const children = new Map();
  try {
    for (const [name, parameters] of Object.entries(subjects)) {
      const child = new Child(SUBJECT, { args: [scenario], execArgv: ['--expose-gc'] });
      children.set(name, child);
      await child.ask('create', parameters);
    }
    const outcomes = Object.fromEntries([...children.keys()].map((name) => [name, []]));
    for (let round = -warmups; round < rounds; round++) {
      for (const [name, child] of children) {
        const outcome = await around(name, () => child.ask('pass'));
        if (round >= 0) outcomes[name].push(outcome);
      }
    }
    for (const [name, child] of children) {
      await finish?.(name, child);
      await child.ask('close');
    }
    return outcomes;
  } finally {
    for (const child of children.values()) await child.end();
  }
}

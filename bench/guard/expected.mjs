/**
 * What each figure of the guard was when it was last set, and how far it may go from there. A change that
 * makes one better sets it anew; one that makes it worse says in its commit what it is worth.
 */
export const EXPECTED = {
  'heap bytes a record, default layout': { was: 23, most: 32 },
  'heap bytes a record, otlp layout': { was: 47, most: 100 },
  // 800 and more where compiled code is thrown away.
  'heap bytes a record, after a full collection': { was: 60, most: 400 },
  // Keys are copied too: a call takes less time than a loop over their bytes.
  'copies a record': { was: 18.4, most: 19 },
  'bytes copied for a byte sent': { was: 0.697, most: 0.71 },
  'writes a chunk, one at a time': { was: 1, most: 1 },
  'writes a chunk, four at a time': { was: 0.25, most: 0.25 },
  'event-loop turns a batch': { was: 1, most: 1.5 },
  'sockets a rotation': { was: 1, most: 1.1 },
  'times as fast as @msgpack/msgpack, re-used records': { was: 2.7, least: 1.6 },
};

import { describe, expect, it } from 'vitest';
import { Doubt, HandOvers } from '../../src/delivery/doubt.ts';
import type { Address } from '../../src/endpoint/address.ts';

const [here, elsewhere] = [{}, {}] as [Address, Address];

/** A chunk that goes unacknowledged `tries` times; after the first `refusals` of them a later chunk is acknowledged. */
function doubtAfter(tries: number, refusals: number, address: Address = here): Doubt {
  const handOvers = new HandOvers();
  const doubt = new Doubt(handOvers);
  for (let n = 0; n < tries; n++) {
    doubt.add(handOvers.next(here));
    if (n < refusals) handOvers.acknowledged(handOvers.next(address));
  }
  return doubt;
}

describe('a chunk that is not acknowledged', () => {
  it.each<[tries: number, refusals: number, isLikely: boolean, isCertain: boolean]>([
    [1, 1, false, false],
    [2, 2, false, false],
    [3, 1, false, false],
    [3, 2, true, false],
    [4, 2, false, false],
    [4, 4, true, false],
    [5, 5, true, true],
    [20, 5, true, true],
    [20, 4, false, false],
  ])(
    'after %i tries, %i of which were refusals, a refusal is likely: %s, certain: %s',
    (tries, refusals, ...expected) => {
      const { isLikely, isCertain } = doubtAfter(tries, refusals);
      expect([isLikely, isCertain]).toEqual(expected);
    },
  );

  it('acks of another address are no sign of a refusal', () => {
    expect(doubtAfter(10, 10, elsewhere).isLikely).toBe(false);
  });

  it('the ack of a chunk that was handed over before is no sign of a refusal', () => {
    const handOvers = new HandOvers();
    const doubt = new Doubt(handOvers);
    for (let n = 0; n < 10; n++) {
      const earlier = handOvers.next(here);
      doubt.add(handOvers.next(here));
      handOvers.acknowledged(earlier);
    }
    expect(doubt.isLikely).toBe(false);
  });

  it('each try counts as a refusal, also if tries at other addresses came between it and the ack', () => {
    const handOvers = new HandOvers();
    const doubt = new Doubt(handOvers);
    const addresses = ['a', 'b', 'c'].map(() => ({}) as Address);
    for (let round = 0; round < 2; round++) {
      for (const address of addresses) doubt.add(handOvers.next(address));
      for (const address of addresses) handOvers.acknowledged(handOvers.next(address));
    }
    expect(doubt.isCertain).toBe(true);
  });
});

// Seeds made of seeds: each actor of each life has dice of its own, so that what one draws does not depend on when another draws.
import { Dice } from '../helper/random-client.ts';

/** A seed out of several numbers; near ones give far ones. */
export function mixSeeds(...numbers: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    hash = Math.imul(hash ^ (number >>> 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

export function diceOf(...numbers: readonly number[]): Dice {
  return new Dice(mixSeeds(...numbers));
}

/** A whole number from `least` to `most`. */
export function between(dice: Dice, least: number, most: number): number {
  return least + dice.roll(most - least + 1);
}

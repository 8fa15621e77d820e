// Counts messages and confirms: each comes once, and none is missing in the end.

/** A promise, and the way to keep it. */
export interface Signal {
  readonly promise: Promise<void>;
  resolve(): void;
}

export function signal(): Signal {
  let resolve = (): void => {};
  const promise = new Promise<void>((keep) => {
    resolve = keep;
  });
  return { promise, resolve: () => resolve() };
}

/** Sequence numbers 0 to `count - 1`, to be ticked off in any order. */
export class Tally {
  readonly #what: string;
  readonly #seen: Uint8Array;
  readonly #all = signal();
  #count = 0;

  /** @param what is counted, for the text of an error */
  constructor(what: string, count: number) {
    this.#what = what;
    this.#seen = new Uint8Array(count);
  }

  /** How many came. */
  get count(): number {
    return this.#count;
  }

  get isComplete(): boolean {
    return this.#count === this.#seen.length;
  }

  /** Kept when all came. */
  get complete(): Promise<void> {
    return this.#all.promise;
  }

  /** @throws Error when it came before, or is none of these */
  tick(sequence: number): void {
    if (this.#seen[sequence] !== 0) {
      const problem = sequence < this.#seen.length ? 'came twice' : `is none of ${this.#seen.length}`;
      throw new Error(`${this.#what}: number ${sequence} ${problem}`);
    }
    this.#seen[sequence] = 1;
    if (++this.#count === this.#seen.length) this.#all.resolve();
  }

  has(sequence: number): boolean {
    return this.#seen[sequence] === 1;
  }

  /** What is missing, in words; undefined when nothing is. */
  get missing(): string | undefined {
    if (this.isComplete) return undefined;
    const left = this.#seen.length - this.#count;
    return `${this.#what}: ${left} of ${this.#seen.length} did not come, number ${this.#seen.indexOf(0)} the first of them`;
  }
}

/** The confirms of one channel, single ones in any order, and those that stand for all before. */
export class Confirms {
  readonly tally: Tally;
  /** All tags up to here are confirmed. */
  #low = 0;

  constructor(what: string, count: number) {
    this.tally = new Tally(what, count);
  }

  confirm(deliveryTag: number, multiple: boolean): void {
    // One that stands for all before may name a tag that was confirmed by itself.
    for (let tag = multiple ? this.#low + 1 : deliveryTag; tag <= deliveryTag; tag++) {
      if (!multiple || !this.tally.has(tag - 1)) this.tally.tick(tag - 1);
    }
    while (this.tally.has(this.#low)) this.#low++;
  }
}

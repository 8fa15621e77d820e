// The jump consistent hash (Lamping and Veach, 2014): a key's bucket of N, such that one bucket more moves but 1/N of the keys,
// all of them to the new bucket. Drawn from the generator that RabbitMQ draws from, so that both find the same bucket: Erlang's
// `exs1024`, which is Vigna's xorshift1024*, seeded by his xorshift64*. 64 bits are two words here: BigInt costs ten times as much.

const WORDS = 16;
const MASK_21 = 2 ** 21 - 1;
const TWO_POW_32 = 2 ** 32;

/** The multipliers of both generators, high and low words. */
const SEED_HIGH = 0x2545f491;
const SEED_LOW = 0x4f6cdd1d;
const STAR_HIGH = 0x106689d4;
const STAR_LOW = 0x5497fdb5;

export class JumpHash {
  readonly #random = new Xorshift1024();

  /**
   * The bucket of a key.
   * @param key a whole number of at most 32 bits
   * @param buckets how many there are, one at least
   */
  bucketOf(key: number, buckets: number): number {
    if (buckets === 1) return 0;
    this.#random.seed(key);
    let bucket = 0;
    let next = 0;
    while (next < buckets) {
      bucket = next;
      next = Math.trunc((bucket + 1) / this.#random.next());
    }
    return bucket;
  }
}

/** The generator; public for its test. */
export class Xorshift1024 {
  /** Below `#drawn` steps, words stand as the seeding generator left them, not yet multiplied: few are ever used. */
  readonly #high = new Uint32Array(WORDS);
  readonly #low = new Uint32Array(WORDS);
  #at = 0;
  #drawn = 0;
  /** The product of the last multiplication. */
  #productHigh = 0;
  #productLow = 0;

  /** As `rand:seed_s(exs1024, {Key, Key, Key})`. */
  seed(key: number): void {
    // Erlang calculates with as many bits as it takes and keeps 21 of each.
    const part = (key & MASK_21) + 1;
    const first = (part * 2097131) % (MASK_21 + 1);
    const second = (part * 2097133) % (MASK_21 + 1);
    const third = (part * 2097143) % (MASK_21 + 1);
    let high = ((first << 11) | (second >>> 10)) >>> 0;
    let low = ((second << 22) | (third << 1) | 1) >>> 0;
    for (let i = WORDS - 1; i >= 0; i--) {
      // x ^= x >>> 12, x ^= x << 25, x ^= x >>> 27
      low ^= (low >>> 12) | (high << 20);
      high ^= high >>> 12;
      high ^= (high << 25) | (low >>> 7);
      low ^= low << 25;
      low ^= (low >>> 27) | (high << 5);
      high ^= high >>> 27;
      this.#high[i] = high;
      this.#low[i] = low;
    }
    this.#at = 0;
    this.#drawn = 0;
    this.#multiplyWord(0);
  }

  /** The next number in (0, 1]. */
  next(): number {
    const high = this.#high;
    const low = this.#low;
    const previous = this.#at;
    const at = (previous + 1) % WORDS;
    if (++this.#drawn < WORDS) this.#multiplyWord(at);
    let firstHigh = high[at];
    let firstLow = low[at];
    // x ^= x << 31, x ^= x >>> 11
    firstHigh ^= (firstHigh << 31) | (firstLow >>> 1);
    firstLow ^= firstLow << 31;
    firstLow ^= (firstLow >>> 11) | (firstHigh << 21);
    firstHigh ^= firstHigh >>> 11;
    // y ^= y >>> 30
    const secondHigh = high[previous] ^ (high[previous] >>> 30);
    const secondLow = low[previous] ^ ((low[previous] >>> 30) | (high[previous] << 2));
    high[at] = firstHigh ^ secondHigh;
    low[at] = firstLow ^ secondLow;
    this.#at = at;
    this.#multiply(high[at], low[at], STAR_HIGH, STAR_LOW);
    return (this.#productHigh * TWO_POW_32 + this.#productLow) / (TWO_POW_32 * TWO_POW_32);
  }

  #multiplyWord(index: number): void {
    this.#multiply(this.#high[index], this.#low[index], SEED_HIGH, SEED_LOW);
    this.#high[index] = this.#productHigh;
    this.#low[index] = this.#productLow;
  }

  /** The low 64 bits of a product. */
  #multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
    const a1 = aLow >>> 16;
    const a0 = aLow & 0xffff;
    const b1 = bLow >>> 16;
    const b0 = bLow & 0xffff;
    const lowest = a0 * b0;
    const middle = a1 * b0 + (lowest >>> 16);
    const carry = a0 * b1 + (middle & 0xffff);
    const upper = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
    this.#productLow = ((carry << 16) | (lowest & 0xffff)) >>> 0;
    this.#productHigh = (upper + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0;
  }
}

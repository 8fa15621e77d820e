// Erlang's portable hash of a term, `erlang:phash2/1`, for the terms that RabbitMQ's exchange types hash: a routing key, a list
// of them, and a header with its type. The same on every node and in every release, which is why RabbitMQ chose it, and what
// lets a message find the same queue here. The mixing is Bob Jenkins' of 1996 (public domain). Must not know what it is for.
import type { Arguments, TypedValue } from './exchange-type.ts';
import { typeName } from './field-value.ts';
import { bytesOf } from './text-bytes.ts';

/** `phash2/1` keeps so many bits of the 32. */
const RESULT_MASK = (1 << 27) - 1;

/** Each kind of term begins with its own multiple of the golden ratio. */
const GOLDEN = 0x9e3779b9;
const seedOf = (kind: number): number => Math.imul(GOLDEN, kind);
const SMALL = seedOf(1);
const NIL = seedOf(2);
const ATOM = seedOf(3);
const TUPLE = seedOf(9);
const NEGATIVE_BIG = seedOf(10);
const POSITIVE_BIG = seedOf(11);
const FLOAT = seedOf(12);
const BINARY = seedOf(13);

/** Integers of 28 bits hash as one word, others as what Erlang's big integers consist of. */
const SMALLEST = -(2 ** 27);
const LARGEST = 2 ** 27 - 1;

/** What the empty list hashes to, where nothing was hashed before it. */
const LONE_NIL = 3468870702;

/** An atom hashes by the value that the virtual machine has for its name: a PJW hash. */
const atomHashes = new Map<string, number>();

/** The hash of a binary. */
export function phash2(text: string): number {
  return new TermHash().binary(bytesOf(text)).result;
}

/** The hash of a list of binaries. */
export function phash2OfList(texts: readonly string[]): number {
  const hash = new TermHash();
  for (const text of texts) hash.binary(bytesOf(text));
  // The ends of the list's tails follow; of a proper list that is the empty list, once.
  return hash.nil().result;
}

/** The hash of a field value as RabbitMQ holds it, a pair of type and value: `{longstr,<<"gold">>}`. */
export function phash2OfField(field: TypedValue): number {
  const hash = new TermHash().tuple(2).atom(typeName(field.type));
  hashValue(hash, field);
  return hash.result;
}

/** The hash of an atom. */
export function phash2OfAtom(name: string): number {
  return new TermHash().atom(name).result;
}

/** Not deeper than the codec lets tables be. */
function hashValue(hash: TermHash, { type, value }: TypedValue): void {
  if (type === 'A') hashArray(hash, value as readonly TypedValue[]);
  else if (type === 'F') hashTable(hash, value as Arguments);
  else if (type === 'D') {
    const { scale, unscaled } = value as { scale: number; unscaled: number };
    hash.tuple(2).integer(scale).integer(unscaled);
  } else if (type === 'V') hash.atom('undefined');
  else if (typeof value === 'boolean') hash.atom(String(value));
  else if (typeof value === 'string') hash.binary(bytesOf(value));
  else if (value instanceof Uint8Array) hash.binary(value);
  else if (type === 'f' || type === 'd') hash.float(Number(value));
  else hash.integer(value as number | bigint);
}

/** `[{Type, Value}]` */
function hashArray(hash: TermHash, values: readonly TypedValue[]): void {
  for (const field of values) {
    hash.tuple(2).atom(typeName(field.type));
    hashValue(hash, field);
  }
  hash.nil();
}

/** `[{Key, Type, Value}]` */
function hashTable(hash: TermHash, table: Arguments): void {
  for (const [key, field] of table) {
    hash.tuple(3).binary(bytesOf(key)).atom(typeName(field.type));
    hashValue(hash, field);
  }
  hash.nil();
}

/** A hash in the making: a term is hashed in parts, from the left. */
class TermHash {
  /** The state of the mixing; `#c` is the hash so far. */
  #a = 0;
  #b = 0;
  #c = 0;

  get result(): number {
    return this.#c & RESULT_MASK;
  }

  /** A tuple of so many elements, which follow. */
  tuple(arity: number): this {
    return this.#words(arity, 0, TUPLE);
  }

  /** The end of a list, whose elements came before. */
  nil(): this {
    if (this.#c !== 0) return this.#words(2, 0, NIL);
    this.#c = LONE_NIL;
    return this;
  }

  atom(name: string): this {
    const value = atomHash(name);
    if (this.#c !== 0) return this.#words(value, 0, ATOM);
    this.#c = value;
    return this;
  }

  integer(value: number | bigint): this {
    if (value < SMALLEST || value > LARGEST) return this.#big(BigInt(value));
    const small = Number(value);
    if (small < 0) this.#words(-small, 0, SMALL);
    return this.#words(small, 0, SMALL);
  }

  float(value: number): this {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value + 0); // no -0
    return this.#words(view.getUint32(0), view.getUint32(4), FLOAT);
  }

  binary(bytes: Uint8Array): this {
    const { length } = bytes;
    const before = (BINARY + this.#c) | 0;
    if (length === 0) {
      this.#c = before;
      return this;
    }
    this.#a = GOLDEN;
    this.#b = GOLDEN;
    this.#c = before;
    let at = 0;
    for (; at + 12 <= length; at += 12) {
      this.#a += word(bytes, at);
      this.#b += word(bytes, at + 4);
      this.#c += word(bytes, at + 8);
      this.#mix();
    }
    this.#a += word(bytes, at);
    this.#b += word(bytes, at + 4);
    // The lowest byte of the last word is the length's.
    this.#c += length + (word(bytes, at + 8) << 8);
    return this.#mix();
  }

  /** Digits of 64 bits, the lowest first. */
  #big(value: bigint): this {
    const seed = value < 0n ? NEGATIVE_BIG : POSITIVE_BIG;
    let rest = value < 0n ? -value : value;
    do {
      this.#words(Number(rest & 0xffffffffn), Number((rest >> 32n) & 0xffffffffn), seed);
      rest >>= 64n;
    } while (rest > 0n);
    return this;
  }

  #words(first: number, second: number, seed: number): this {
    this.#a = seed + first;
    this.#b = seed + second;
    return this.#mix();
  }

  #mix(): this {
    let a = this.#a | 0;
    let b = this.#b | 0;
    let c = this.#c | 0;
    a = (a - b - c) ^ (c >>> 13);
    b = (b - c - a) ^ (a << 8);
    c = (c - a - b) ^ (b >>> 13);
    a = (a - b - c) ^ (c >>> 12);
    b = (b - c - a) ^ (a << 16);
    c = (c - a - b) ^ (b >>> 5);
    a = (a - b - c) ^ (c >>> 3);
    b = (b - c - a) ^ (a << 10);
    c = (c - a - b) ^ (b >>> 15);
    this.#a = a;
    this.#b = b;
    this.#c = c;
    return this;
  }
}

/** Four bytes, the lowest first; those past the end are zero. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function atomHash(name: string): number {
  let hash = atomHashes.get(name);
  if (hash === undefined) {
    hash = pjwHash(bytesOf(name));
    atomHashes.set(name, hash);
  }
  return hash;
}

function pjwHash(bytes: Uint8Array): number {
  let hash = 0;
  for (const byte of bytes) {
    hash = ((hash << 4) + byte) | 0;
    const top = hash & 0xf0000000;
    if (top !== 0) hash = hash ^ (top >>> 24) ^ top;
  }
  return hash;
}

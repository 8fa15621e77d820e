// Where a pair of exchange and routing key leads, found by the bytes of the pair: publishers repeat themselves, so the hot
// path neither decodes strings nor asks the exchange again. Everything is dropped when the topology's version moves.
import { decodeString } from '../../codec/strings.ts';
import type { Exchange } from './exchange.ts';
import type { MessageTarget } from './queue.ts';

/** An exchange and a routing key, as names and as bytes. Messages with the same pair share one. */
export class Route {
  readonly exchange: string;
  readonly routingKey: string;
  /** Both as AMQP short strings, one after the other: what a delivery repeats. */
  readonly bytes: Buffer;
  readonly hash: number;
  /** How many messages that the broker holds share it; kept by the memory account. */
  messages = 0;
  /** The topology version that `target` and `queues` were found at; -1 before. */
  version = -1;
  /** The exchange itself; undefined when there is none of that name. */
  target: Exchange | undefined;
  /** The queues that every message of this route goes to; null when that depends on the message. */
  queues: readonly MessageTarget[] | null = null;

  constructor(bytes: Buffer, hash: number) {
    const exchangeEnd = 1 + bytes[0];
    this.exchange = decodeString(bytes, 1, exchangeEnd);
    this.routingKey = decodeString(bytes, exchangeEnd + 1, bytes.length);
    this.bytes = bytes;
    this.hash = hash;
  }

  /** Lets go of what it led to: messages keep their route, which must not keep deleted queues. */
  forget(): void {
    this.version = -1;
    this.target = undefined;
    this.queues = null;
  }

  /** True when the bytes from `start` to `end` name this route. */
  matches(buffer: Buffer, start: number, end: number): boolean {
    const bytes = this.bytes;
    const length = end - start;
    if (bytes.length !== length) return false;
    for (let i = 0; i < length; i++) {
      if (bytes[i] !== buffer[start + i]) return false;
    }
    return true;
  }
}

const FEWEST_SLOTS = 64;
const MOST_SLOTS = 16_384;

/** A bounded cache of routes: pairs of slots by hash, the older of a pair makes room. */
export class RouteCache {
  #slots: (Route | undefined)[] = new Array(FEWEST_SLOTS);
  #count = 0;
  #version = 0;

  /** The route that the two short strings from `start` to `end` name, new or known. `version` is the topology's. */
  find(buffer: Buffer, start: number, end: number, version: number): Route {
    if (version !== this.#version) this.#reset(version);
    const hash = hashBytes(buffer, start, end);
    const slots = this.#slots;
    const slot = hash & (slots.length - 1);
    const first = slots[slot];
    if (first !== undefined && first.hash === hash && first.matches(buffer, start, end)) return first;
    const second = slots[slot ^ 1];
    if (second !== undefined && second.hash === hash && second.matches(buffer, start, end)) return second;
    const route = new Route(Buffer.from(buffer.subarray(start, end)), hash);
    this.#insert(route);
    return route;
  }

  #reset(version: number): void {
    this.#version = version;
    if (this.#count === 0) return;
    for (const route of this.#slots) route?.forget();
    this.#slots = new Array(FEWEST_SLOTS);
    this.#count = 0;
  }

  #insert(route: Route): void {
    if (this.#count * 2 >= this.#slots.length && this.#slots.length < MOST_SLOTS) this.#grow();
    this.#place(route);
  }

  #place(route: Route): void {
    const slots = this.#slots;
    const slot = route.hash & (slots.length - 1);
    if (slots[slot] === undefined || slots[slot ^ 1] === undefined) this.#count++;
    if (slots[slot] !== undefined) {
      slots[slot ^ 1]?.forget();
      slots[slot ^ 1] = slots[slot];
    }
    slots[slot] = route;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Array(old.length * 4);
    this.#count = 0;
    for (const route of old) {
      if (route !== undefined) this.#place(route);
    }
  }
}

/** FNV-1a over the bytes, with a final mix, since only the low bits choose the slot. */
function hashBytes(buffer: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193);
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}

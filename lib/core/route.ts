// Where a pair of exchange and routing key leads, found by the bytes of the pair: publishers repeat themselves, so the hot
// path neither decodes strings nor asks the exchange again. A change of the topology drops the routes that it may concern, and
// no others: publishers don't notice the queues that come and go elsewhere.
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
  /** True while it is in a cache. Whoever keeps a route that is not had better ask for it again. */
  isCached = false;
  /** The exchange itself; undefined when it was not looked up. */
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
    this.isCached = false;
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
/** In any case up to so many: 5 MB of routes that may be of no further use. */
const PLENTY_OF_SLOTS = 16_384;
/** Where there are as many queues and bindings, which take as much themselves: 40 MB of routes. */
const MOST_SLOTS = 131_072;
/** Slots that a route may have: the more, the fewer that are in use have to go. Their hashes share a line of the processor's cache. */
const WAYS = 8;

/**
 * A bounded cache of routes: sets of slots by hash, the oldest of a set makes room. It knows what the topology told it of a
 * route until it is told that this changed; nothing is ever known of routes that are not in it.
 */
export class RouteCache {
  /** How many queues and bindings there are, kept by the topology: about so many routes may be used again and again. */
  ends = 0;
  #slots: (Route | undefined)[] = new Array(FEWEST_SLOTS);
  /** Of the routes in the slots: most that are looked at are others, which need not be fetched to see that. */
  #hashes = new Int32Array(FEWEST_SLOTS);
  #count = 0;
  /** Those of the default exchange whose queues are known. They depend on nothing but the queue that their key names. */
  readonly #byQueue = new Map<string, Route>();
  /** Those whose queues are known, by the exchange that they begin at. */
  readonly #byExchange = new Map<Exchange, Set<Route>>();

  /** The route that the two short strings from `start` to `end` name, new or known. */
  find(buffer: Buffer, start: number, end: number): Route {
    const hash = hashBytes(buffer, start, end);
    const hashes = this.#hashes;
    const from = firstSlot(hash, hashes.length);
    for (let slot = from; slot < from + WAYS; slot++) {
      if (hashes[slot] !== hash) continue;
      const route = this.#slots[slot];
      if (route?.matches(buffer, start, end)) return route;
    }
    const route = new Route(Buffer.from(buffer.subarray(start, end)), hash);
    this.#insert(route);
    return route;
  }

  /** Keeps where a route leads until a change is told. Not for one that is not here any more: changes would not reach it. */
  remember(route: Route, target: Exchange, queues: readonly MessageTarget[] | null): void {
    if (!route.isCached) return;
    route.target = target;
    route.queues = queues;
    if (route.exchange === '') {
      this.#byQueue.set(route.routingKey, route);
      return;
    }
    const routes = this.#byExchange.get(target);
    if (routes === undefined) this.#byExchange.set(target, new Set([route]));
    else routes.add(route);
  }

  /** A queue of this name came or went. */
  queueChanged(name: string): void {
    const route = this.#byQueue.get(name);
    if (route !== undefined) this.#drop(route);
  }

  /** What begins at this exchange may lead elsewhere now. */
  exchangeChanged(exchange: Exchange): void {
    for (const route of this.#byExchange.get(exchange) ?? []) this.#drop(route);
  }

  /** What begins at any exchange but the default one may lead elsewhere now. */
  exchangesChanged(): void {
    for (const exchange of this.#byExchange.keys()) this.exchangeChanged(exchange);
  }

  /** Routes whose meaning changed go altogether: names that live once would else stay until others need their slots. */
  #drop(route: Route): void {
    const slots = this.#slots;
    const from = firstSlot(route.hash, slots.length);
    for (let slot = from; slot < from + WAYS; slot++) if (slots[slot] === route) slots[slot] = undefined;
    this.#count--;
    this.#forget(route);
  }

  #forget(route: Route): void {
    const { target } = route;
    if (target !== undefined && route.exchange === '') {
      this.#byQueue.delete(route.routingKey);
    } else if (target !== undefined) {
      const routes = this.#byExchange.get(target);
      routes?.delete(route);
      if (routes?.size === 0) this.#byExchange.delete(target);
    }
    route.forget();
  }

  #insert(route: Route): void {
    if (this.#count * 2 >= this.#slots.length && this.#mayGrow()) this.#grow();
    route.isCached = true;
    this.#place(route);
  }

  #mayGrow(): boolean {
    const { length } = this.#slots;
    return length < PLENTY_OF_SLOTS || length < Math.min(MOST_SLOTS, 2 * this.ends);
  }

  /** Puts it first in its set; the others move on until one finds a free slot, or the last one goes. */
  #place(route: Route): void {
    const from = firstSlot(route.hash, this.#slots.length);
    let moving = route;
    for (let slot = from; slot < from + WAYS; slot++) {
      const next = this.#slots[slot];
      this.#slots[slot] = moving;
      this.#hashes[slot] = moving.hash;
      if (next === undefined) {
        this.#count++;
        return;
      }
      moving = next;
    }
    this.#forget(moving);
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Array(old.length * 2);
    this.#hashes = new Int32Array(old.length * 2);
    this.#count = 0;
    // The oldest of a set come last.
    for (let slot = old.length - 1; slot >= 0; slot--) {
      const route = old[slot];
      if (route !== undefined) this.#place(route);
    }
  }
}

/** Where the set of slots for a hash begins. */
function firstSlot(hash: number, slots: number): number {
  return hash & (slots - WAYS);
}

/** FNV-1a over the bytes, with a final mix, since only the low bits choose the slot. */
function hashBytes(buffer: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193);
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}

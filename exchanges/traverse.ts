// From an exchange to the queues that a message reaches: through bindings between exchanges and through alternate exchanges.
// This lives here once, so that no exchange type cares. Must not know what a queue or a virtual host is.
import type { Routable, Router } from './exchange-type.ts';

/** What an exchange leads to. The field tells the two kinds apart; on a prototype it costs an object nothing. */
export interface QueueNode {
  readonly isExchange: false;
}

/** An exchange as the traversal sees it. Its destinations are queues (opaque but for the field) and exchanges. */
export interface ExchangeNode<Q extends QueueNode> {
  readonly isExchange: true;
  readonly router: Router<Q | ExchangeNode<Q>>;
  /** The alternate exchange; undefined when there is none, or none of that name exists. */
  alternate(): ExchangeNode<Q> | undefined;
}

const NO_COPIES: readonly Routable[] = [];

/** Up to so many queues are compared pair by pair rather than by a Set. */
const FEW = 8;

/**
 * Appends the queues that a message published to `start` reaches, each once.
 *
 * As RabbitMQ does: an alternate exchange takes over when the router of its exchange finds nothing, however the message got
 * there. An exchange found counts as something, even if it leads nowhere. Every exchange is asked once: cycles end.
 *
 * @param into an empty array
 * @param copies the message again under its further routing keys (the `CC` and `BCC` headers). The alternate exchange is
 *   for a message that none of the keys leads anywhere.
 * @returns true when every exchange on the way routes by key only: the result then holds for all messages with the same
 *   routing key (and no copies) until a binding or an alternate exchange changes
 */
export function route<Q extends QueueNode>(
  start: ExchangeNode<Q>,
  message: Routable,
  into: Q[],
  copies: readonly Routable[] = NO_COPIES,
): boolean {
  const found: (Q | ExchangeNode<Q>)[] = into;
  ask(start, message, copies, found);
  if (found.length === 0 ? start.alternate() === undefined : !found.some(isExchange)) {
    dropDuplicates(found);
    return start.router.routesByKeyOnly;
  }
  const first = found.splice(0);
  return new Traversal<Q>(start, first).run(message, copies, into);
}

/** The way through more than one exchange. */
class Traversal<Q extends QueueNode> {
  readonly #start: ExchangeNode<Q>;
  readonly #exchanges: Set<ExchangeNode<Q>>;
  readonly #queues = new Set<Q>();

  /** @param found what the router of `start` answered */
  constructor(start: ExchangeNode<Q>, found: readonly (Q | ExchangeNode<Q>)[]) {
    this.#start = start;
    this.#exchanges = new Set([start]);
    this.#follow(start, found);
  }

  run(message: Routable, copies: readonly Routable[], into: Q[]): boolean {
    let byKeyOnly = true;
    const found: (Q | ExchangeNode<Q>)[] = [];
    // A Set visits what is added while it is walked.
    for (const exchange of this.#exchanges) {
      if (!exchange.router.routesByKeyOnly) byKeyOnly = false;
      if (exchange === this.#start) continue;
      found.length = 0;
      ask(exchange, message, copies, found);
      this.#follow(exchange, found);
    }
    for (const queue of this.#queues) into.push(queue);
    return byKeyOnly;
  }

  #follow(exchange: ExchangeNode<Q>, found: readonly (Q | ExchangeNode<Q>)[]): void {
    for (const destination of found) {
      if (isExchange(destination)) this.#exchanges.add(destination);
      else this.#queues.add(destination);
    }
    if (found.length > 0) return;
    const alternate = exchange.alternate();
    if (alternate !== undefined) this.#exchanges.add(alternate);
  }
}

function isExchange<Q extends QueueNode>(destination: Q | ExchangeNode<Q>): destination is ExchangeNode<Q> {
  return destination.isExchange;
}

function ask<Q extends QueueNode>(
  exchange: ExchangeNode<Q>,
  message: Routable,
  copies: readonly Routable[],
  into: (Q | ExchangeNode<Q>)[],
): void {
  if (copies.length === 0) exchange.router.route(message, into);
  else routeTogether(exchange.router, message, copies, into);
}

/** Asks a router about a message that has further routing keys. */
export function routeTogether<D>(router: Router<D>, message: Routable, copies: readonly Routable[], into: D[]): void {
  if (router.routeTogether !== undefined) {
    router.routeTogether(message, copies, into);
    return;
  }
  router.route(message, into);
  for (const copy of copies) router.route(copy, into);
}

/** Keeps the first of equal elements, in place. */
function dropDuplicates<T>(array: T[]): void {
  if (array.length < 2) return;
  const seen = array.length > FEW ? new Set<T>() : undefined;
  let kept = 0;
  for (const element of array) {
    if (seen === undefined ? occursBefore(array, element, kept) : seen.has(element)) continue;
    seen?.add(element);
    array[kept++] = element;
  }
  array.length = kept;
}

function occursBefore<T>(array: readonly T[], element: T, end: number): boolean {
  for (let i = 0; i < end; i++) {
    if (array[i] === element) return true;
  }
  return false;
}

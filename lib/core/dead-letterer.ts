// Hands what leaves a queue unconsumed to the exchange that the queue names for its dead letters.
import { peekExpiration, withHeaders, withoutExpiration } from '../../codec/properties.ts';
import { encodedStringSize, encodeShortString, SHORT_STRING_MAX, shortStringSize } from '../../codec/strings.ts';
import { carbonCopyKeys, type DeadLetterReason, type Deaths, deadLetterHeaders, queuesInCycle } from './dead-letter.ts';
import type { Message } from './message.ts';
import type { Clock } from './ports.ts';
import type { Confirmation, MessageTarget, Queue } from './queue.ts';
import type { QueueFeatures } from './queue-features.ts';
import type { Route } from './route.ts';

/** Told whether all that a dead letter was routed to has it. */
export type Settled = (accepted: boolean) => void;

/** What a dead letter needs from its virtual host. */
export interface DeadLetterHost {
  readonly exchanges: ReadonlyMap<string, unknown>;
  findRoute(buffer: Buffer, start: number, end: number): Route;
  route(message: Message, extraKeys: readonly string[]): readonly MessageTarget[];
  deliverReplies(message: Message, extraKeys: readonly string[]): void;
  hasReplyQueue(name: string): boolean;
}

/** A message that leaves its queue. */
interface Departure {
  readonly queue: Queue;
  readonly message: Message;
  readonly reason: DeadLetterReason;
  readonly settled: Settled | null;
}

interface DeadLetter {
  readonly message: Message;
  readonly extraKeys: readonly string[];
  readonly deaths: Deaths;
}

/** Letters that follow from one another, with so many deaths in their headers together, make a turn long enough. */
const MOST_DEATHS_IN_A_GO = 1000;

const NO_KEYS: readonly string[] = [];

export class DeadLetterer {
  readonly #host: DeadLetterHost;
  readonly #clock: Clock;
  readonly #defect: (error: unknown) => void;
  /** Where the dead letters of queues go, as the short strings that name a route: the exchange, and the routing key if they say one. */
  readonly #addresses = new WeakMap<QueueFeatures, Buffer | null>();
  readonly #names = Buffer.alloc(2 * (1 + SHORT_STRING_MAX));
  #isPublishing = false;
  /** Of all letters of the message that is leaving now, and of those that it made leave. */
  #deaths = 0;
  /** For the next turn. */
  #later: Departure[] = [];
  #waiting: Departure[] = [];
  /** What leaves while something is done that comes before; null when nothing is. */
  #held: Departure[] | null = null;

  /** @param defect logs a defect of ours */
  constructor(host: DeadLetterHost, clock: Clock, defect: (error: unknown) => void) {
    this.#host = host;
    this.#clock = clock;
    this.#defect = defect;
  }

  /**
   * Publishes the dead letter of a message that leaves `queue`, in the same go: what it reaches has it before this returns. Only where the
   * message leaves because another dead letter came, it waits until that one is published: a chain of queues must not become one of calls.
   * @param settled told once, at once or later: true when every queue it was routed to has it (durably where they are durable),
   *   false when it was routed nowhere or refused by one; never after a defect. null: nobody cares (at-most-once)
   */
  deadLetter(queue: Queue, message: Message, reason: DeadLetterReason, settled: Settled | null): void {
    const departure = { queue, message, reason, settled };
    if (this.isBusy && settled !== null) {
      if (this.#later.push(departure) === 1) this.#clock.endOfTurn(() => this.#goOn());
    } else if (this.#isPublishing) {
      this.#waiting.push(departure);
    } else if (this.#held !== null) {
      this.#held.push(departure);
    } else {
      this.#publishAll(departure);
    }
  }

  /** Gives a message to all that it is routed to, before the dead letters that it causes. */
  spread(targets: readonly MessageTarget[], message: Message, confirmation: Confirmation | null): void {
    this.lettersAfter(() => {
      for (const target of targets) target.publish(message, confirmation);
    });
  }

  /** Does something. The dead letters that it causes come after it wherever they go, as in RabbitMQ, but in the same go. */
  lettersAfter(action: () => void): void {
    if (this.#isPublishing || this.#held !== null) {
      action();
      return;
    }
    const held: Departure[] = [];
    this.#held = held;
    try {
      action();
    } finally {
      this.#held = null;
      for (const departure of held) this.#publishAll(departure);
    }
  }

  /**
   * One message has made so many others leave that the rest must wait for the next turn: who gives the next with a callback, and keeps the message until
   * then, loses nothing.
   */
  get isBusy(): boolean {
    return this.#deaths >= MOST_DEATHS_IN_A_GO;
  }

  #publishAll(first: Departure): void {
    this.#isPublishing = true;
    this.#publish(first);
    while (this.#waiting.length > 0) {
      const departures = this.#waiting;
      this.#waiting = [];
      for (const next of departures) this.#publish(next);
    }
    this.#isPublishing = false;
    this.#deaths = 0;
  }

  #goOn(): void {
    const later = this.#later;
    this.#later = [];
    for (const departure of later) this.#publishAll(departure);
  }

  /** Never throws: it would take others with it that are not to blame. */
  #publish({ queue, message, reason, settled }: Departure): void {
    try {
      const route = this.#findRoute(queue.features, message);
      if (route === null) {
        settled?.(false);
        return;
      }
      const letter = this.#write(route, queue, message, reason);
      this.#deaths += letter.deaths.length;
      const queues = this.#targets(letter);
      const isReply = route.exchange === '' && this.#reply(letter);
      if (queues.length === 0) {
        settled?.(isReply);
        return;
      }
      const confirmation = settled === null ? null : new Acceptance(queues.length, settled);
      for (const target of queues) target.publish(letter.message, confirmation, settled === null);
    } catch (error) {
      this.#defect(error);
    }
  }

  /** Null when there is no such exchange. It may come later. */
  #findRoute(features: QueueFeatures, { route }: Message): Route | null {
    const { deadLetterExchange: exchange, deadLetterRoutingKey: routingKey } = features;
    if (exchange === null || !this.#host.exchanges.has(exchange)) return null;
    let address = this.#addresses.get(features);
    if (address === undefined) {
      address = encodeAddress(exchange, routingKey);
      this.#addresses.set(features, address);
    }
    if (address === null) return null;
    if (routingKey !== null) return this.#host.findRoute(address, 0, address.length);
    const names = this.#names;
    const end = address.copy(names) + route.bytes.copy(names, address.length, 1 + route.bytes[0]);
    return this.#host.findRoute(names, 0, end);
  }

  #write(route: Route, queue: Queue, message: Message, reason: DeadLetterReason): DeadLetter {
    const { propertiesBuffer: buffer, propertiesStart: start, propertiesEnd: end } = message;
    const before = message.headers;
    const copyKeys = before === null ? NO_KEYS : carbonCopyKeys(before);
    const death = {
      reason,
      queue: queue.name,
      exchange: message.exchange,
      routingKeys: [message.routingKey, ...copyKeys],
      time: Math.floor(this.#clock.epochMs() / 1000),
      expiration: peekExpiration(buffer, start, end),
    };
    const keepsKeys = queue.features.deadLetterRoutingKey === null;
    const { headers, deaths } = deadLetterHeaders(before, death, keepsKeys);
    let properties = withHeaders(buffer, start, end, headers);
    if (death.expiration !== undefined) properties = withoutExpiration(properties, 0, properties.length);
    return {
      message: message.republished(route, properties),
      extraKeys: keepsKeys ? copyKeys : NO_KEYS,
      deaths,
    };
  }

  /** The queues that get it: not those where it would go in circles. */
  #targets({ message, extraKeys, deaths }: DeadLetter): readonly MessageTarget[] {
    const queues = this.#host.route(message, extraKeys);
    const inCycle = queuesInCycle(deaths);
    return queues.some(({ name }) => inCycle.has(name)) ? queues.filter(({ name }) => !inCycle.has(name)) : queues;
  }

  /** Whether a client waits for it at a reply address. */
  #reply({ message, extraKeys }: DeadLetter): boolean {
    const host = this.#host;
    if (!host.hasReplyQueue(message.routingKey) && !extraKeys.some((key) => host.hasReplyQueue(key))) return false;
    host.deliverReplies(message, extraKeys);
    return true;
  }
}

/** Puts together what the queues say that a dead letter was routed to. */
class Acceptance {
  #left: number;
  readonly #settled: Settled;
  #accepted = true;

  constructor(queues: number, settled: Settled) {
    this.#left = queues;
    this.#settled = settled;
  }

  settled(accepted: boolean): void {
    if (!accepted) this.#accepted = false;
    if (--this.#left === 0) this.#settled(this.#accepted);
  }
}

/** Null when a name is too long: there is no such exchange, and no message with such a routing key. */
function encodeAddress(exchange: string, routingKey: string | null): Buffer | null {
  const names = routingKey === null ? [exchange] : [exchange, routingKey];
  if (names.some((name) => encodedStringSize(name) > SHORT_STRING_MAX)) return null;
  const address = Buffer.alloc(names.reduce((size, name) => size + shortStringSize(name), 0));
  let at = 0;
  for (const name of names) at = encodeShortString(name, address, at);
  return address;
}

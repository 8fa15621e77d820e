// The last messages that went through an exchange whose type keeps some (`ExchangeType.history`), for what is bound to it later.
// Kept in memory alone and gone after a restart, as in RabbitMQ. Must not know what the exchange does with a message else.
import type { Binding, HistoryRule, Routable, Router } from '../../exchanges/exchange-type.ts';
import { routeTogether } from '../../exchanges/traverse.ts';
import type { Destination, RouteTarget } from './binding.ts';
import { MESSAGE_OVERHEAD_BYTES, type MemoryAccount } from './memory-account.ts';
import { Message } from './message.ts';
import type { Clock } from './ports.ts';
import type { RetentionSlab } from './retention-slab.ts';
import { queuesFrom } from './routing.ts';
import type { TurnScheduler, TurnTask } from './turn.ts';

/** The share of the memory limit that the histories of a virtual host may fill: what they hold, no consumer can clear away. */
const MEMORY_SHARE = 0.1;
/** Fewer forgotten entries are not worth moving the others for. */
const FEWEST_FORGOTTEN = 32;

export interface HistoryContext {
  readonly memory: MemoryAccount;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  readonly clock: Clock;
  /** Logs a defect of ours. */
  readonly defect: (error: unknown) => void;
}

/** A message that is kept. */
interface HeldMessage {
  readonly message: Message;
  /** Its further routing keys (the CC and BCC headers). */
  readonly extraKeys: readonly string[];
}

/** Makes the histories of a virtual host, which share what memory they may fill. */
export class Histories {
  /** Bytes of all that is held, overhead included. */
  usedBytes = 0;
  readonly limitBytes: number;
  readonly context: HistoryContext;

  constructor(context: HistoryContext) {
    this.context = context;
    this.limitBytes = context.memory.limitBytes * MEMORY_SHARE;
  }

  create(rule: HistoryRule): RecentHistory {
    return new RecentHistory(rule, this);
  }
}

export class RecentHistory implements TurnTask {
  readonly #rule: HistoryRule;
  readonly #histories: Histories;
  /** The oldest first, from `#first` on; what stands before was forgotten. */
  #held: (HeldMessage | undefined)[] = [];
  #first = 0;
  /** How many of the last were recorded in this turn. */
  #fresh = 0;
  #inTurn = false;

  constructor(rule: HistoryRule, histories: Histories) {
    this.#rule = rule;
    this.#histories = histories;
  }

  /** The messages that it holds. */
  get size(): number {
    return this.#held.length - this.#first;
  }

  /** A message goes through the exchange. */
  record(message: Message, extraKeys: readonly string[]): void {
    const rule = this.#rule;
    if (!rule.keeps(message)) return;
    const histories = this.#histories;
    const { memory, turn } = histories.context;
    memory.retain(message);
    histories.usedBytes += bytesHeld(message);
    this.#held.push({ message, extraKeys });
    while (this.size > 0 && (this.size > rule.length || histories.usedBytes > histories.limitBytes))
      this.#forgetFirst();
    this.#fresh++;
    if (this.#inTurn) return;
    this.#inTurn = true;
    turn.add(this);
  }

  /**
   * Gives what it holds to what was bound to the exchange just now. As in RabbitMQ a queue gets the oldest first, and an exchange
   * the newest; and their time to live begins anew.
   */
  replay(destination: Destination): void {
    const nowMs = this.#histories.context.clock.epochMs();
    // A list of its own: when the destination leads back to this exchange, that records the messages once more.
    const held = [...this.#all()];
    if (!destination.isExchange) {
      for (const { message } of held) destination.publish(copyOf(message, nowMs), null);
      return;
    }
    for (const { message, extraKeys } of held.reverse()) {
      const copy = copyOf(message, nowMs);
      for (const queue of queuesFrom(destination, copy, extraKeys)) queue.publish(copy, null);
    }
  }

  /** The exchange is gone. */
  clear(): void {
    while (this.size > 0) this.#forgetFirst();
  }

  /** What is still held after the turn that it came in must not pin the chunks that it came in. */
  endTurn(): void {
    this.#inTurn = false;
    const first = Math.max(this.#first, this.#held.length - this.#fresh);
    this.#fresh = 0;
    const { slab } = this.#histories.context;
    let bytes = 0;
    for (const { message } of this.#all(first)) bytes += message.bytesToIsolate;
    slab.begin(bytes);
    for (const { message } of this.#all(first)) message.isolate(slab);
  }

  turnFailed(error: unknown): void {
    this.#histories.context.defect(error);
  }

  *#all(first = this.#first): Generator<HeldMessage> {
    for (let i = first; i < this.#held.length; i++) {
      const held = this.#held[i];
      if (held !== undefined) yield held;
    }
  }

  #forgetFirst(): void {
    const held = this.#held[this.#first];
    this.#held[this.#first++] = undefined;
    if (held !== undefined) {
      this.#histories.usedBytes -= bytesHeld(held.message);
      this.#histories.context.memory.release(held.message);
    }
    if (this.#first < FEWEST_FORGOTTEN || this.#first < this.size) return;
    this.#held = this.#held.slice(this.#first);
    this.#first = 0;
  }
}

/** Routes as another router does, and records what it is asked about. */
export class RecordingRouter implements Router<RouteTarget> {
  readonly routesByKeyOnly = false;
  readonly #router: Router<RouteTarget>;
  readonly #history: RecentHistory;

  constructor(router: Router<RouteTarget>, history: RecentHistory) {
    this.#router = router;
    this.#history = history;
  }

  bind(binding: Binding<RouteTarget>): void {
    this.#router.bind(binding);
  }

  unbind(binding: Binding<RouteTarget>): void {
    this.#router.unbind(binding);
  }

  route(message: Routable, into: RouteTarget[]): void {
    this.#record(message, []);
    this.#router.route(message, into);
  }

  routeTogether(message: Routable, copies: readonly Routable[], into: RouteTarget[]): void {
    this.#record(
      message,
      copies.map((copy) => copy.routingKey),
    );
    routeTogether(this.#router, message, copies, into);
  }

  /** Whoever asks only where a routing key leads has no message. */
  #record(message: Routable, extraKeys: readonly string[]): void {
    if (message instanceof Message) this.#history.record(message, extraKeys);
  }
}

function bytesHeld(message: Message): number {
  return message.size + MESSAGE_OVERHEAD_BYTES;
}

/** A message of its own, since the one that is held has been through queues; its time to live begins anew. */
function copyOf(message: Message, nowMs: number): Message {
  const copy = message.copy();
  copy.beginExpiration(nowMs);
  return copy;
}

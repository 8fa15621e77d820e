// The exchanges of a virtual host that hold messages back before they route them, each with a queue of its own for that.
import type { Binding, ExchangeType, Routable, Router } from '../../exchanges/exchange-type.ts';
import { routeTogether } from '../../exchanges/traverse.ts';
import type { RouteTarget } from './binding.ts';
import { DelayQueue, exchangeHolding } from './delay-queue.ts';
import type { Exchange } from './exchange.ts';
import { release } from './held-message.ts';
import { Message } from './message.ts';
import type { RecoveredQueue } from './message-store.ts';
import type { QueueSettings } from './queue.ts';
import type { QueueContext } from './queue-context.ts';
import { queuesFrom } from './routing.ts';

/** Marks the queues among those that the store brings back. No client can declare such a one. */
const MARK = 'x-queue-type';
const DELAY_QUEUE_ARGUMENTS = new Map([[MARK, { type: 'S', value: 'x-delayed-message' } as const]]);

/** Whether a queue that was there before a restart holds messages back for the exchange of its name. */
export function isDelayQueue({ arguments: args }: QueueSettings): boolean {
  return args.get(MARK)?.value === 'x-delayed-message';
}

export class DelayedExchanges {
  readonly #context: QueueContext;
  readonly #find: (exchange: string) => Exchange | undefined;
  /** By the name of the exchange. */
  readonly #queues = new Map<string, DelayQueue>();

  /** @param find an exchange by its name */
  constructor(context: QueueContext, find: (exchange: string) => Exchange | undefined) {
    this.#context = context;
    this.#find = find;
  }

  /** A router for an exchange that holds messages back, then routes as `router` does. */
  createRouter(
    settings: { readonly name: string; readonly durable: boolean },
    delayMs: NonNullable<ExchangeType['delayMs']>,
    router: Router<RouteTarget>,
  ): Router<RouteTarget> {
    const { name, durable } = settings;
    const queue = (): DelayQueue => {
      const known = this.#queues.get(name);
      const base = { name, durable, autoDelete: false, owner: null };
      return known ?? this.#create({ ...base, arguments: DELAY_QUEUE_ARGUMENTS }, delayMs, null);
    };
    return new DelayedRouter(router, delayMs, queue);
  }

  /** Brings back what an exchange held before a restart. Does nothing when there is no such exchange any more. */
  restore(
    settings: QueueSettings,
    delayMs: ExchangeType['delayMs'],
    recovered: RecoveredQueue,
  ): DelayQueue | undefined {
    return delayMs === undefined ? undefined : this.#create(settings, delayMs, recovered);
  }

  /** What holds messages back under a name that `DelayQueue.name` gave. */
  find(name: string): DelayQueue | undefined {
    const exchange = exchangeHolding(name);
    return exchange === undefined ? undefined : this.#queues.get(exchange);
  }

  /** An exchange is deleted, and what it holds with it. */
  removed(exchange: string): void {
    this.#queues.get(exchange)?.close();
    this.#queues.delete(exchange);
  }

  #create(
    settings: QueueSettings,
    delayMs: NonNullable<ExchangeType['delayMs']>,
    recovered: RecoveredQueue | null,
  ): DelayQueue {
    const send = (message: Message): void => this.#send(settings.name, message);
    const queue = new DelayQueue(settings, { context: this.#context, delayMs, send }, recovered);
    this.#queues.set(settings.name, queue);
    return queue;
  }

  /** Routes a message whose time has come. */
  #send(name: string, held: Message): void {
    const exchange = this.#find(name);
    if (exchange === undefined) return;
    const { message, extraKeys } = release(held, this.#context.clock.epochMs());
    this.#context.deadLetters.spread(queuesFrom(exchange, message, extraKeys), message, null);
  }
}

/** Routes as another router does, but for what is to be held back. */
class DelayedRouter implements Router<RouteTarget> {
  readonly routesByKeyOnly = false;
  readonly #router: Router<RouteTarget>;
  readonly #delayMs: (message: Routable) => number;
  readonly #queue: () => DelayQueue;

  constructor(router: Router<RouteTarget>, delayMs: (message: Routable) => number, queue: () => DelayQueue) {
    this.#router = router;
    this.#delayMs = delayMs;
    this.#queue = queue;
  }

  bind(binding: Binding<RouteTarget>): void {
    this.#router.bind(binding);
  }

  unbind(binding: Binding<RouteTarget>): void {
    this.#router.unbind(binding);
  }

  route(message: Routable, into: RouteTarget[]): void {
    if (this.#delayMs(message) > 0) into.push(this.#queue());
    else this.#router.route(message, into);
  }

  routeTogether(message: Routable, copies: readonly Routable[], into: RouteTarget[]): void {
    if (this.#delayMs(message) === 0) {
      routeTogether(this.#router, message, copies, into);
      return;
    }
    const queue = this.#queue();
    into.push(queue);
    const keys = copies.map((copy) => copy.routingKey);
    if (message instanceof Message) queue.noteKeys(message, keys);
  }
}

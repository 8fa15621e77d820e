// A virtual host: its exchanges, queues and bindings, and the way of a message from its route to its queues.

import type { Routable } from '../../exchanges/exchange-type.ts';
import type { ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import { route as traverse } from '../../exchanges/traverse.ts';
import { type Binding, type BindingRequest, bindingIdentity, type Destination, NO_ARGUMENTS } from './binding.ts';
import type { QueueContext } from './classic-queue.ts';
import type { Consumer } from './consumer.ts';
import { assertSameExchange, assertSameQueue } from './declaration-checks.ts';
import { BrokerError, describeResource, notFound } from './errors.ts';
import type { Exchange, ExchangeSettings } from './exchange.ts';
import { checkArguments, unknownExchangeType } from './exchange-checks.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { Message } from './message.ts';
import type { MessageStore, RecoveredQueue } from './message-store.ts';
import type { Durability, Owner } from './ports.ts';
import { PREDECLARED_EXCHANGES } from './predeclared.ts';
import type { Queue, QueueSettings } from './queue.ts';
import { createQueue } from './queue-types.ts';
import { ReplyQueues } from './reply-queues.ts';
import type { RetentionSlab } from './retention-slab.ts';
import { type Route, RouteCache } from './route.ts';
import { isDurable, requestOf, Topology } from './topology.ts';
import type { TurnScheduler } from './turn.ts';

/** What the virtual hosts of a broker share. */
export interface VirtualHostContext {
  readonly exchangeTypes: ExchangeTypeRegistry;
  readonly memory: MemoryAccount;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  /** Logs a defect of ours. */
  readonly defect: (error: unknown) => void;
  /** Tells when what was done is durable. */
  readonly durability: Durability;
  /** Keeps what is durable and what memory has no room for; null where there is no disk. */
  readonly store: MessageStore | null;
}

export class VirtualHost {
  readonly name: string;
  readonly exchanges: ReadonlyMap<string, Exchange>;
  readonly queues: ReadonlyMap<string, Queue>;
  /** Tells when declarations, publishes and acknowledgements so far are durable. */
  readonly durability: Durability;
  readonly #replies: ReplyQueues;
  readonly #store: MessageStore | null;
  readonly #types: ExchangeTypeRegistry;
  readonly #queueContext: QueueContext;
  readonly #routes = new RouteCache();
  readonly #topology: Topology;

  constructor(name: string, context: VirtualHostContext) {
    this.name = name;
    this.durability = context.durability;
    this.#types = context.exchangeTypes;
    this.#store = context.store;
    this.#topology = new Topology(name, context.store);
    this.exchanges = this.#topology.exchanges;
    this.queues = this.#topology.queues;
    this.#queueContext = {
      virtualHost: name,
      memory: context.memory,
      turn: context.turn,
      slab: context.slab,
      defect: context.defect,
      queueUnused: (queue) => this.#topology.removeQueue(queue),
      createStore: (queue) => context.store?.createQueue(name, queue) ?? null,
    };
    this.#replies = new ReplyQueues(this.#queueContext);
    const base = { durable: true, autoDelete: false, arguments: NO_ARGUMENTS };
    for (const [name, type, internal] of PREDECLARED_EXCHANGES) this.restoreExchange({ ...base, name, type, internal });
  }

  // Exchanges

  /** @throws {BrokerError} NOT_FOUND */
  getExchange(name: string): Exchange {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) throw notFound('exchange', name, this.name);
    return exchange;
  }

  /** @throws {BrokerError} COMMAND_INVALID for a type that is not registered */
  checkExchangeType(type: string): void {
    if (this.#types.get(type) === undefined) throw unknownExchangeType(type);
  }

  /**
   * Makes an exchange, or finds the equal one that exists.
   * @throws {BrokerError} PRECONDITION_FAILED when it exists with other settings, COMMAND_INVALID for an unknown type
   */
  declareExchange(settings: ExchangeSettings): Exchange {
    const type = this.#types.get(settings.type);
    if (type === undefined) throw unknownExchangeType(settings.type);
    const current = this.exchanges.get(settings.name);
    if (current !== undefined) {
      assertSameExchange(this.#describe('exchange', settings.name), settings, current.settings);
      return current;
    }
    const exchange = this.#topology.addExchange(settings, type);
    if (settings.durable) this.#store?.exchangeDeclared(this.name, settings);
    return exchange;
  }

  /** Deletes an exchange, if it exists. @throws {BrokerError} PRECONDITION_FAILED when `ifUnused` and it has bindings. */
  deleteExchange(name: string, ifUnused: boolean): void {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) return;
    if (ifUnused && exchange.outgoing.size > 0) {
      throw new BrokerError('PRECONDITION_FAILED', `${this.#describe('exchange', name)} in use`);
    }
    this.#topology.removeExchange(exchange);
  }

  // Bindings

  /** @throws {BrokerError} NOT_FOUND when an end is missing, RESOURCE_LOCKED for another's exclusive queue */
  bind(request: BindingRequest, owner: Owner): void {
    const { destination, source, identity } = this.#bindingEnds(request, owner);
    const type = this.#types.get(source.settings.type);
    checkArguments(() => type?.validateBinding?.(request.bindingKey, request.arguments));
    if (source.outgoing.has(identity)) return;
    const binding: Binding = {
      source,
      destination,
      bindingKey: request.bindingKey,
      arguments: request.arguments.size === 0 ? NO_ARGUMENTS : request.arguments,
    };
    this.#topology.addBinding(identity, binding);
    if (isDurable(binding)) this.#store?.bound(this.name, requestOf(binding));
  }

  /** Removes a binding, if it exists. @throws {BrokerError} RESOURCE_LOCKED for another's exclusive queue */
  unbind(request: BindingRequest, owner: Owner): void {
    const { source, destinationKind, destination: name, bindingKey, arguments: args } = request;
    const identity = bindingIdentity(destinationKind, name, bindingKey, args);
    const binding = this.exchanges.get(source)?.outgoing.get(identity);
    if (binding === undefined) return;
    if (destinationKind === 'queue') this.getQueue(name, owner);
    this.#topology.removeBinding(binding);
  }

  // Queues

  /** @throws {BrokerError} NOT_FOUND, or RESOURCE_LOCKED when it is another connection's exclusive queue */
  getQueue(name: string, owner: Owner): Queue {
    const queue = this.queues.get(name);
    if (queue === undefined) throw notFound('queue', name, this.name);
    if (queue.settings.owner !== null && queue.settings.owner !== owner) throw this.#locked(name);
    return queue;
  }

  /**
   * Makes a queue, or finds the equal one that exists.
   * @throws {BrokerError} PRECONDITION_FAILED when it exists with other settings, RESOURCE_LOCKED when exclusive use forbids it
   */
  declareQueue(settings: QueueSettings): Queue {
    const current = this.queues.get(settings.name);
    if (current === undefined) {
      const queue = createQueue(settings, this.#queueContext, null);
      settings.owner?.ownedQueues.add(queue);
      this.#topology.addQueue(queue);
      return queue;
    }
    if (current.settings.owner !== settings.owner) throw this.#locked(settings.name);
    assertSameQueue(this.#describe('queue', settings.name), settings, current.settings);
    return current;
  }

  /**
   * Deletes a queue with its messages, if it exists, and returns how many messages were ready in it.
   * @throws {BrokerError} PRECONDITION_FAILED when a condition does not hold, RESOURCE_LOCKED
   */
  deleteQueue(name: string, conditions: { ifUnused: boolean; ifEmpty: boolean }, owner: Owner): number {
    if (!this.queues.has(name)) return 0;
    const queue = this.getQueue(name, owner);
    const resource = this.#describe('queue', name);
    if (conditions.ifEmpty && queue.messageCount > 0) {
      throw new BrokerError('PRECONDITION_FAILED', `${resource} not empty`);
    }
    if (conditions.ifUnused && queue.consumerCount > 0) {
      throw new BrokerError('PRECONDITION_FAILED', `${resource} in use`);
    }
    const count = queue.messageCount;
    this.#topology.removeQueue(queue);
    return count;
  }

  /** Deletes the exclusive queues of a connection that ends. */
  deleteOwnedQueues(owner: Owner): void {
    for (const queue of owner.ownedQueues) this.#topology.removeQueue(queue);
  }

  openReplyQueue(consumer: Consumer): Queue {
    return this.#replies.open(consumer);
  }

  closeReplyQueue(queue: Queue): void {
    this.#replies.close(queue);
  }

  hasReplyQueue(name: string): boolean {
    return this.#replies.has(name);
  }

  // What was there before a restart: not logged, and not checked but for what may have changed since

  /** @throws {BrokerError} COMMAND_INVALID when its type is not there any more, PRECONDITION_FAILED for its arguments */
  restoreExchange(settings: ExchangeSettings): void {
    const type = this.#types.get(settings.type);
    if (type === undefined) throw unknownExchangeType(settings.type);
    this.#topology.addExchange(settings, type);
  }

  /** @throws {BrokerError} when the queue's type or arguments are not known any more */
  restoreQueue(settings: QueueSettings, recovered: RecoveredQueue): Queue {
    const queue = createQueue(settings, this.#queueContext, recovered);
    this.#topology.addQueue(queue);
    return queue;
  }

  /** Does nothing when one of its ends is not there. */
  restoreBinding(request: BindingRequest): void {
    const { destinationKind: kind, destination: name, bindingKey, arguments: args } = request;
    const source = this.exchanges.get(request.source);
    const destination = kind === 'queue' ? this.queues.get(name) : this.exchanges.get(name);
    if (source === undefined || destination === undefined) return;
    const binding = { source, destination, bindingKey, arguments: args.size === 0 ? NO_ARGUMENTS : args };
    this.#topology.addBinding(bindingIdentity(kind, name, bindingKey, args), binding);
  }

  /** Exchanges that are there again after a restart, but for those that every virtual host has. */
  durableExchanges(): Iterable<ExchangeSettings> {
    return this.#topology.durableExchanges();
  }

  /** Bindings that are there again after a restart. */
  durableBindings(): Iterable<BindingRequest> {
    return this.#topology.durableBindings();
  }

  // Messages

  /** The route that two adjacent short strings, exchange and routing key, name. */
  findRoute(buffer: Buffer, start: number, end: number): Route {
    return this.#routes.find(buffer, start, end, this.#topology.version);
  }

  /** The exchange of a route. @throws {BrokerError} NOT_FOUND */
  exchangeOf(route: Route): Exchange {
    if (route.version !== this.#topology.version) this.#resolve(route);
    if (route.target === undefined) throw notFound('exchange', route.exchange, this.name);
    return route.target;
  }

  /**
   * The queues that a message goes to, each once.
   * @param extraKeys further routing keys (the CC and BCC headers)
   * @throws {BrokerError} NOT_FOUND when the exchange is missing
   */
  route(message: Message, extraKeys: readonly string[]): readonly Queue[] {
    const { route } = message;
    const exchange = this.exchangeOf(route);
    if (route.queues !== null && extraKeys.length === 0) return route.queues;
    const queues: Queue[] = [];
    const headers = extraKeys.length > 0 ? message.headers : null;
    const copies = extraKeys.map((routingKey): Routable => ({ routingKey, headers }));
    traverse<Queue>(exchange, message, queues, copies);
    return queues;
  }

  /** Gives a message that was published to the default exchange to the clients whose reply addresses its keys name. */
  deliverReplies(message: Message, extraKeys: readonly string[]): void {
    this.#replies.deliver(message, extraKeys);
  }

  #resolve(route: Route): void {
    route.version = this.#topology.version;
    route.target = this.exchanges.get(route.exchange);
    route.queues = null;
    if (route.target === undefined) return;
    const queues: Queue[] = [];
    const byKeyOnly = traverse<Queue>(route.target, { routingKey: route.routingKey, headers: null }, queues);
    if (byKeyOnly) route.queues = queues;
  }

  #bindingEnds(
    request: BindingRequest,
    owner: Owner,
  ): { destination: Destination; source: Exchange; identity: string } {
    const { destinationKind: kind, destination: name, bindingKey, arguments: args } = request;
    const source = this.getExchange(request.source);
    const destination = kind === 'queue' ? this.getQueue(name, owner) : this.getExchange(name);
    return { destination, source, identity: bindingIdentity(kind, name, bindingKey, args) };
  }

  #describe(kind: 'queue' | 'exchange', name: string): string {
    return describeResource(kind, name, this.name);
  }

  #locked(name: string): BrokerError {
    const resource = this.#describe('queue', name);
    const hint =
      'It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.';
    return new BrokerError('RESOURCE_LOCKED', `cannot obtain exclusive access to locked ${resource}. ${hint}`);
  }
}

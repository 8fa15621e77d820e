// A virtual host: its exchanges, queues and bindings, and the way of a message from its route to its queues.

import type { ExchangeType } from '../../exchanges/exchange-type.ts';
import type { ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import { type Binding, type BindingRequest, type Destination, NO_ARGUMENTS } from './binding.ts';
import type { Consumer } from './consumer.ts';
import { DeadLetterer } from './dead-letterer.ts';
import { Deadlines } from './deadlines.ts';
import { assertSameExchange, assertSameQueue, queueTypeOf } from './declaration-checks.ts';
import { DelayedExchanges, isDelayQueue } from './delayed-exchanges.ts';
import { BrokerError, describeResource, notFound } from './errors.ts';
import type { Exchange, ExchangeSettings } from './exchange.ts';
import { checkArguments, unknownExchangeType } from './exchange-checks.ts';
import { checkQueueLimits, Limits, type QueueQuota } from './limits.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { Message } from './message.ts';
import type { MessageStore, RecoveredQueue } from './message-store.ts';
import type { AppliedPolicies } from './policy.ts';
import { PolicySet } from './policy-set.ts';
import type { Clock, Durability, Owner } from './ports.ts';
import { PREDECLARED_EXCHANGES } from './predeclared.ts';
import type { Confirmation, MessageTarget, Queue, QueueSettings } from './queue.ts';
import type { QueueContext } from './queue-context.ts';
import { createQueue } from './queue-types.ts';
import { Histories } from './recent-history.ts';
import { ReplyQueues } from './reply-queues.ts';
import type { RetentionSlab } from './retention-slab.ts';
import { type Route, RouteCache } from './route.ts';
import { queuesByKey, queuesFrom } from './routing.ts';
import { isDurable, requestOf, Topology } from './topology.ts';
import type { TurnScheduler } from './turn.ts';

/** What the virtual hosts of a broker share. */
export interface VirtualHostContext {
  readonly exchangeTypes: ExchangeTypeRegistry;
  readonly memory: MemoryAccount;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  readonly clock: Clock;
  /** Logs a defect of ours. */
  readonly defect: (error: unknown) => void;
  /** Tells when what was done is durable. */
  readonly durability: Durability;
  /** Keeps what is durable and what memory has no room for; null where there is no disk. */
  readonly store: MessageStore | null;
  /** Redeliveries of a message by a quorum queue for which nothing else is said; no limit when it is left out. */
  readonly quorumDeliveryLimit?: number;
  /** How many queues there may be in all virtual hosts; no limit when it is left out. */
  readonly queueQuota?: QueueQuota;
}

/** What `queue.delete` may ask for. */
export interface DeleteConditions {
  readonly ifUnused: boolean;
  readonly ifEmpty: boolean;
}

export class VirtualHost {
  readonly name: string;
  readonly limits = new Limits();
  /** Open connections; kept by the protocols. */
  connectionCount = 0;
  readonly policies: PolicySet;
  readonly exchanges: ReadonlyMap<string, Exchange>;
  readonly queues: ReadonlyMap<string, Queue>;
  /** Tells when declarations, publishes and acknowledgements so far are durable. */
  readonly durability: Durability;
  readonly #replies: ReplyQueues;
  readonly #store: MessageStore | null;
  readonly #types: ExchangeTypeRegistry;
  readonly #quota: QueueQuota | undefined;
  readonly #queueContext: QueueContext;
  readonly #routes = new RouteCache();
  readonly #topology: Topology;
  readonly #delayed: DelayedExchanges;

  constructor(name: string, context: VirtualHostContext) {
    this.name = name;
    this.durability = context.durability;
    this.#types = context.exchangeTypes;
    this.#store = context.store;
    this.#quota = context.queueQuota;
    this.#queueContext = {
      virtualHost: name,
      memory: context.memory,
      turn: context.turn,
      slab: context.slab,
      defect: context.defect,
      clock: context.clock,
      deadlines: new Deadlines(context.clock, context.defect),
      deadLetters: new DeadLetterer(this, context.clock, context.defect),
      features: (settings) => this.policies.featuresOf(settings),
      queueUnused: (queue) => this.#topology.removeQueue(queue),
      createStore: (queue) => context.store?.createQueue(name, queue) ?? null,
    };
    this.#delayed = new DelayedExchanges(this.#queueContext, (exchange) => this.exchanges.get(exchange));
    this.#topology = new Topology({
      virtualHost: name,
      store: context.store,
      types: context.exchangeTypes,
      histories: new Histories(context),
      delayed: this.#delayed,
      routes: this.#routes,
    });
    this.policies = new PolicySet(this.#topology, context.quorumDeliveryLimit ?? Infinity);
    this.exchanges = this.#topology.exchanges;
    this.queues = this.#topology.queues;
    this.#replies = new ReplyQueues(this.#queueContext);
    const base = { durable: true, autoDelete: false, arguments: NO_ARGUMENTS };
    for (const [name, type, internal] of PREDECLARED_EXCHANGES) this.restoreExchange({ ...base, name, type, internal });
  }

  /** Nothing expires and nothing is sent later any more: the broker closes, or the virtual host is deleted. */
  stop(): void {
    this.#queueContext.deadlines.stop();
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
    const exchange = this.#addExchange(settings, type);
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
    const { destination, source } = this.#bindingEnds(request, owner);
    checkArguments(() => source.type.validateBinding?.(request.bindingKey, request.arguments));
    if (source.outgoing.find(destination, request.bindingKey, request.arguments) !== undefined) return;
    const binding: Binding = {
      source,
      destination,
      bindingKey: request.bindingKey,
      arguments: request.arguments.size === 0 ? NO_ARGUMENTS : request.arguments,
    };
    this.#topology.addBinding(binding);
    if (isDurable(binding)) this.#store?.bound(this.name, requestOf(binding));
    source.history?.replay(destination);
  }

  /** Removes a binding, if it exists. @throws {BrokerError} RESOURCE_LOCKED for another's exclusive queue */
  unbind(request: BindingRequest, owner: Owner): void {
    const { source, destinationKind, destination: name, bindingKey, arguments: args } = request;
    const destination = destinationKind === 'queue' ? this.queues.get(name) : this.exchanges.get(name);
    if (destination === undefined) return;
    const binding = this.exchanges.get(source)?.outgoing.find(destination, bindingKey, args);
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
   * @throws {BrokerError} PRECONDITION_FAILED when it exists with other settings or there are too many, RESOURCE_LOCKED when
   * exclusive use forbids it
   */
  declareQueue(settings: QueueSettings): Queue {
    const current = this.queues.get(settings.name);
    if (current === undefined) {
      // RabbitMQ looks at this before the arguments.
      checkQueueLimits(settings.name, this, this.#quota);
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
  deleteQueue(name: string, conditions: DeleteConditions, owner: Owner): number {
    if (!this.queues.has(name)) return 0;
    const queue = this.getQueue(name, owner);
    if (conditions.ifEmpty || conditions.ifUnused) this.#checkConditions(queue, conditions);
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

  // Policies

  /** The policies that apply to a queue or an exchange now. */
  policyOf(resource: Queue | Exchange): AppliedPolicies {
    return this.policies.appliedTo(resource);
  }

  // What was there before a restart: not logged, and not checked but for what may have changed since

  /** @throws {BrokerError} COMMAND_INVALID when its type is not there any more, PRECONDITION_FAILED for its arguments */
  restoreExchange(settings: ExchangeSettings): void {
    const type = this.#types.get(settings.type);
    if (type === undefined) throw unknownExchangeType(settings.type);
    this.#addExchange(settings, type);
  }

  /**
   * Undefined for what an exchange held back that is not there any more.
   * @throws {BrokerError} when the queue's type or arguments are not known any more
   */
  restoreQueue(settings: QueueSettings, recovered: RecoveredQueue): Pick<Queue, 'messageCount'> | undefined {
    if (isDelayQueue(settings)) {
      const type = this.exchanges.get(settings.name)?.settings.type;
      const delayMs = type === undefined ? undefined : this.#types.get(type)?.delayMs;
      return this.#delayed.restore(settings, delayMs, recovered);
    }
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
    this.#topology.addBinding(binding);
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
    return this.#routes.find(buffer, start, end);
  }

  /** The exchange of a route. @throws {BrokerError} NOT_FOUND */
  exchangeOf(route: Route): Exchange {
    return route.target ?? this.#resolve(route);
  }

  /**
   * The queues that a message goes to, each once.
   * @param extraKeys further routing keys (the CC and BCC headers)
   * @throws {BrokerError} NOT_FOUND when the exchange is missing
   */
  route(message: Message, extraKeys: readonly string[]): readonly MessageTarget[] {
    const { route } = message;
    const exchange = this.exchangeOf(route);
    if (route.queues !== null && extraKeys.length === 0) return route.queues;
    return queuesFrom(exchange, message, extraKeys);
  }

  /** Gives a message to the targets that `route` told. */
  publish(targets: readonly MessageTarget[], message: Message, confirmation: Confirmation | null): void {
    if (targets.length === 1) targets[0].publish(message, confirmation);
    else this.#queueContext.deadLetters.spread(targets, message, confirmation);
  }

  /** Does something, then publishes the dead letters that it caused. */
  lettersAfter(action: () => void): void {
    this.#queueContext.deadLetters.lettersAfter(action);
  }

  /** The target that has this name, which `route` told. */
  targetNamed(name: string): MessageTarget | undefined {
    return this.queues.get(name) ?? this.#delayed.find(name);
  }

  /** Gives a message that was published to the default exchange to the clients whose reply addresses its keys name. */
  deliverReplies(message: Message, extraKeys: readonly string[]): void {
    this.#replies.deliver(message, extraKeys);
  }

  #addExchange(settings: ExchangeSettings, type: ExchangeType): Exchange {
    const exchange = this.#topology.addExchange(settings, type);
    this.policies.applyToExchange(exchange);
    return exchange;
  }

  #resolve(route: Route): Exchange {
    const exchange = this.getExchange(route.exchange);
    if (route.isCached) this.#routes.remember(route, exchange, queuesByKey(exchange, route.routingKey));
    return exchange;
  }

  #bindingEnds(request: BindingRequest, owner: Owner): { destination: Destination; source: Exchange } {
    const { destinationKind: kind, destination: name } = request;
    const source = this.getExchange(request.source);
    const destination = kind === 'queue' ? this.getQueue(name, owner) : this.getExchange(name);
    return { destination, source };
  }

  #checkConditions(queue: Queue, { ifUnused, ifEmpty }: DeleteConditions): void {
    const resource = this.#describe('queue', queue.name);
    if (queueTypeOf(queue.settings.arguments) === 'quorum') refuseConditions(resource, ifUnused);
    if (ifEmpty && queue.messageCount > 0) throw new BrokerError('PRECONDITION_FAILED', `${resource} not empty`);
    if (ifUnused && queue.consumerCount > 0) throw new BrokerError('PRECONDITION_FAILED', `${resource} in use`);
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

/** Quorum queues can't tell at once whether they are unused or empty: they are on several nodes. */
function refuseConditions(resource: string, ifUnused: boolean): never {
  const flag = ifUnused ? 'if-unused' : 'if-empty';
  const text = `queue.delete operations with ${flag} flag set are not supported by quorum queues`;
  throw new BrokerError('NOT_IMPLEMENTED', `cannot delete ${resource}. ${text}`);
}

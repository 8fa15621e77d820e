// The exchanges, queues and bindings of a virtual host, linked with one another: what is added and removed, and what goes along with
// it. Checks nothing; tells the store of what is durable.
import { directExchange } from '../../exchanges/direct.ts';
import type { ExchangeType } from '../../exchanges/exchange-type.ts';
import type { ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import { type Binding, type BindingRequest, compareDestinations, NO_ARGUMENTS, type RouteTarget } from './binding.ts';
import type { DelayedExchanges } from './delayed-exchanges.ts';
import { describeResource } from './errors.ts';
import { Exchange, type ExchangeSettings } from './exchange.ts';
import { alternateOf, checkArguments, unknownExchangeType } from './exchange-checks.ts';
import { type MessageStore, survivesRestart } from './message-store.ts';
import { DefaultRouter, isPredeclared } from './predeclared.ts';
import type { Queue } from './queue.ts';
import { type Histories, RecordingRouter } from './recent-history.ts';
import type { RouteCache } from './route.ts';

/** What a topology needs from its virtual host. */
export interface TopologyParts {
  readonly virtualHost: string;
  readonly store: MessageStore | null;
  readonly types: ExchangeTypeRegistry;
  readonly histories: Histories;
  readonly delayed: DelayedExchanges;
  /** Told of every change that a route may depend on. */
  readonly routes: RouteCache;
}

export class Topology {
  readonly exchanges = new Map<string, Exchange>();
  readonly queues = new Map<string, Queue>();
  readonly #virtualHost: string;
  readonly #store: MessageStore | null;
  readonly #histories: Histories;
  readonly #types: ExchangeTypeRegistry;
  readonly #delayed: DelayedExchanges;
  readonly #routes: RouteCache;
  /** True from the first alternate exchange on. */
  #hasAlternates = false;

  constructor({ virtualHost, store, types, histories, delayed, routes }: TopologyParts) {
    this.#virtualHost = virtualHost;
    this.#store = store;
    this.#types = types;
    this.#histories = histories;
    this.#delayed = delayed;
    this.#routes = routes;
    const settings = { name: '', type: 'direct', durable: true, autoDelete: false, internal: false };
    const router = new DefaultRouter(this.queues);
    this.exchanges.set(
      '',
      new Exchange({ ...settings, arguments: NO_ARGUMENTS }, directExchange, router, () => undefined),
    );
  }

  /** The type that routes for an exchange of this type. @throws {BrokerError} PRECONDITION_FAILED, COMMAND_INVALID */
  #routingTypeOf(settings: ExchangeSettings, type: ExchangeType): ExchangeType {
    if (type.routesLike === undefined) return type;
    let name = '';
    checkArguments(() => {
      name = type.routesLike?.(settings.arguments) ?? '';
    });
    const routing = this.#types.get(name);
    if (routing === undefined) throw unknownExchangeType(name);
    return routing;
  }

  /** @throws {BrokerError} PRECONDITION_FAILED when its arguments are wrong */
  addExchange(settings: ExchangeSettings, type: ExchangeType): Exchange {
    const alternateName = alternateOf(settings, describeResource('exchange', settings.name, this.#virtualHost));
    const routing = this.#routingTypeOf(settings, type);
    checkArguments(() => routing.validateExchange?.(settings.arguments));
    const find = (name: string): Exchange | undefined => (name === '' ? undefined : this.exchanges.get(name));
    const { arguments: args } = settings;
    const rule = routing.history?.(args);
    const history = rule === undefined ? null : this.#histories.create(rule);
    let router = routing.createRouter<RouteTarget>(args, compareDestinations);
    if (history !== null) router = new RecordingRouter(router, history);
    if (type.delayMs !== undefined) router = this.#delayed.createRouter(settings, type.delayMs, router);
    const exchange = new Exchange(settings, routing, router, find, history);
    this.exchanges.set(settings.name, exchange);
    this.setAlternate(exchange, alternateName);
    return exchange;
  }

  /** Names the exchange that takes what this one can't route; '' for none. */
  setAlternate(exchange: Exchange, name: string): void {
    exchange.alternateName = name;
    if (name !== '') this.#hasAlternates = true;
    this.#changed(exchange);
  }

  removeExchange(exchange: Exchange): void {
    this.exchanges.delete(exchange.name);
    this.#changed(exchange);
    for (const binding of exchange.outgoing) {
      this.#routes.ends--;
      binding.destination.bindings.delete(binding);
      this.#unlogBinding(binding);
    }
    exchange.outgoing.clear();
    exchange.history?.clear();
    this.#delayed.removed(exchange.name);
    for (const binding of [...exchange.bindings]) this.#removeOutgoing(binding);
    if (exchange.settings.durable) this.#store?.exchangeDeleted(this.#virtualHost, exchange.name);
  }

  addQueue(queue: Queue): void {
    this.queues.set(queue.name, queue);
    this.#routes.ends++;
    this.#routes.queueChanged(queue.name);
  }

  removeQueue(queue: Queue): void {
    if (this.queues.delete(queue.name)) this.#routes.ends--;
    queue.settings.owner?.ownedQueues.delete(queue);
    this.#routes.queueChanged(queue.name);
    for (const binding of [...queue.bindings]) this.#removeOutgoing(binding);
    queue.close();
  }

  addBinding(binding: Binding): void {
    binding.source.outgoing.add(binding);
    binding.source.router.bind(binding);
    binding.destination.bindings.add(binding);
    this.#routes.ends++;
    this.#changed(binding.source);
  }

  removeBinding(binding: Binding): void {
    binding.destination.bindings.delete(binding);
    this.#removeOutgoing(binding);
  }

  /** Exchanges that are there again after a restart, but for those that every virtual host has. */
  *durableExchanges(): Generator<ExchangeSettings> {
    for (const { name, settings } of this.exchanges.values()) {
      if (settings.durable && !isPredeclared(name)) yield settings;
    }
  }

  /** Bindings that are there again after a restart. */
  *durableBindings(): Generator<BindingRequest> {
    for (const exchange of this.exchanges.values()) {
      if (!exchange.settings.durable) continue;
      for (const binding of exchange.outgoing) if (isDurable(binding)) yield requestOf(binding);
    }
  }

  /**
   * An exchange came, went, or leads elsewhere now. So do others that lead to it: rather than finding them out, which takes to look
   * at all, everything is routed anew when there may be any.
   */
  #changed(exchange: Exchange): void {
    if (this.#hasAlternates || exchange.bindings.size > 0) this.#routes.exchangesChanged();
    else this.#routes.exchangeChanged(exchange);
  }

  #unlogBinding(binding: Binding): void {
    if (isDurable(binding)) this.#store?.unbound(this.#virtualHost, requestOf(binding));
  }

  /** Removes a binding at its source, which may have waited for its last binding to go. */
  #removeOutgoing(binding: Binding): void {
    const { source } = binding;
    source.outgoing.delete(binding);
    this.#routes.ends--;
    source.router.unbind(binding);
    this.#changed(source);
    this.#unlogBinding(binding);
    const isHere = this.exchanges.get(source.name) === source;
    if (source.settings.autoDelete && source.outgoing.size === 0 && isHere) this.removeExchange(source);
  }
}

/** Whether a binding is there again after a restart: when both of its ends are. */
export function isDurable({ source, destination }: Binding): boolean {
  if (!source.settings.durable) return false;
  return destination.isExchange ? destination.settings.durable : survivesRestart(destination.settings);
}

export function requestOf({ source, destination, bindingKey, arguments: args }: Binding): BindingRequest {
  const destinationKind = destination.isExchange ? 'exchange' : 'queue';
  return { source: source.name, destinationKind, destination: destination.name, bindingKey, arguments: args };
}

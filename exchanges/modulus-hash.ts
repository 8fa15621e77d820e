// The modulus hash exchange (RabbitMQ's plug-in rabbitmq_sharding): every message goes through one of the bindings, the hash of
// its routing keys modulo their number. They are numbered as RabbitMQ sorts them, so that a message finds the same queue.
import type { Arguments, Binding, DestinationOrder, ExchangeType, Routable, Router } from './exchange-type.ts';
import { phash2OfList } from './phash2.ts';
import { bytesOf } from './text-bytes.ts';

class ModulusHashRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = true;
  readonly #order: DestinationOrder<Destination>;
  readonly #bindings = new Set<Binding<Destination>>();
  /** The destination of each binding in order; null after a change. */
  #sorted: readonly Destination[] | null = null;

  constructor(order: DestinationOrder<Destination>) {
    this.#order = order;
  }

  bind(binding: Binding<Destination>): void {
    this.#bindings.add(binding);
    this.#sorted = null;
  }

  unbind(binding: Binding<Destination>): void {
    this.#bindings.delete(binding);
    this.#sorted = null;
  }

  route(message: Routable, into: Destination[]): void {
    this.#route([message.routingKey], into);
  }

  routeTogether(message: Routable, copies: readonly Routable[], into: Destination[]): void {
    this.#route([message.routingKey, ...copies.map((copy) => copy.routingKey)], into);
  }

  #route(routingKeys: readonly string[], into: Destination[]): void {
    this.#sorted ??= this.#sort();
    const count = this.#sorted.length;
    if (count > 0) into.push(this.#sorted[phash2OfList(routingKeys) % count]);
  }

  /** By the bytes of the binding keys; with the same key, by the destinations. */
  #sort(): readonly Destination[] {
    const entries = Array.from(this.#bindings, ({ bindingKey, destination }) => ({
      key: bytesOf(bindingKey),
      destination,
    }));
    entries.sort((a, b) => Buffer.compare(a.key, b.key) || this.#order(a.destination, b.destination));
    return entries.map((entry) => entry.destination);
  }
}

/** Keeps destinations in the order in which they were bound. */
const asBound: DestinationOrder<unknown> = () => 0;

export const modulusHashExchange: ExchangeType = {
  name: 'x-modulus-hash',
  createRouter<Destination>(_args: Arguments, order: DestinationOrder<Destination> = asBound): Router<Destination> {
    return new ModulusHashRouter<Destination>(order);
  },
};

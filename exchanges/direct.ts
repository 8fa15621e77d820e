// The direct exchange: a message goes where its routing key is the binding key (AMQP 0-9-1, section 3.1.3.1).
import type { Binding, ExchangeType, Routable, Router } from './exchange-type.ts';
import { KeyTable } from './key-table.ts';

class DirectRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = true;
  readonly #table = new KeyTable<Destination>();

  bind(binding: Binding<Destination>): void {
    this.#table.add(binding);
  }

  unbind(binding: Binding<Destination>): void {
    this.#table.remove(binding);
  }

  route(message: Routable, into: Destination[]): void {
    this.#table.collect(message.routingKey, into);
  }
}

export const directExchange: ExchangeType = {
  name: 'direct',
  createRouter<Destination>(): Router<Destination> {
    return new DirectRouter<Destination>();
  },
};

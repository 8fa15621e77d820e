// The fanout exchange: a message goes to every destination, whatever its routing key (AMQP 0-9-1, section 3.1.3.2).
import type { Binding, ExchangeType, Routable, Router } from './exchange-type.ts';

class FanoutRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = true;
  /** How many bindings lead to each destination: it may be bound with several keys. */
  readonly #bindings = new Map<Destination, number>();

  bind({ destination }: Binding<Destination>): void {
    this.#bindings.set(destination, (this.#bindings.get(destination) ?? 0) + 1);
  }

  unbind({ destination }: Binding<Destination>): void {
    const count = this.#bindings.get(destination) ?? 0;
    if (count > 1) this.#bindings.set(destination, count - 1);
    else this.#bindings.delete(destination);
  }

  route(_message: Routable, into: Destination[]): void {
    for (const destination of this.#bindings.keys()) into.push(destination);
  }
}

export const fanoutExchange: ExchangeType = {
  name: 'fanout',
  createRouter<Destination>(): Router<Destination> {
    return new FanoutRouter<Destination>();
  },
};

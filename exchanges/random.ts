// The random exchange (RabbitMQ's plug-in rabbitmq_random_exchange): every message goes through one of the bindings, each as
// likely as any other, so a destination that is bound twice gets twice as much.
import type { Binding, ExchangeType, Routable, Router } from './exchange-type.ts';

/** A number from 0 up to, not including, 1. */
export type Random = () => number;

class RandomRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = false;
  readonly #random: Random;
  readonly #bindings: Binding<Destination>[] = [];
  /** Where each binding stands, so that one can be removed without a search. */
  readonly #places = new Map<Binding<Destination>, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  bind(binding: Binding<Destination>): void {
    this.#places.set(binding, this.#bindings.push(binding) - 1);
  }

  unbind(binding: Binding<Destination>): void {
    const place = this.#places.get(binding);
    const last = this.#bindings.at(-1);
    if (place === undefined || last === undefined) return;
    this.#bindings[place] = last;
    this.#places.set(last, place);
    this.#bindings.pop();
    this.#places.delete(binding);
  }

  route(_message: Routable, into: Destination[]): void {
    const count = this.#bindings.length;
    if (count > 0) into.push(this.#bindings[Math.floor(this.#random() * count)].destination);
  }

  /** Further routing keys count for nothing. */
  routeTogether(message: Routable, _copies: readonly Routable[], into: Destination[]): void {
    this.route(message, into);
  }
}

/** A random exchange that draws from `random`. */
export function createRandomExchange(random: Random): ExchangeType {
  return {
    name: 'x-random',
    createRouter<Destination>(): Router<Destination> {
      return new RandomRouter<Destination>(random);
    },
  };
}

export const randomExchange: ExchangeType = createRandomExchange(Math.random);

// The exchanges that every virtual host has from its birth, and the default exchange's implicit bindings.
import type { Binding, Routable, Router } from '../../exchanges/exchange-type.ts';
import type { Destination } from './binding.ts';
import type { Queue } from './queue.ts';

/** Name, type and whether it is internal. */
export const PREDECLARED_EXCHANGES: readonly (readonly [name: string, type: string, internal: boolean])[] = [
  ['amq.direct', 'direct', false],
  ['amq.fanout', 'fanout', false],
  ['amq.headers', 'headers', false],
  ['amq.match', 'headers', false],
  ['amq.rabbitmq.trace', 'topic', true],
  ['amq.topic', 'topic', false],
];

/** The exchanges that no client declares or deletes, the default one included. */
export function isPredeclared(name: string): boolean {
  return name === '' || PREDECLARED_EXCHANGES.some(([predeclared]) => predeclared === name);
}

/** Routes to the queue that the routing key names: every queue is bound to the default exchange, and nothing else ever is. */
export class DefaultRouter implements Router<Destination> {
  readonly routesByKeyOnly = true;
  readonly #queues: ReadonlyMap<string, Queue>;

  constructor(queues: ReadonlyMap<string, Queue>) {
    this.#queues = queues;
  }

  bind(_binding: Binding<Destination>): void {
    throw new Error('the default exchange takes no bindings');
  }

  unbind(_binding: Binding<Destination>): void {
    throw new Error('the default exchange has no bindings');
  }

  route(message: Routable, into: Destination[]): void {
    const queue = this.#queues.get(message.routingKey);
    if (queue !== undefined) into.push(queue);
  }
}

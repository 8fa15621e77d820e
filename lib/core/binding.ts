// A binding of an exchange to a queue or to another exchange, and the set of those that end at one destination.
import type { FieldTable } from '../../codec/field-table.ts';
import type { Arguments, Binding as ExchangeBinding } from '../../exchanges/exchange-type.ts';
import { bytesOf } from '../../exchanges/text-bytes.ts';
import type { Exchange } from './exchange.ts';
import type { MessageTarget, Queue } from './queue.ts';

export type Destination = Queue | Exchange;

/** Where an exchange's router may lead: to what is bound to it, or to what holds messages back for it. */
export type RouteTarget = MessageTarget | Exchange;

/** Sorts destinations as RabbitMQ does. */
export function compareDestinations(a: RouteTarget, b: RouteTarget): number {
  if (a.isExchange !== b.isExchange) return a.isExchange ? -1 : 1;
  return Buffer.compare(bytesOf(a.name), bytesOf(b.name));
}

/** Names a binding's ends: what `queue.bind` and `exchange.bind` share. */
export interface BindingRequest {
  readonly source: string;
  readonly destinationKind: 'queue' | 'exchange';
  readonly destination: string;
  readonly bindingKey: string;
  readonly arguments: FieldTable;
}

/** Shared by all that have no arguments. */
export const NO_ARGUMENTS: FieldTable = new Map();

export interface Binding extends ExchangeBinding<Destination> {
  readonly source: Exchange;
  readonly arguments: FieldTable;
}

/** The bindings that end at one queue or exchange. Most have one or two: an array costs the least. */
export class BindingSet implements Iterable<Binding> {
  #bindings: Set<Binding> | Binding[] = [];

  get size(): number {
    return Array.isArray(this.#bindings) ? this.#bindings.length : this.#bindings.size;
  }

  add(binding: Binding): void {
    if (!Array.isArray(this.#bindings)) {
      this.#bindings.add(binding);
    } else if (this.#bindings.push(binding) > 8) {
      this.#bindings = new Set(this.#bindings);
    }
  }

  delete(binding: Binding): void {
    if (!Array.isArray(this.#bindings)) {
      this.#bindings.delete(binding);
      return;
    }
    const index = this.#bindings.indexOf(binding);
    if (index >= 0) this.#bindings.splice(index, 1);
  }

  [Symbol.iterator](): Iterator<Binding> {
    return this.#bindings[Symbol.iterator]();
  }
}

/** Names a binding within its source exchange, so that equal bindings are one. A name or key may hold any octet, NUL too. */
export function bindingIdentity(kind: 'queue' | 'exchange', name: string, key: string, args: Arguments): string {
  const base = `${kind === 'queue' ? 'q' : 'e'}${name.length},${key.length}:${name}${key}`;
  return args.size === 0 ? base : `${base}${canonicalArguments(args)}`;
}

/** Equal for equal tables, whatever the order of their keys. As in RabbitMQ, types count, but `l` and `L` are one. */
export function canonicalArguments(args: Arguments): string {
  return JSON.stringify(sortedFields(args), (key, value) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value instanceof Map) return sortedFields(value);
    return key === 'type' && value === 'L' ? 'l' : value;
  });
}

function sortedFields(args: Arguments): unknown[] {
  return [...args.keys()].sort().map((key) => [key, args.get(key)]);
}

// A naive virtual host: lists that are searched anew for every message. What it does is what RabbitMQ's documentation says.
import type { FieldTable } from '../../codec/field-table.ts';
import type { BindingRequest } from '../../lib/core/binding.ts';

export interface ModelExchange {
  readonly name: string;
  readonly type: string;
  readonly autoDelete: boolean;
  readonly alternate: string | undefined;
}

export class VirtualHostModel {
  readonly exchanges = new Map<string, ModelExchange>();
  readonly queues = new Set<string>();
  bindings: BindingRequest[] = [];

  deleteExchange(name: string): void {
    this.exchanges.delete(name);
    this.bindings = this.bindings.filter(({ source }) => source !== name);
    this.#removeBindings(({ destinationKind, destination }) => destinationKind === 'exchange' && destination === name);
  }

  deleteQueue(name: string): void {
    this.queues.delete(name);
    this.#removeBindings(({ destinationKind, destination }) => destinationKind === 'queue' && destination === name);
  }

  bind(request: BindingRequest): void {
    if (!this.bindings.some((binding) => isSame(binding, request))) this.bindings.push(request);
  }

  unbind(request: BindingRequest): void {
    this.#removeBindings((binding) => isSame(binding, request));
  }

  /** Sorted names of the queues that a message reaches; undefined when there is no such exchange. */
  route(exchange: string, routingKey: string, headers: FieldTable): string[] | undefined {
    if (exchange === '') return this.queues.has(routingKey) ? [routingKey] : [];
    if (!this.exchanges.has(exchange)) return undefined;
    const queues = new Set<string>();
    const exchanges = new Set([exchange]);
    for (const name of exchanges) {
      const found = this.bindings.filter(
        (binding) => binding.source === name && this.#matches(binding, routingKey, headers),
      );
      for (const { destinationKind, destination } of found) {
        (destinationKind === 'queue' ? queues : exchanges).add(destination);
      }
      const alternate = this.exchanges.get(name)?.alternate;
      if (found.length === 0 && alternate !== undefined && this.exchanges.has(alternate)) exchanges.add(alternate);
    }
    return [...queues].sort();
  }

  /** An auto-delete exchange goes with the last of its bindings. */
  #removeBindings(condition: (binding: BindingRequest) => boolean): void {
    const removed = this.bindings.filter(condition);
    this.bindings = this.bindings.filter((binding) => !removed.includes(binding));
    for (const { source } of removed) {
      const isUnused = !this.bindings.some((binding) => binding.source === source);
      if (isUnused && this.exchanges.get(source)?.autoDelete === true) this.deleteExchange(source);
    }
  }

  #matches(binding: BindingRequest, routingKey: string, headers: FieldTable): boolean {
    switch (this.exchanges.get(binding.source)?.type) {
      case 'direct':
        return binding.bindingKey === routingKey;
      case 'topic':
        return topicMatches(binding.bindingKey.split('.'), routingKey.split('.'));
      case 'headers':
        return [...binding.arguments].every(([key, { value }]) => headers.get(key)?.value === value);
      default:
        return true;
    }
  }
}

function isSame(a: BindingRequest, b: BindingRequest): boolean {
  return (
    a.source === b.source &&
    a.destinationKind === b.destinationKind &&
    a.destination === b.destination &&
    a.bindingKey === b.bindingKey &&
    JSON.stringify([...a.arguments]) === JSON.stringify([...b.arguments])
  );
}

function topicMatches(pattern: readonly string[], words: readonly string[]): boolean {
  const [head, ...tail] = pattern;
  if (head === undefined) return words.length === 0;
  if (head === '#') return topicMatches(tail, words) || (words.length > 0 && topicMatches(pattern, words.slice(1)));
  return words.length > 0 && (head === '*' || head === words[0]) && topicMatches(tail, words.slice(1));
}

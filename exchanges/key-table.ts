// Bindings by their whole binding key: the table of the direct exchange, and of topic bindings without wildcards.
// Must not know what a key means.
import { addToBag, type Bag, collectBag, removeFromBag } from './bag.ts';
import type { Binding } from './exchange-type.ts';

export class KeyTable<Destination> {
  readonly #bags = new Map<string, Bag<Binding<Destination>>>();

  /** True when no binding is left, nor any key of one. */
  get isEmpty(): boolean {
    return this.#bags.size === 0;
  }

  add(binding: Binding<Destination>): void {
    const key = binding.bindingKey;
    const bag = this.#bags.get(key);
    const grown = addToBag(bag, binding);
    if (grown !== bag) this.#bags.set(key, grown);
  }

  remove(binding: Binding<Destination>): void {
    const key = binding.bindingKey;
    const bag = this.#bags.get(key);
    if (bag === undefined) return;
    const rest = removeFromBag(bag, binding);
    if (rest === undefined) this.#bags.delete(key);
    else if (rest !== bag) this.#bags.set(key, rest);
  }

  /** Appends the destinations bound with exactly this key. */
  collect(key: string, into: Destination[]): void {
    const bag = this.#bags.get(key);
    if (bag !== undefined) collectBag(bag, into);
  }
}

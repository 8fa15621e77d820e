// The items that share one place of a routing table. Most places hold a single item, which is then the bag itself: a
// collection of its own would cost more memory than the item. Knows nothing of keys, arguments or exchange types.
import type { Binding } from './exchange-type.ts';

/** One item, or a set of two and more. An item is never a Set itself. */
export type Bag<T> = T | Set<T>;

/** The bag with the item added: a new bag, or the given one, changed. */
export function addToBag<T extends object>(bag: Bag<T> | undefined, item: T): Bag<T> {
  if (bag === undefined) return item;
  if (bag instanceof Set) return bag.add(item);
  return bag === item ? bag : new Set([bag, item]);
}

/** The bag without the item; undefined when nothing is left. */
export function removeFromBag<T extends object>(bag: Bag<T>, item: T): Bag<T> | undefined {
  if (!(bag instanceof Set)) return bag === item ? undefined : bag;
  bag.delete(item);
  if (bag.size > 1) return bag;
  const [last] = bag;
  return last;
}

/** How many items the bag holds. */
export function bagSize<T extends object>(bag: Bag<T> | undefined): number {
  if (bag === undefined) return 0;
  return bag instanceof Set ? bag.size : 1;
}

/** Appends the destination of every binding of the bag. */
export function collectBag<D>(bag: Bag<Binding<D>>, into: D[]): void {
  if (!(bag instanceof Set)) {
    into.push(bag.destination);
    return;
  }
  for (const binding of bag) into.push(binding.destination);
}

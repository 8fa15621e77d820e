// The bindings that start at one exchange, in the order in which they were made, and found by what they bind. A table of its own: a Map
// needs a string for each binding that says what it binds, which took more memory than all the rest of it.
import type { FieldTable } from '../../codec/field-table.ts';
import { type Binding, canonicalArguments, type Destination } from './binding.ts';

/** So few are looked through. */
const FEW = 8;
const FREE = -1;
/** Of a binding that was removed: looking goes on behind it. */
const REMOVED = -2;

export class OutgoingBindings implements Iterable<Binding> {
  /** In order; null where one was removed. */
  #bindings: (Binding | null)[] = [];
  /** Where in `#bindings` each stands, by the hash of what it binds, the next ones free when that is taken; null while there are few. */
  #slots: Int32Array | null = null;
  size = 0;

  /** Undefined when there is none. Equal arguments are equal whatever the order of their keys. */
  find(destination: Destination, bindingKey: string, args: FieldTable): Binding | undefined {
    const matches = (each: Binding | null): boolean => each !== null && binds(each, destination, bindingKey, args);
    if (this.#slots === null) return this.#bindings.find(matches) ?? undefined;
    const slot = this.#slotOf(this.#slots, hashOf(destination, bindingKey, args), matches);
    return (slot < 0 ? null : this.#bindings[this.#slots[slot]]) ?? undefined;
  }

  /** Adds one that is not here. */
  add(binding: Binding): void {
    const count = this.#bindings.length;
    if (count >= FEW && (this.#slots === null || 2 * count >= this.#slots.length)) this.#renew();
    this.#bindings.push(binding);
    this.size++;
    if (this.#slots !== null) this.#place(this.#slots, binding, this.#bindings.length - 1);
  }

  /** Removes one, if it is here. */
  delete(binding: Binding): void {
    const slots = this.#slots;
    if (slots === null) {
      const index = this.#bindings.indexOf(binding);
      if (index < 0) return;
      this.#bindings.splice(index, 1);
    } else {
      const hash = hashOf(binding.destination, binding.bindingKey, binding.arguments);
      const slot = this.#slotOf(slots, hash, (each) => each === binding);
      if (slot < 0) return;
      this.#bindings[slots[slot]] = null;
      slots[slot] = REMOVED;
    }
    this.size--;
    if (this.size === 0) this.clear();
  }

  clear(): void {
    this.#bindings = [];
    this.#slots = null;
    this.size = 0;
  }

  *[Symbol.iterator](): Iterator<Binding> {
    for (const binding of this.#bindings) if (binding !== null) yield binding;
  }

  /** Leaves out what was removed, and makes room for as many more as there are. */
  #renew(): void {
    this.#bindings = this.#bindings.filter((binding) => binding !== null);
    let length = 4 * FEW;
    while (length < 4 * this.size) length *= 2;
    const slots = new Int32Array(length).fill(FREE);
    for (const [index, binding] of this.#bindings.entries()) if (binding !== null) this.#place(slots, binding, index);
    this.#slots = slots;
  }

  #place(slots: Int32Array, { destination, bindingKey, arguments: args }: Binding, index: number): void {
    let slot = hashOf(destination, bindingKey, args) & (slots.length - 1);
    while (slots[slot] !== FREE) slot = (slot + 1) & (slots.length - 1);
    slots[slot] = index;
  }

  /** The slot of a binding; -1 when it is not here. */
  #slotOf(slots: Int32Array, hash: number, matches: (binding: Binding | null) => boolean): number {
    let slot = hash & (slots.length - 1);
    for (; slots[slot] !== FREE; slot = (slot + 1) & (slots.length - 1)) {
      if (slots[slot] !== REMOVED && matches(this.#bindings[slots[slot]])) return slot;
    }
    return -1;
  }
}

function binds(binding: Binding, destination: Destination, bindingKey: string, args: FieldTable): boolean {
  if (binding.destination !== destination || binding.bindingKey !== bindingKey) return false;
  if (binding.arguments.size !== args.size) return false;
  return args.size === 0 || canonicalArguments(binding.arguments) === canonicalArguments(args);
}

function hashOf(destination: Destination, bindingKey: string, args: FieldTable): number {
  let hash = hashText(hashText(0x811c9dc5, destination.name), bindingKey);
  if (args.size > 0) hash = hashText(hash, canonicalArguments(args));
  return hash ^ (hash >>> 15);
}

/** FNV-1a over UTF-16 units. */
function hashText(hash: number, text: string): number {
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

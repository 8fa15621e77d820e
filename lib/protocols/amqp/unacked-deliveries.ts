// The deliveries of a channel that wait for their acknowledgement: a ring indexed by delivery tag, so that a single
// acknowledgement is a look-up and `multiple` is a range.
import type { Consumer } from '../../core/consumer.ts';
import type { Message } from '../../core/message.ts';
import type { Queue } from '../../core/queue.ts';
import type { RetentionSlab } from '../../core/retention-slab.ts';

/** Where a delivery came from and is settled. */
export interface DeliverySource {
  readonly queue: Queue;
  /** Null for a message taken with basic.get. */
  readonly consumer: Consumer | null;
}

/** A delivery taken out of the ring. */
export interface UnackedDelivery {
  readonly tag: number;
  readonly message: Message;
  readonly source: DeliverySource;
  readonly position: number;
}

const FIRST_CAPACITY = 16;
/** From this span of tags on, a ring that is nearly empty gives its few entries to a map instead of growing. */
const SPARSE_SPAN = 4096;

export class UnackedDeliveries {
  #ring: (UnackedDelivery | undefined)[] = [];
  /** The tag of the oldest slot in use, and the one behind the newest. */
  #first = 1;
  #end = 1;
  #ringCount = 0;
  /** Old entries that would keep the ring large, in order of their tags. */
  readonly #stragglers = new Map<number, UnackedDelivery>();
  #isolatedTo = 1;

  get size(): number {
    return this.#ringCount + this.#stragglers.size;
  }

  /** Adds a delivery; tags only rise. */
  add(delivery: UnackedDelivery): void {
    const { tag } = delivery;
    if (this.#ringCount === 0) this.#first = tag;
    else if (tag - this.#first >= this.#ring.length) this.#makeRoom(tag);
    if (this.#ring.length === 0) this.#ring = new Array(FIRST_CAPACITY);
    this.#ring[tag & (this.#ring.length - 1)] = delivery;
    this.#ringCount++;
    this.#end = tag + 1;
  }

  has(tag: number): boolean {
    return this.#inRing(tag) !== undefined || this.#stragglers.has(tag);
  }

  /** Takes one delivery out; undefined when the tag is not here. */
  take(tag: number): UnackedDelivery | undefined {
    const delivery = this.#inRing(tag);
    if (delivery === undefined) return this.#takeStraggler(tag);
    this.#ring[tag & (this.#ring.length - 1)] = undefined;
    this.#ringCount--;
    if (tag === this.#first) this.#skipEmpty();
    return delivery;
  }

  /** Takes out all deliveries up to and with `tag`, in order, and gives them to `each`. */
  takeUpTo(tag: number, each: (delivery: UnackedDelivery) => void): void {
    for (const [straggler, delivery] of this.#stragglers) {
      if (straggler > tag) break;
      this.#stragglers.delete(straggler);
      each(delivery);
    }
    const end = Math.min(tag + 1, this.#end);
    const mask = this.#ring.length - 1;
    for (let at = this.#first; at < end && this.#ringCount > 0; at++) {
      const delivery = this.#ring[at & mask];
      if (delivery === undefined) continue;
      this.#ring[at & mask] = undefined;
      this.#ringCount--;
      each(delivery);
    }
    if (this.#first < end) {
      this.#first = end;
      this.#skipEmpty();
    }
  }

  /** Takes out everything, in order. */
  takeAll(): UnackedDelivery[] {
    const all: UnackedDelivery[] = [];
    this.takeUpTo(Number.MAX_SAFE_INTEGER, (delivery) => all.push(delivery));
    return all;
  }

  /** Puts deliveries back that were taken out, whatever is here now. */
  restore(deliveries: readonly UnackedDelivery[]): void {
    const all = [...this.takeAll(), ...deliveries].sort((a, b) => a.tag - b.tag);
    for (const delivery of all) this.add(delivery);
  }

  /** Lets go of the received chunks that deliveries held at the last call still hold: they have stayed behind. */
  isolate(slab: RetentionSlab): void {
    const end = this.#isolatedTo;
    this.#isolatedTo = this.#end;
    for (const { message } of this.#stragglers.values()) message.isolate(slab);
    const mask = this.#ring.length - 1;
    for (let at = this.#first; at < end; at++) this.#ring[at & mask]?.message.isolate(slab);
  }

  #inRing(tag: number): UnackedDelivery | undefined {
    if (tag < this.#first || tag >= this.#end || this.#ringCount === 0) return undefined;
    return this.#ring[tag & (this.#ring.length - 1)];
  }

  #takeStraggler(tag: number): UnackedDelivery | undefined {
    const delivery = this.#stragglers.get(tag);
    if (delivery !== undefined) this.#stragglers.delete(tag);
    return delivery;
  }

  #skipEmpty(): void {
    if (this.#ringCount === 0) {
      this.#first = this.#end;
      if (this.#ring.length > SPARSE_SPAN) this.#ring = [];
      return;
    }
    const mask = this.#ring.length - 1;
    while (this.#ring[this.#first & mask] === undefined) this.#first++;
  }

  #makeRoom(tag: number): void {
    const span = tag - this.#first + 1;
    const sparse = span >= SPARSE_SPAN && this.#ringCount < span / 8;
    const old = this.#ring;
    const mask = old.length - 1;
    let capacity = Math.max(FIRST_CAPACITY, old.length);
    if (!sparse) while (capacity < span) capacity *= 2;
    const ring: (UnackedDelivery | undefined)[] = new Array(capacity);
    for (let at = this.#first; at < this.#end; at++) {
      const delivery = old[at & mask];
      if (delivery === undefined) continue;
      if (sparse) this.#stragglers.set(at, delivery);
      else ring[at & (capacity - 1)] = delivery;
    }
    this.#ring = ring;
    if (sparse) {
      this.#ringCount = 0;
      this.#first = tag;
    }
  }
}

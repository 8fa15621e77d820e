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
  /** Every straggler's tag is below this, and no tag in the ring is. */
  #stragglersEnd = 0;
  /** Every delivery below the first tag is isolated; those below the second are at the next call of `isolate`. */
  #isolatedTo = 1;
  #isolateNext = 1;

  get size(): number {
    return this.#ringCount + this.#stragglers.size;
  }

  /** The lowest tag that is here; the one behind the highest that was, when nothing is. */
  get oldestTag(): number {
    for (const tag of this.#stragglers.keys()) return tag;
    return this.#first;
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

  /** Whether a delivery of this queue is here whose tag is in [start, end). */
  holds(queue: Queue, start: number, end: number): boolean {
    if (end <= this.oldestTag) return false;
    for (const [tag, { source }] of this.#stragglers) {
      if (tag >= end) return false;
      if (tag >= start && source.queue === queue) return true;
    }
    const mask = this.#ring.length - 1;
    const last = this.#ringCount === 0 ? 0 : Math.min(end, this.#end);
    for (let at = Math.max(start, this.#first); at < last; at++) {
      if (this.#ring[at & mask]?.source.queue === queue) return true;
    }
    return false;
  }

  /** The queues of all deliveries that are here. */
  queues(): Set<Queue> {
    const queues = new Set<Queue>();
    for (const { source } of this.#stragglers.values()) queues.add(source.queue);
    for (const delivery of this.#ring) if (delivery !== undefined) queues.add(delivery.source.queue);
    return queues;
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
    const elsewhere = deliveries.filter((delivery) => !this.#putBack(delivery));
    if (elsewhere.length === 0) return;
    const stragglers = [...this.#stragglers.values(), ...elsewhere].sort((a, b) => a.tag - b.tag);
    this.#stragglers.clear();
    for (const delivery of stragglers) this.#addStraggler(delivery);
  }

  /** Lets go of the received chunks that deliveries held at the last call still hold: they have stayed behind. */
  isolate(slab: RetentionSlab): void {
    const start = Math.max(this.#first, this.#isolatedTo);
    const end = this.#isolateNext;
    this.#isolatedTo = end;
    this.#isolateNext = this.#end;
    const mask = this.#ring.length - 1;
    const late: Message[] = [];
    for (let at = start; at < end; at++) {
      const delivery = this.#ring[at & mask];
      if (delivery !== undefined) late.push(delivery.message);
    }
    slab.begin(late.reduce((bytes, message) => bytes + message.bytesToIsolate, 0));
    for (const message of late) message.isolate(slab);
  }

  /** Puts a delivery back into the ring; false when its place is not there any more. */
  #putBack(delivery: UnackedDelivery): boolean {
    const { tag } = delivery;
    if (this.#end - tag > this.#ring.length || tag < this.#stragglersEnd) return false;
    if (this.#ringCount === 0 || tag < this.#first) this.#first = tag;
    this.#ring[tag & (this.#ring.length - 1)] = delivery;
    this.#ringCount++;
    return true;
  }

  #inRing(tag: number): UnackedDelivery | undefined {
    if (tag < this.#first || tag >= this.#end || this.#ringCount === 0) return undefined;
    return this.#ring[tag & (this.#ring.length - 1)];
  }

  #addStraggler(delivery: UnackedDelivery): void {
    this.#stragglers.set(delivery.tag, delivery);
    this.#stragglersEnd = delivery.tag + 1;
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
      if (sparse) this.#addStraggler(delivery);
      else ring[at & (capacity - 1)] = delivery;
    }
    this.#ring = ring;
    if (sparse) {
      this.#ringCount = 0;
      this.#first = tag;
    }
  }
}

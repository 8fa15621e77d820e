// Finds the deliveries of one channel that waited too long for their acknowledgement. A delivery has neither a time nor a timer: its
// tag tells its age, by samples of the clock and the next tag that are taken now and then. So a delivery counts as made at the first
// sample after it, which is never too early. See https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
import type { Queue } from '../../core/queue.ts';
import type { UnackedDeliveries } from './unacked-deliveries.ts';

/** A timeout is told apart in so many steps: half an hour in 3.5 s. */
const STEPS = 512;
/** Beyond that the older half is made coarser; it takes timeouts of very different lengths on one channel. */
const MOST_SAMPLES = 4 * STEPS;
const FIRST_PRUNE = 64;

export class DeliveryTimeouts {
  readonly #unacked: UnackedDeliveries;
  readonly #defaultMs: number;
  /** Every delivery with a tag below `#tags[i]` was made at `#times[i]` or before. Both rise. */
  #times: number[] = [];
  #tags: number[] = [];
  /** Queues of deliveries, and the tag below which they have no unacknowledged one that was not found to be in time. */
  readonly #checkedTo = new Map<Queue, number>();
  #pruneAt = FIRST_PRUNE;

  /** @param defaultMs for queues that don't say; 0 for no limit */
  constructor(unacked: UnackedDeliveries, defaultMs: number) {
    this.#unacked = unacked;
    this.#defaultMs = defaultMs;
  }

  /** A queue may have unacknowledged deliveries here. */
  watch(queue: Queue): void {
    if (!this.#checkedTo.has(queue)) this.#checkedTo.set(queue, 0);
  }

  /** There is no unacknowledged delivery. */
  clear(): void {
    if (this.#checkedTo.size > 0) this.#checkedTo.clear();
    if (this.#tags.length > 0) this.#dropSamples(this.#tags.length);
  }

  /** Deliveries are unacknowledged again under their old tags. */
  restored(): void {
    for (const queue of this.#checkedTo.keys()) this.#checkedTo.set(queue, 0);
  }

  /**
   * Called about once a second while there are unacknowledged deliveries, with all their queues watched.
   * @param nextTag the tag of the delivery to come
   * @param mayReturn settled deliveries may be unacknowledged again: what is known of their age is kept
   * @returns the timeout that a delivery exceeded, in ms; undefined when none did
   */
  tick(now: number, nextTag: number, mayReturn: boolean): number | undefined {
    let least = Infinity;
    let most = 0;
    if (this.#checkedTo.size > this.#pruneAt && !mayReturn) this.#pruneQueues();
    for (const [queue, checkedTo] of this.#checkedTo) {
      const timeoutMs = this.#timeoutOf(queue);
      if (timeoutMs === Infinity) continue;
      least = Math.min(least, timeoutMs);
      most = Math.max(most, timeoutMs);
      const end = this.#tagsBefore(now - timeoutMs);
      if (end <= checkedTo) continue;
      if (this.#unacked.holds(queue, checkedTo, end)) return timeoutMs;
      this.#checkedTo.set(queue, end);
    }
    if (least !== Infinity) this.#sample(now, nextTag, least);
    this.#pruneSamples(now - most, mayReturn);
    return undefined;
  }

  #timeoutOf({ features }: Queue): number {
    const timeoutMs = features.consumerTimeoutMs ?? this.#defaultMs;
    return timeoutMs > 0 ? timeoutMs : Infinity;
  }

  /** All deliveries with tags below this one were made at `time` or before. */
  #tagsBefore(time: number): number {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#tags[low - 1];
  }

  #sample(now: number, nextTag: number, least: number): void {
    const last = this.#times.length - 1;
    if (last >= 0 && (this.#tags[last] === nextTag || now - this.#times[last] < least / STEPS)) return;
    this.#times.push(now);
    this.#tags.push(nextTag);
    if (this.#times.length <= MOST_SAMPLES) return;
    const isKept = (_: number, at: number): boolean => at % 2 === 1 || at > MOST_SAMPLES / 2;
    this.#times = this.#times.filter(isKept);
    this.#tags = this.#tags.filter(isKept);
  }

  /** Drops samples that tell of no delivery any more, and those in whose place a later one is old enough for every timeout. */
  #pruneSamples(oldEnough: number, mayReturn: boolean): void {
    const oldest = mayReturn ? 0 : this.#unacked.oldestTag;
    let count = 0;
    while (count < this.#tags.length && this.#tags[count] <= oldest) count++;
    while (count + 1 < this.#times.length && this.#times[count + 1] <= oldEnough) count++;
    if (count > 0) this.#dropSamples(count);
  }

  #dropSamples(count: number): void {
    this.#times.splice(0, count);
    this.#tags.splice(0, count);
  }

  /** A channel that never is without an unacknowledged delivery must not remember every queue that it ever had one of. */
  #pruneQueues(): void {
    const queues = this.#unacked.queues();
    for (const queue of this.#checkedTo.keys()) if (!queues.has(queue)) this.#checkedTo.delete(queue);
    this.#pruneAt = Math.max(FIRST_PRUNE, 2 * this.#checkedTo.size);
  }
}

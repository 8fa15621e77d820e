// What a queue may do, for queue-model.ts: what is where in arrays, and everything computed anew. The queue tells of deliveries, dead
// letters, and of what the disk is to forget, and this says whether it may.
import assert from 'node:assert/strict';
import type { Consumer } from '../../lib/core/consumer.ts';
import type { DeadLetterReason } from '../../lib/core/dead-letter.ts';
import type { Message } from '../../lib/core/message.ts';
import { PLAIN_FEATURES, type QueueFeatures } from '../../lib/core/queue-features.ts';
import { bodyText, TestClock } from './helper.ts';
import type { NaiveStore } from './naive-store.ts';
import type { RecordedLetter } from './queue-helper.ts';

export interface ModelSettings {
  readonly maxPriority: number;
  readonly isQuorum: boolean;
  readonly singleActive: boolean;
  readonly hasDisk: boolean;
  readonly features: Partial<QueueFeatures>;
}

export interface Entry {
  readonly id: number;
  readonly priority: number;
  readonly size: number;
  readonly persistent: boolean;
  readonly deadlineMs: number;
  /** Where it stands among those of its priority. */
  order: number;
  wasDelivered: boolean;
  returns: number;
}

interface Unacknowledged {
  readonly entry: Entry;
  readonly message: Message;
  readonly position: number;
  readonly consumer: Consumer | null;
}

/** A message that is held until its dead letter is safe. */
interface Held {
  readonly entry: Entry;
  readonly reason: DeadLetterReason;
  /** Null when it was told, and the queue is to try again. */
  settled: ((accepted: boolean) => void) | null;
  stuckAtMs: number;
  isAccepted: boolean;
}

export class QueueRules {
  readonly clock = new TestClock();
  features: QueueFeatures;
  store: NaiveStore | null = null;
  ready: Entry[] = [];
  unacknowledged: Unacknowledged[] = [];
  readonly held = new Map<number, Held>();
  protected readonly settings: ModelSettings;
  protected pendingGets = 0;
  /** What the current step is about: a message that is published, refused, settled, or taken by a get that owes nothing. */
  protected incoming: Entry | null = null;
  protected refused: Entry | null = null;
  protected settling: Entry | null = null;
  /** Why `settling` leaves unconsumed; null when it does not. */
  protected reason: DeadLetterReason | null = null;
  protected taken: Entry | null = null;
  /** It came back and goes to the end of its queue, to another position. */
  protected moving: Entry | null = null;
  protected isGetting = false;
  protected isPurging = false;
  protected isClosed = false;
  readonly #positions = new Map<number, number>();

  constructor(settings: ModelSettings) {
    this.settings = settings;
    this.features = { ...PLAIN_FEATURES, ...settings.features };
  }

  protected get now(): number {
    return this.clock.epoch;
  }

  protected get isExceeded(): boolean {
    const { maxLength, maxLengthBytes, overflow } = this.features;
    if (overflow !== 'drop-head') return false;
    return this.ready.length > maxLength || bytesOf(this.ready) > maxLengthBytes;
  }

  protected inOrder(entries: readonly Entry[]): Entry[] {
    return entries.toSorted((a, b) => b.priority - a.priority || a.order - b.order);
  }

  protected take(entry: Entry): void {
    const at = this.ready.indexOf(entry);
    assert.ok(at >= 0, `${entry.id} is ready`);
    this.ready.splice(at, 1);
  }

  protected delivered(message: Message, position: number, redelivered: boolean, deliveryCount: number): Entry {
    const id = idOf(message);
    const alive = this.ready.filter((each) => each.deadlineMs > this.now || each === this.incoming);
    const entry = this.taken ?? this.inOrder(alive)[0];
    assert.equal(id, entry?.id, 'the first in order that has not expired');
    if (this.taken === null) this.take(entry);
    this.taken = null;
    assert.equal(redelivered, entry.wasDelivered);
    entry.wasDelivered = true;
    assert.equal(deliveryCount, this.settings.isQuorum && redelivered ? entry.returns : 0);
    this.isAt(id, position);
    return entry;
  }

  protected letter({ message, reason, settled }: RecordedLetter): void {
    const id = idOf(message);
    const { deadLetterExchange, deadLetterStrategy } = this.features;
    assert.notEqual(deadLetterExchange, null);
    assert.ok(deadLetterStrategy === 'at-most-once' || settled !== null || id === this.refused?.id);
    const again = this.held.get(id);
    if (again !== undefined) {
      assert.equal(again.settled, null, 'it is tried again when it failed');
      assert.equal(reason, again.reason);
      again.settled = settled;
      if (settled === null) this.held.delete(id);
      return;
    }
    if (id === this.refused?.id) {
      assert.deepEqual([reason, settled], ['maxlen', null]);
      this.refused = null;
      return;
    }
    const entry = this.leaves(id, reason);
    if (deadLetterStrategy === 'at-most-once') assert.equal(settled, null);
    else this.held.set(id, { entry, reason, settled, stuckAtMs: 0, isAccepted: false });
  }

  /** A message leaves the queue for `reason`, and may. */
  protected leaves(id: number, reason: DeadLetterReason): Entry {
    if (id === this.settling?.id && this.reason !== null) {
      assert.equal(reason, this.reason);
      const entry = this.settling;
      this.settling = null;
      return entry;
    }
    const entry = this.ready.find((each) => each.id === id);
    assert.ok(entry !== undefined, `${id} is ready`);
    if (reason === 'expired') {
      assert.ok(entry.deadlineMs <= this.now, 'it has expired');
    } else {
      assert.equal(reason, 'maxlen');
      assert.ok(this.isExceeded, 'there is no room for it');
      assert.equal(entry, this.inOrder(this.ready)[0], 'the first goes');
    }
    this.take(entry);
    return entry;
  }

  /** The disk is to forget a message: this tells of departures without dead letters, and comes after those with. */
  protected left(message: Message, position: number, wasOnDisk: boolean): void {
    const id = idOf(message);
    if (this.isPurging || this.isClosed) return;
    if (id === this.moving?.id) {
      this.isAt(id, position);
      this.moved(this.moving);
      this.moving = null;
      return;
    }
    const held = this.held.get(id);
    if (held !== undefined) {
      // It has got another place, in memory.
      if (wasOnDisk) return;
      const isWanted = this.features.deadLetterExchange !== null;
      assert.ok(held.isAccepted || !isWanted, 'it stays until its dead letter is safe');
      this.held.delete(id);
      return;
    }
    this.isAt(id, position);
    if (id === this.settling?.id) {
      assert.ok(this.reason === null || this.features.deadLetterExchange === null);
      this.settling = null;
      return;
    }
    const entry = this.ready.find((each) => each.id === id);
    if (entry === undefined) return;
    if (entry.deadlineMs > this.now && (this.isGetting || !this.isExceeded)) {
      assert.ok(this.pendingGets > 0, `${id} leaves for no reason`);
      this.take(entry);
      this.taken = entry;
      return;
    }
    assert.equal(this.features.deadLetterExchange, null, 'its dead letter comes before');
    const isFull = this.isExceeded && entry === this.inOrder(this.ready)[0];
    this.leaves(id, isFull ? 'maxlen' : 'expired');
  }

  /** It gets another position. */
  protected moved({ id }: Entry): void {
    this.#positions.delete(id);
  }

  protected isAt(id: number, position: number): void {
    assert.equal(this.#positions.get(id) ?? position, position, 'a message stays in its place');
    this.#positions.set(id, position);
  }
}

export function idOf(message: Message): number {
  return Number.parseInt(bodyText(message), 10);
}

export function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { size }) => sum + size, 0);
}

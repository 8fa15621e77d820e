// One queue of any kind beside a naive model of it (queue-rules.ts): what can be done to it, and what must hold after every step.
import assert from 'node:assert/strict';
import type { FieldValue } from '../../codec/field-table.ts';
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { BLOCKED_BY_OUTPUT, type Consumer } from '../../lib/core/consumer.ts';
import type { Message } from '../../lib/core/message.ts';
import type { DeliverySink } from '../../lib/core/ports.ts';
import { PLAIN_FEATURES, type QueueFeatures } from '../../lib/core/queue-features.ts';
import { consumerOf, messageOf, queueSettings, table } from './helper.ts';
import { NaiveStore } from './naive-store.ts';
import { integer, queueContext } from './queue-helper.ts';
import { bytesOf, type Entry, type ModelSettings, QueueRules } from './queue-rules.ts';

/** Deadlines that come sooner one after the other than this are handled together. */
const GRAIN_MS = 2;
const RETRY_MS = 5000;

export type Settlement = 'acknowledge' | 'reject' | 'requeue' | 'abandon';

export class QueueModel extends QueueRules implements DeliverySink {
  readonly context = queueContext(this.clock, {
    features: () => this.features,
    createStore: (host) => {
      if (!this.settings.hasDisk) return null;
      this.store = new NaiveStore(host, this.context.memory);
      this.store.unconfirmed = [];
      this.store.onLeft = (message, position, wasOnDisk) => this.left(message, position, wasOnDisk);
      return this.store;
    },
  });
  readonly queue: ClassicQueue;
  readonly consumers: Consumer[] = [];
  #active: Consumer | null = null;
  readonly #confirmations: { readonly expected: boolean; readonly settled: boolean[] }[] = [];
  #nextId = 0;
  /** In a quorum queue what comes back stands before everything else, in turn. */
  #nextReturned = -1_000_000;
  #everPaged = false;

  constructor(settings: ModelSettings) {
    super(settings);
    this.context.deadLetters.onLetter = (letter) => this.letter(letter);
    const args: Record<string, FieldValue | string> = {
      'x-queue-type': settings.isQuorum ? 'quorum' : 'classic',
      'x-single-active-consumer': { type: 't', value: settings.singleActive },
    };
    if (settings.maxPriority > 0) args['x-max-priority'] = integer(settings.maxPriority);
    this.queue = new ClassicQueue(queueSettings({ durable: true, arguments: table(args) }), this.context);
  }

  // Steps

  publish(priority: number, size: number, ttlMs: number | null, isPersistent: boolean): void {
    const { features, ready } = this;
    const id = this.#nextId++;
    const message = messageOf(`${id}`.padEnd(size, '.'), { properties: { priority }, chunkBytes: 512 });
    message.persistent = isPersistent;
    message.expiresAtMs = ttlMs === null ? 0 : this.now + ttlMs;
    const entry: Entry = {
      id,
      priority: Math.min(priority, this.settings.maxPriority),
      size: message.bodySize,
      persistent: isPersistent || this.settings.isQuorum,
      deadlineMs: this.now + Math.min(ttlMs ?? Infinity, features.messageTtlMs),
      order: id,
      wasDelivered: false,
      returns: 0,
    };
    const waiting = [...ready, ...[...this.held.values()].map((held) => held.entry)];
    const isRefused =
      features.overflow !== 'drop-head' &&
      (waiting.length + 1 > features.maxLength || bytesOf([...ready, entry]) > features.maxLengthBytes);
    const settled: boolean[] = [];
    this.#confirmations.push({ expected: !isRefused, settled });
    if (isRefused) this.refused = entry;
    else ready.push(entry);
    this.incoming = entry;
    this.queue.publish(message, { settled: (accepted) => settled.push(accepted) });
    this.incoming = null;
    if (isRefused) {
      assert.deepEqual(settled, [false]);
      const isLettered = features.overflow === 'reject-publish-dlx' && features.deadLetterExchange !== null;
      assert.equal(this.refused === null, isLettered, 'what is refused is dead-lettered where that is asked for');
      this.refused = null;
    } else {
      assert.ok(!this.ready.includes(entry) || entry.deadlineMs > this.now, 'what comes too late does not stay');
    }
  }

  deliver(consumer: Consumer, message: Message, position: number, redelivered: boolean, deliveryCount: number): void {
    assert.ok(this.consumers.includes(consumer));
    if (this.settings.singleActive) assert.equal(consumer, this.#active, 'the active consumer gets all');
    const better = this.consumers.some((other) => other.ready && other.priority > consumer.priority);
    assert.ok(this.settings.singleActive || !better, 'higher priorities get messages first');
    const entry = this.delivered(message, position, redelivered, deliveryCount);
    if (!consumer.noAck) this.unacknowledged.push({ entry, message, position, consumer });
    const count = this.unacknowledged.filter((each) => each.consumer === consumer).length;
    assert.equal(consumer.unacknowledged, count);
    assert.ok(consumer.prefetch === 0 || count <= consumer.prefetch);
  }

  consumerCancelled(consumer: Consumer): void {
    assert.ok(this.isClosed);
    this.consumers.splice(this.consumers.indexOf(consumer), 1);
  }

  get(noAck: boolean): void {
    this.pendingGets++;
    this.isGetting = true;
    this.queue.get(noAck, (delivery) => {
      this.pendingGets--;
      assert.equal(delivery === null, this.ready.length === 0 && this.taken === null);
      if (delivery === null) return;
      const { message, position, redelivered, deliveryCount } = delivery;
      const entry = this.delivered(message, position, redelivered, deliveryCount);
      if (!noAck) this.unacknowledged.push({ entry, message, position, consumer: null });
    });
    this.isGetting = false;
    assert.ok(this.store !== null || this.pendingGets === 0, 'from memory the answer comes at once');
  }

  /** Settles some of what is unacknowledged, from a starting point on, and lets the queue go on, as a channel does. */
  settle(settlement: Settlement, choice: number, count: number): void {
    for (const each of this.unacknowledged.splice(choice % Math.max(1, this.unacknowledged.length), count)) {
      const { entry, message, position, consumer } = each;
      this.settling = entry;
      this.reason = settlement === 'reject' ? 'rejected' : null;
      if (settlement === 'requeue' || settlement === 'abandon') this.#requeue(entry, settlement === 'requeue');
      if (this.isClosed) this.reason = null;
      this.queue[settlement](message, position);
      assert.ok(this.settling === null || !this.#isObserved, 'it has left the queue');
      this.settling = this.reason = this.moving = null;
      consumer?.settle();
    }
    this.queue.deliver();
  }

  addConsumer(options: { prefetch: number; noAck: boolean; priority: number }): void {
    const consumer = consumerOf(this, options);
    this.consumers.push(consumer);
    this.#active ??= consumer;
    this.queue.addConsumer(consumer);
  }

  removeConsumer(choice: number): void {
    const [consumer] = this.consumers.splice(choice % Math.max(1, this.consumers.length), 1);
    if (consumer === undefined) return;
    if (consumer === this.#active) {
      // A stable sort: of the same priority the first stays first. Quorum queues don't look at priorities here.
      const { isQuorum } = this.settings;
      const successors = this.consumers.toSorted((a, b) => (isQuorum ? 0 : b.priority - a.priority));
      this.#active = successors[0] ?? null;
    }
    this.queue.removeConsumer(consumer);
    this.clock.endTurn();
  }

  /** The outputs of some consumers are full, those of the others have room. */
  setOutputs(full: number): void {
    for (const [i, consumer] of this.consumers.entries()) {
      if ((full >> i) & 1) consumer.block(BLOCKED_BY_OUTPUT);
      else consumer.unblock(BLOCKED_BY_OUTPUT);
    }
    this.queue.deliver();
  }

  purge(): void {
    const { length } = this.ready;
    this.ready = [];
    this.isPurging = true;
    assert.equal(this.queue.purge(), length);
    this.isPurging = false;
  }

  applyFeatures(features: Partial<QueueFeatures>): void {
    this.features = { ...PLAIN_FEATURES, ...features };
    this.queue.applyFeatures(this.features);
  }

  /** Those who got dead letters have them safe, or can't take them. */
  settleLetters(accepted: boolean): void {
    for (const [id, held] of [...this.held]) {
      const { settled } = held;
      if (settled === null) continue;
      held.settled = null;
      held.isAccepted = accepted;
      held.stuckAtMs = this.now;
      settled(accepted);
      if (accepted) assert.ok(this.store === null || !this.held.has(id), 'the disk has forgotten it');
      if (accepted) this.held.delete(id);
    }
  }

  pageOut(all: boolean): void {
    this.#everPaged = true;
    this.store?.pageOut(all);
  }

  /** The disk answers everything, and time goes on a little for those who ask again. */
  settleDisk(): void {
    const untilMs = this.now;
    for (let i = 0; i < 12; i++) {
      for (let answers = 0; this.store?.isBusy === true; answers++) {
        assert.ok(answers < 1000, 'it does not ask for ever');
        if (this.store.isLoading) this.store.answer(100);
        this.store.answerFetch();
      }
      this.clock.advance(GRAIN_MS);
      this.clock.endTurn();
    }
    assert.ok(!this.ready.some(({ deadlineMs }) => deadlineMs <= untilMs), 'what has expired is gone from the disk');
    assert.equal(this.pendingGets, 0);
  }

  /** Closes the queue and settles all that is open; nothing may be left. */
  end(settlement: Settlement): void {
    this.ready = [];
    this.isClosed = true;
    this.queue.close();
    this.held.clear();
    assert.equal(this.consumers.length, 0, 'every consumer hears of it');
    assert.equal(this.pendingGets, 0);
    this.settle(settlement, 0, this.unacknowledged.length);
    this.settleLetters(true);
    this.store?.confirm();
    this.clock.endTurn();
    this.check();
    assert.equal(this.context.memory.usedBytes, 0);
    assert.equal(this.clock.pendingTimers <= 1, true, 'the timer of all deadlines, which finds none');
    for (const { expected, settled } of this.#confirmations) assert.deepEqual(settled, [expected]);
  }

  // What must hold after every step

  check(): void {
    const { queue, ready, store, held } = this;
    assert.equal(queue.messageCount, ready.length);
    assert.equal(queue.unacknowledgedCount, this.unacknowledged.length);
    assert.equal(queue.consumerCount, this.consumers.length);
    for (const { settled, stuckAtMs } of held.values()) {
      assert.ok(settled !== null || this.now < stuckAtMs + RETRY_MS, 'a dead letter that was refused is tried again');
    }
    if (store !== null) {
      const here = [
        ...ready,
        ...this.unacknowledged.map(({ entry }) => entry),
        ...[...held.values()].map((h) => h.entry),
      ];
      const expected = here.filter(({ persistent }) => persistent).map(({ id }) => id);
      const alive = [...store.alive.values()].map((text) => Number.parseInt(text, 10));
      assert.deepEqual(sorted(alive), this.isClosed ? [] : sorted(expected), 'what the disk keeps');
    }
    if (!this.#everPaged) {
      assert.ok(!ready.some(({ deadlineMs }) => deadlineMs + GRAIN_MS <= this.now), 'what has expired is gone');
    }
    // What came before what is on disk meanwhile waits with it.
    const mayWait = store?.isLoading === true;
    assert.ok(mayWait || !this.isExceeded, 'a limit holds');
    const takes = this.settings.singleActive ? this.#active?.ready === true : this.consumers.some((c) => c.ready);
    const isWaiting = ready.some(({ deadlineMs }) => deadlineMs > this.now);
    assert.ok(mayWait || !isWaiting || !takes, 'nothing waits while someone can take it');
    assert.ok(mayWait || this.pendingGets === 0, 'a get waits for the disk alone');
  }

  /** Every departure is told by a dead letter or by the disk. */
  get #isObserved(): boolean {
    return !this.isClosed && (this.store !== null || this.reason !== null);
  }

  #requeue(entry: Entry, isWilled: boolean): void {
    entry.returns++;
    if (this.isClosed) return;
    if (this.settings.isQuorum) entry.order = this.#nextReturned++;
    if (this.settings.isQuorum && entry.returns > this.features.deliveryLimit) this.reason = 'delivery_limit';
    else if (entry.deadlineMs <= this.now) this.reason = 'expired';
    else this.ready.push(entry);
    if (this.reason !== null) return;
    this.settling = null;
    if (!this.settings.isQuorum || !isWilled || this.features.deliveryLimit !== Infinity) return;
    // Without a limit it goes to the end.
    entry.order = this.#nextId++;
    if (this.store === null) this.moved(entry);
    else this.moving = entry;
  }
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}

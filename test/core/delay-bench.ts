// A delay queue between a clock that may be set, a naive disk, and somebody who writes down what leaves it and when.
import assert from 'node:assert/strict';
import { DelayQueue } from '../../lib/core/delay-queue.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import type { RecoveredQueue, StoredQueue } from '../../lib/core/message-store.ts';
import type { Confirmation, QueueSettings } from '../../lib/core/queue.ts';
import { bodyText, messageOf, queueSettings, TestClock } from './helper.ts';
import { NaiveStore } from './naive-store.ts';
import { queueContext } from './queue-helper.ts';

/** A clock that somebody sets, which the timers don't notice. */
export class SetClock extends TestClock {
  offsetMs = 0;

  override epochMs(): number {
    return this.epoch + this.offsetMs;
  }
}

export interface Held {
  readonly text: string;
  readonly dueMs: number;
}

/** The texts of messages begin with how long they are to be held. */
export function delayIn(text: string): number {
  return Number.parseFloat(text);
}

export class DelayBench {
  readonly clock = new SetClock();
  readonly memory = new MemoryAccount(2 ** 40, 2 ** 40);
  readonly store: NaiveStore;
  readonly queue: DelayQueue;
  /** What was published and has not left, in that order. */
  held: Held[] = [];
  /** What left, and where it had stood. */
  readonly sent: string[] = [];
  readonly positions: number[] = [];
  readonly defects: unknown[] = [];
  /** Called for each message that leaves. */
  onSend: ((text: string) => void) | null = null;
  #count = 0;

  /** @param spentFrom of a queue that was there before a restart; left out for a new one */
  constructor(settings: Partial<QueueSettings> = {}, spentFrom?: RecoveredQueue['spentFrom']) {
    let store: NaiveStore | undefined;
    const { clock, memory } = this;
    const createStore = (host: StoredQueue): NaiveStore => {
      store = new NaiveStore(host, memory);
      return store;
    };
    const recovered = { attach: createStore, levels: [], deliveryCounts: new Map() };
    const context = queueContext(clock, {
      memory,
      createStore,
      defect: (error) => this.defects.push(error),
    });
    this.queue = new DelayQueue(
      queueSettings({ durable: true, ...settings }),
      { context, delayMs: (message) => delayIn(bodyText(message)), send: (message) => this.#send(message) },
      spentFrom === undefined ? null : { ...recovered, spentFrom },
    );
    if (store === undefined) throw new Error('a queue that asked for no store');
    this.store = store;
    store.onLeft = (_message, position) => this.positions.push(position);
  }

  get nowMs(): number {
    return this.clock.epochMs();
  }

  publish(delayMs: number, persistent = true, confirmation: Confirmation | null = null, bytes = 0): string {
    const text = `${delayMs} ms #${this.#count++}`.padEnd(bytes);
    const message = messageOf(text, { chunkBytes: 1000 });
    message.persistent = persistent;
    // First, since nothing keeps the queue from sending it at once but its own good sense.
    this.held.push({ text, dueMs: this.nowMs + delayMs });
    this.queue.publish(message, confirmation);
    return text;
  }

  /** Time goes by, with all that happens meanwhile but for what the disk has to do. */
  advance(ms: number): void {
    for (let left = ms; left > 0; left--) {
      this.clock.endTurn();
      this.clock.advance(Math.min(1, left));
    }
  }

  /** Lets everything happen that is due, or late. */
  settle(): void {
    // Each load may ask for another, and each step leaves the rest for the next.
    for (let quiet = 0; quiet < 3; quiet++) {
      const before = this.sent.length;
      this.clock.endTurn();
      if (this.store.isLoading) this.store.answer(3);
      this.clock.advance(2);
      if (this.sent.length > before || this.store.isLoading) quiet = 0;
    }
  }

  /** What must hold at any time. */
  check(): void {
    assert.deepEqual(this.defects, []);
    assert.equal(this.queue.messageCount, this.held.length);
    assert.equal(
      this.memory.usedBytes === 0,
      this.held.length === this.store.pagedCount,
      'what is on disk costs nothing',
    );
  }

  close(): void {
    this.queue.close();
    this.clock.endTurn();
    assert.equal(this.queue.messageCount, 0);
    assert.equal(this.queue.readyBytes, 0);
    assert.equal(this.memory.usedBytes, 0);
    assert.equal(this.store.alive.size, 0);
    assert.equal(this.queue.deadline.atMs, Infinity);
  }

  #send(message: Message): void {
    const text = bodyText(message);
    const at = this.held.findIndex((held) => held.text === text);
    assert.ok(at >= 0, `${text} leaves a second time`);
    const [{ dueMs }] = this.held.splice(at, 1);
    assert.ok(this.nowMs >= dueMs, `${text} leaves ${dueMs - this.nowMs} ms early`);
    this.sent.push(text);
    this.onSend?.(text);
  }
}

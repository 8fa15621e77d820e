// Queues beside a naive model of them, for the property test of the classic queue. Every step checks that each message is in
// exactly one place, that order is kept, and that the memory account counts what is held.
import assert from 'node:assert/strict';
import type { FieldTable } from '../../codec/field-table.ts';
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { BLOCKED_BY_OUTPUT, type Consumer } from '../../lib/core/consumer.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import type { DeliverySink } from '../../lib/core/ports.ts';
import { bodyText, consumerOf, messageOf, queueSettings, TestClock, table } from './helper.ts';
import { queueContext } from './queue-helper.ts';

interface Entry {
  readonly message: Message;
  /** The order in which the queue got it. */
  readonly order: number;
  readonly redelivered: boolean;
}

interface Held extends Entry {
  readonly position: number;
  readonly consumer: Consumer | null;
}

/** The `x-max-length`, `x-max-length-bytes` and `x-overflow` of a queue. */
export interface Limit {
  readonly messages: number;
  readonly bytes: number;
  readonly rejectPublish: boolean;
}

export type Settlement = 'acknowledge' | 'reject' | 'requeue';

/** One queue and what it should hold. */
class Side implements DeliverySink {
  readonly queue: ClassicQueue;
  ready: Entry[] = [];
  readonly held: Held[] = [];
  readonly consumers: Consumer[] = [];
  cancelled = 0;
  closed = false;
  readonly #limit: Limit | null;
  #nextOrder = 0;

  constructor(queue: ClassicQueue, limit: Limit | null) {
    this.queue = queue;
    this.#limit = limit;
  }

  publish(message: Message): void {
    const refused = this.#limit?.rejectPublish === true && this.#isOver(this.#limit, [message]);
    if (!refused) this.ready.push({ message, order: this.#nextOrder++, redelivered: false });
    const settled: boolean[] = [];
    this.queue.publish(message, { settled: (accepted) => settled.push(accepted) });
    assert.deepEqual(settled, [!refused]);
    this.#dropOldest();
  }

  deliver(consumer: Consumer, message: Message, position: number, redelivered: boolean): void {
    assert.ok(this.consumers.includes(consumer), 'delivers to its consumers only');
    assert.ok(!consumer.noAck || consumer.ready);
    const entry = this.#takeFirst(message, redelivered);
    if (!consumer.noAck) this.held.push({ ...entry, position, consumer });
    const heldByConsumer = this.held.filter((held) => held.consumer === consumer).length;
    assert.equal(consumer.unacknowledged, heldByConsumer);
    assert.ok(consumer.prefetch === 0 || heldByConsumer <= consumer.prefetch, 'never over the prefetch limit');
  }

  consumerCancelled(): void {
    assert.ok(this.closed);
    this.cancelled++;
  }

  get(noAck: boolean): void {
    let answers = 0;
    this.queue.get(noAck, (delivery) => {
      answers++;
      assert.equal(delivery === null, this.ready.length === 0);
      if (delivery === null) return;
      const entry = this.#takeFirst(delivery.message, delivery.redelivered);
      if (!noAck) this.held.push({ ...entry, position: delivery.position, consumer: null });
    });
    assert.equal(answers, 1, 'from memory the answer comes at once');
  }

  /** Settles some of what is held, from a starting point on, and lets the queue go on, as a channel does. */
  settle(settlement: Settlement, choice: number, count: number): void {
    for (const held of this.held.splice(choice % Math.max(1, this.held.length), count)) {
      const { message, order, position, consumer } = held;
      if (settlement === 'requeue' && !this.closed) {
        const at = this.ready.findIndex((entry) => entry.order > order);
        this.ready.splice(at < 0 ? this.ready.length : at, 0, { message, order, redelivered: true });
      }
      this.queue[settlement](message, position);
      this.#dropOldest();
      consumer?.settle();
    }
    this.queue.deliver();
  }

  purge(): void {
    const expected = this.ready.length;
    this.ready = [];
    assert.equal(this.queue.purge(), expected);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.ready = [];
    const consumers = this.consumers.splice(0).length;
    this.queue.close();
    assert.equal(this.cancelled, consumers, 'every consumer hears of it once');
  }

  check(): void {
    const { queue, consumers } = this;
    assert.equal(queue.messageCount, this.ready.length);
    assert.equal(queue.unacknowledgedCount, this.held.length);
    assert.equal(queue.consumerCount, consumers.length);
    assert.ok(
      this.ready.length === 0 || !consumers.some(({ ready }) => ready),
      'nothing waits while someone can take it',
    );
  }

  #dropOldest(): void {
    if (this.#limit === null || this.#limit.rejectPublish) return;
    while (this.#isOver(this.#limit, [])) this.ready.shift();
  }

  #isOver(limit: Limit, more: readonly Message[]): boolean {
    const messages = [...this.ready.map(({ message }) => message), ...more];
    const bytes = messages.reduce((sum, { bodySize }) => sum + bodySize, 0);
    return messages.length > limit.messages || bytes > limit.bytes;
  }

  #takeFirst(message: Message, redelivered: boolean): Entry {
    const entry = this.ready.shift();
    assert.ok(entry !== undefined && entry.message === message, `${bodyText(message)} is the first in order`);
    assert.equal(redelivered, entry.redelivered);
    return entry;
  }
}

const MESSAGE_COST = costOf((account) => {
  const message = messageOf('');
  account.retain(message);
  account.adjust(-message.size);
});
const REFERENCE_COST = costOf((account) => {
  const message = messageOf('');
  account.retain(message);
  account.retain(message);
  account.adjust(-message.size - MESSAGE_COST);
});
const DELIVERY_COST = costOf((account) => account.delivered());

/** Two queues that share messages, a memory account and a turn. */
export class QueueBench {
  readonly #clock = new TestClock();
  readonly memory = new MemoryAccount(2 ** 40, 2 ** 40);
  readonly sides: readonly Side[];
  #count = 0;

  /** @param limit of the second queue */
  constructor(limit: Limit | null) {
    const queueUnused = (): void => assert.fail('the queues are not auto-delete');
    const context = queueContext(this.#clock, { memory: this.memory, queueUnused });
    this.sides = [null, limit].map((each) => {
      return new Side(new ClassicQueue(queueSettings({ arguments: argumentsOf(each) }), context), each);
    });
  }

  /** Publishes to one queue or, as a fanout does, to both. */
  publish(sides: readonly number[], size: number): void {
    const message = messageOf(`${this.#count++}`.padEnd(size, '.'), { chunkBytes: 1024 });
    for (const side of sides) {
      if (!this.sides[side].closed) this.sides[side].publish(message);
    }
  }

  addConsumer(side: number, options: { prefetch: number; noAck: boolean; priority: number }): void {
    const { queue, consumers, closed } = this.sides[side];
    if (closed) return;
    const consumer = consumerOf(this.sides[side], options);
    consumers.push(consumer);
    queue.addConsumer(consumer);
  }

  removeConsumer(side: number, choice: number): void {
    const { queue, consumers } = this.sides[side];
    const [consumer] = consumers.splice(choice % Math.max(1, consumers.length), 1);
    if (consumer !== undefined) queue.removeConsumer(consumer);
  }

  /** The outputs of some consumers are full, those of the others have room. */
  setOutputs(side: number, full: number): void {
    const { queue, consumers } = this.sides[side];
    for (const [i, consumer] of consumers.entries()) {
      if ((full >> i) & 1) consumer.block(BLOCKED_BY_OUTPUT);
      else consumer.unblock(BLOCKED_BY_OUTPUT);
    }
    queue.deliver();
  }

  endTurn(): void {
    this.#clock.endTurn();
  }

  check(): void {
    for (const side of this.sides) side.check();
    assert.equal(this.memory.usedBytes, this.#costs());
  }

  /** What the messages and deliveries that are held now cost, whatever was before. */
  #costs(): number {
    const holders = new Map<Message, number>();
    let bytes = 0;
    for (const { ready, held } of this.sides) {
      for (const { message } of [...ready, ...held]) holders.set(message, (holders.get(message) ?? 0) + 1);
      bytes += held.length * DELIVERY_COST;
    }
    for (const [{ size }, count] of holders) bytes += size + MESSAGE_COST + (count - 1) * REFERENCE_COST;
    return bytes;
  }
}

/** What something costs by itself. Each message of the bench has a route of its own, to the same queue. */
function costOf(charge: (account: MemoryAccount) => void): number {
  const account = new MemoryAccount(2 ** 40, 2 ** 40);
  charge(account);
  return account.usedBytes;
}

function argumentsOf(limit: Limit | null): FieldTable {
  if (limit === null) return table();
  return table({
    'x-max-length': { type: 'I', value: limit.messages },
    'x-max-length-bytes': { type: 'l', value: limit.bytes },
    'x-overflow': limit.rejectPublish ? 'reject-publish' : 'drop-head',
  });
}

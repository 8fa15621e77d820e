// When a delivery has waited too long: never found too early, and at most a little too late, whatever else is on the channel.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Queue } from '../../../lib/core/queue.ts';
import { PLAIN_FEATURES } from '../../../lib/core/queue-features.ts';
import { DeliveryTimeouts } from '../../../lib/protocols/amqp/delivery-timeouts.ts';
import { UnackedDeliveries, type UnackedDelivery } from '../../../lib/protocols/amqp/unacked-deliveries.ts';
import { messageOf, type Step, sequenceOf, stepsOf } from '../../core/helper.ts';

const TICK_MS = 1000;
const MINUTE_MS = 60_000;
const shared = messageOf('');

/** Only its timeout matters here. @param timeoutMs null for the channel's own */
function queueOf(timeoutMs: number | null): Queue {
  return { features: { ...PLAIN_FEATURES, consumerTimeoutMs: timeoutMs } } as unknown as Queue;
}

/** A channel with its deliveries, and when they were really made. */
class Channel {
  readonly unacked = new UnackedDeliveries();
  readonly timeouts: DeliveryTimeouts;
  readonly madeAt = new Map<number, number>();
  claimed: UnackedDelivery[] = [];
  now = 0;
  nextTag = 1;

  constructor(defaultMs = 0) {
    this.timeouts = new DeliveryTimeouts(this.unacked, defaultMs);
  }

  deliver(queue: Queue, count = 1): void {
    this.timeouts.watch(queue);
    for (let i = 0; i < count; i++) {
      const tag = this.nextTag++;
      this.unacked.add({ tag, message: shared, source: { queue, consumer: null }, position: tag });
      this.madeAt.set(tag, this.now);
    }
  }

  /** Moves the time by so many seconds at most, until a timeout is exceeded, which it returns. */
  pass(seconds: number): number | undefined {
    for (let i = 0; i < seconds; i++) {
      const exceeded = this.tick(TICK_MS);
      if (exceeded !== undefined) return exceeded;
    }
    return undefined;
  }

  tick(ms: number): number | undefined {
    this.now += ms;
    if (this.unacked.size > 0 || this.claimed.length > 0) {
      return this.timeouts.tick(this.now, this.nextTag, this.claimed.length > 0);
    }
    this.timeouts.clear();
    return undefined;
  }
}

t.test('a delivery may wait as long as the channel allows, and not much longer', async (t) => {
  const channel = new Channel(5000);
  channel.pass(7);
  channel.deliver(queueOf(null));
  t.equal(channel.pass(60), 5000);
  t.ok(channel.now - 7000 >= 5000, 'not too early');
  t.ok(channel.now - 7000 <= 5000 + 2 * TICK_MS, 'not much too late');
});

t.test('what a queue says goes before what the channel says', async (t) => {
  const channel = new Channel(5000);
  channel.deliver(queueOf(9000));
  t.equal(channel.pass(60), 9000);
});

t.test('no timeout is none', async (t) => {
  const channel = new Channel(0);
  channel.deliver(queueOf(null));
  channel.deliver(queueOf(0));
  t.equal(channel.pass(100_000), undefined);
});

t.test('a consumer that is always behind but in time is left alone', async (t) => {
  const channel = new Channel(5000);
  const queue = queueOf(null);
  let found = 0;
  for (let second = 0; second < 10_000; second++) {
    channel.deliver(queue, 3);
    // Four seconds behind.
    channel.unacked.takeUpTo(channel.nextTag - 13, () => {});
    if (channel.tick(TICK_MS) !== undefined) found++;
  }
  t.equal(found, 0);
});

t.test('the default, with deliveries of long before and after: late by seconds', async (t) => {
  const channel = new Channel(30 * MINUTE_MS);
  const queue = queueOf(null);
  let late = 0;
  for (let second = 0; second < 3600; second++) {
    channel.deliver(queue);
    if (channel.nextTag !== 1801) channel.unacked.take(channel.nextTag - 1);
    else late = channel.now + 30 * MINUTE_MS;
    if (channel.tick(TICK_MS) !== undefined) break;
  }
  t.ok(channel.now >= late, 'not too early');
  t.ok(channel.now <= late + 6000, `${channel.now - late} ms too late`);
});

t.test('a short timeout beside days', async (t) => {
  const channel = new Channel();
  const [slow, quick] = [queueOf(2 ** 31), queueOf(3000)];
  for (let second = 0; second < 20_000; second++) {
    channel.deliver(slow);
    assert.equal(channel.tick(TICK_MS), undefined);
    const at = channel.nextTag;
    channel.deliver(quick);
    if (second % 5000 !== 4999) channel.unacked.take(at);
    else break;
  }
  const madeAt = channel.now;
  t.equal(channel.pass(10), 3000);
  t.ok(channel.now - madeAt <= 3000 + 2 * TICK_MS);
});

t.test('a timeout that is made shorter holds for what waits already', async (t) => {
  const channel = new Channel();
  const queue = queueOf(100_000) as { features: object } & Queue;
  channel.deliver(queue);
  t.equal(channel.pass(20), undefined);
  Object.assign(queue, { features: { ...PLAIN_FEATURES, consumerTimeoutMs: 10_000 } });
  t.equal(channel.pass(1), 10_000);
});

t.test('a rollback brings deliveries back with their age', async (t) => {
  const channel = new Channel(10_000);
  const queue = queueOf(null);
  channel.deliver(queue);
  channel.pass(6);
  channel.claimed = channel.unacked.takeAll();
  t.equal(channel.pass(20), undefined, 'what a transaction acknowledged is in time');
  channel.deliver(queue);
  channel.unacked.restore(channel.claimed);
  channel.claimed = [];
  channel.timeouts.restored();
  t.equal(channel.pass(1), 10_000);
});

t.test('a queue is forgotten when nothing of it is left, however many there were', async (t) => {
  const channel = new Channel(MINUTE_MS);
  let visits = 0;
  const held = queueOf(0);
  channel.deliver(held);
  for (let i = 0; i < 1000; i++) {
    const queue = queueOf(null);
    const { features } = queue;
    const get = (): typeof features => {
      visits++;
      return features;
    };
    Object.defineProperty(queue, 'features', { get });
    const tag = channel.nextTag;
    channel.deliver(queue);
    channel.unacked.take(tag);
  }
  channel.pass(2);
  t.equal(visits, 0, 'nobody asks them any more');
});

const TIMEOUTS = [0, 2000, 5000, 5000, 17_000, 400_000];
const step = stepsOf<Model>();

class Model {
  readonly queues = TIMEOUTS.map((timeoutMs) => queueOf(timeoutMs));
  readonly channel = new Channel();
  over = false;

  check(ms: number): void {
    const { channel } = this;
    if (this.over) return;
    const exceeded = channel.tick(ms);
    if (exceeded !== undefined) {
      const late = this.waiting().filter(({ age, timeoutMs }) => timeoutMs === exceeded && age >= timeoutMs);
      assert.ok(late.length > 0, `${exceeded} ms was said too early`);
      this.over = true;
      return;
    }
    for (const { age, timeoutMs } of this.waiting()) {
      assert.ok(timeoutMs === 0 || age < timeoutMs + 4000, `${age} ms old of ${timeoutMs} ms`);
    }
  }

  waiting(): { age: number; timeoutMs: number }[] {
    const all = this.channel.unacked.takeAll();
    this.channel.unacked.restore(all);
    return all.map(({ tag, source }) => ({
      age: this.channel.now - (this.channel.madeAt.get(tag) ?? 0),
      timeoutMs: source.queue.features.consumerTimeoutMs ?? 0,
    }));
  }
}

const at = fc.nat({ max: 100 });
const aStep: fc.Arbitrary<Step<Model>> = fc.oneof(
  step(
    'deliver',
    fc.tuple(fc.nat({ max: TIMEOUTS.length - 1 }), fc.integer({ min: 1, max: 20 })),
    (model, [index, count]) => model.channel.deliver(model.queues[index], count),
  ),
  step('acknowledge', at, ({ channel }, percent) => {
    const tag = Math.floor((channel.nextTag * percent) / 100);
    channel.unacked.take(tag);
  }),
  step('acknowledge up to', at, ({ channel }, percent) => {
    channel.unacked.takeUpTo(Math.floor((channel.nextTag * percent) / 100), () => {});
  }),
  step('tick', fc.integer({ min: 900, max: 1500 }), (model, ms) => model.check(ms)),
  step('claim', at, ({ channel }, percent) => {
    const tag = Math.floor((channel.nextTag * percent) / 100);
    const claimed = channel.unacked.take(tag);
    if (claimed !== undefined) channel.claimed.push(claimed);
  }),
  step('roll back', fc.constant(null), ({ channel }) => {
    channel.unacked.restore(channel.claimed);
    channel.claimed = [];
    channel.timeouts.restored();
  }),
);

t.test('whatever is delivered and settled, a delivery is found when it is due', async () => {
  fc.assert(
    fc.property(sequenceOf(aStep, 200), (steps) => {
      const model = new Model();
      for (const each of steps) each(model);
    }),
    { numRuns: 300 },
  );
});

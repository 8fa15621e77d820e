// What a queue takes no more of than it needs: memory for what expires on disk, notes of what is gone, time.
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import { featuresOf } from '../../lib/core/queue-features.ts';
import { messageOf, table } from './helper.ts';
import type { NaiveStore } from './naive-store.ts';
import { integer } from './queue-helper.ts';
import { storedQueue } from './stored-queue.ts';

/** As many copies are read before they expire at the most, and so many of what has expired. */
const READ_AHEAD = 65_536;
const STEP = 1024;
const TTL_MS = 10_000;

function setUp(args: Record<string, FieldValue | string>) {
  const stored = storedQueue({ arguments: table(args) });
  const publish = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const message = messageOf('m');
      message.persistent = true;
      stored.queue.publish(message, null);
    }
  };
  return { ...stored, publish };
}

t.test('however much expires at once, only some of it is read at once', async (t) => {
  const count = READ_AHEAD + 3 * STEP;
  const { clock, queue, store, publish, context } = setUp({
    'x-message-ttl': integer(TTL_MS),
    'x-dead-letter-exchange': 'dead',
  });
  const asked: number[] = [];
  // The disk of the other tests looks through all that it has for each message.
  const wanted: { positions: readonly number[]; done: Parameters<NaiveStore['fetch']>[1] }[] = [];
  const onDisk = new Map<number, ReturnType<typeof messageOf>>();
  store.fetch = (positions, done) => {
    asked.push(positions.length);
    wanted.push({ positions, done });
  };
  store.isPagedOut = (position) => onDisk.has(position);
  store.drop = (position) => void onDisk.delete(position);
  Object.defineProperty(store, 'pagedCount', { get: () => onDisk.size });
  publish(count);
  const { messages, positions } = queue.giveUp(-1);
  for (const [i, message] of messages.entries()) onDisk.set(positions[i], message);
  clock.advance(TTL_MS);
  for (let i = 0; queue.messageCount > 0 && i < 1000; i++) {
    for (const { positions, done } of wanted.splice(0)) {
      const here = positions.filter((position) => onDisk.has(position));
      const copies = here.map((position) => (onDisk.get(position) ?? messageOf('')).copy());
      for (const copy of copies) context.memory.retain(copy);
      done({ messages: copies, positions: here });
    }
    clock.advance(10);
  }
  t.equal(queue.messageCount, 0);
  t.equal(context.deadLetters.letters.length, count, 'each once');
  t.ok(
    asked.every((many) => many <= READ_AHEAD),
    String(asked),
  );
  t.ok(asked.length > 1);
});

t.test('what is purged from disk is not remembered', async (t) => {
  const { queue, store, publish } = setUp({});
  const held: (() => void)[] = [];
  publish(600);
  for (let i = 0; i < 600; i++) {
    queue.get(false, (delivery) => {
      if (delivery !== null) held.push(() => queue.requeue(delivery.message, delivery.position));
    });
  }
  for (const giveBack of held) giveBack();
  t.equal(queue.deliveryCounts.size, 600);
  store.pageOut();
  t.equal(store.pagedCount, 600);
  queue.purge();
  t.equal(queue.deliveryCounts.size, 0);
});

t.test('nothing is tried again when the broker closes', async (t) => {
  const { clock, queue, publish, context } = setUp({
    'x-queue-type': 'quorum',
    'x-overflow': 'reject-publish',
    'x-dead-letter-exchange': 'dead',
    'x-dead-letter-strategy': 'at-least-once',
  });
  publish(1);
  queue.get(false, (delivery) => {
    if (delivery !== null) queue.reject(delivery.message, delivery.position);
  });
  context.deadLetters.letters[0].settled?.(false);
  context.deadlines.stop();
  clock.advance(60_000);
  t.equal(context.deadLetters.letters.length, 1);
  t.equal(clock.pendingTimers, 0);
});

t.test('a time of a policy that no clock reaches is none', async (t) => {
  for (const time of [Number.MAX_SAFE_INTEGER, 1e300]) {
    const { messageTtlMs, expiresMs } = featuresOf(table(), { 'message-ttl': time, expires: time });
    t.same([messageTtlMs, expiresMs], [Infinity, Infinity]);
  }
  t.equal(featuresOf(table(), { 'message-ttl': 315_360_000_000 }).messageTtlMs, 315_360_000_000);
});

// Dead letters that are safe before their messages leave: held, tried again, counted, and closed meanwhile.
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import type { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { PLAIN_FEATURES } from '../../lib/core/queue-features.ts';
import { consumerOf, Inbox, messageOf, table } from './helper.ts';
import { integer } from './queue-helper.ts';
import { storedQueue } from './stored-queue.ts';

const RETRY_MS = 5000;

function setUp(args: Record<string, FieldValue | string> = {}) {
  const asked = {
    'x-queue-type': 'quorum',
    'x-overflow': 'reject-publish',
    'x-dead-letter-exchange': 'dead',
    'x-dead-letter-strategy': 'at-least-once',
    ...args,
  };
  const stored = storedQueue({ arguments: table(asked) });
  return { ...stored, letters: stored.context.deadLetters };
}

function publish(queue: ClassicQueue, text: string): boolean[] {
  const settled: boolean[] = [];
  queue.publish(messageOf(text), { settled: (accepted) => settled.push(accepted) });
  return settled;
}

function rejectNext(queue: ClassicQueue): void {
  queue.get(false, (delivery) => {
    if (delivery !== null) queue.reject(delivery.message, delivery.position);
  });
}

t.test('a message stays on disk until its dead letter is safe', async (t) => {
  const { queue, store, letters, memory } = setUp();
  publish(queue, '1');
  rejectNext(queue);
  t.same(letters.texts, ['1 rejected']);
  t.equal(queue.messageCount, 0, 'it is not ready any more');
  t.equal(queue.unacknowledgedCount, 0);
  t.same([...store.alive.values()], ['1']);
  t.ok(memory.usedBytes > 0);
  letters.letters[0].settled?.(true);
  t.equal(store.alive.size, 0);
  t.equal(memory.usedBytes, 0);
});

t.test('what nobody could take is tried again, with the same reason', async (t) => {
  const { clock, queue, store, letters } = setUp();
  publish(queue, '1');
  publish(queue, '2');
  rejectNext(queue);
  rejectNext(queue);
  letters.letters[0].settled?.(false);
  clock.advance(RETRY_MS - 1);
  t.equal(letters.letters.length, 2);
  clock.advance(1);
  t.same(letters.texts, ['1 rejected', '2 rejected', '1 rejected'], 'who is not refused is not tried again');
  letters.letters[2].settled?.(false);
  clock.advance(RETRY_MS);
  letters.letters[3].settled?.(true);
  letters.letters[1].settled?.(true);
  t.equal(store.alive.size, 0);
  clock.advance(10 * RETRY_MS);
  t.equal(letters.letters.length, 4);
});

t.test('an answer that comes twice, or too late, changes nothing', async (t) => {
  const { clock, queue, store, letters, memory } = setUp();
  publish(queue, '1');
  rejectNext(queue);
  letters.letters[0].settled?.(false);
  clock.advance(RETRY_MS);
  letters.letters[0].settled?.(true);
  t.equal(store.alive.size, 1, 'the first try has failed');
  letters.letters[1].settled?.(true);
  letters.letters[1].settled?.(true);
  t.equal(memory.usedBytes, 0);
});

t.test('what is held counts where a queue refuses more', async (t) => {
  const { queue, letters } = setUp({ 'x-max-length': integer(1) });
  publish(queue, '1');
  rejectNext(queue);
  t.same(publish(queue, '2'), [false]);
  letters.letters[0].settled?.(true);
  t.same(publish(queue, '3'), [true]);
});

t.test('a queue that is deleted holds nothing', async (t) => {
  const { clock, queue, letters, memory } = setUp();
  publish(queue, '1');
  publish(queue, '2');
  rejectNext(queue);
  rejectNext(queue);
  letters.letters[0].settled?.(false);
  queue.close();
  t.equal(memory.usedBytes, 0);
  letters.letters[1].settled?.(true);
  clock.advance(2 * RETRY_MS);
  t.equal(letters.letters.length, 2);
  t.equal(memory.usedBytes, 0);
});

t.test('a purge leaves what is held', async (t) => {
  const { queue, letters, store } = setUp();
  publish(queue, '1');
  publish(queue, '2');
  rejectNext(queue);
  t.equal(queue.purge(), 1);
  t.same([...store.alive.values()], ['1']);
  letters.letters[0].settled?.(true);
  t.equal(store.alive.size, 0);
});

t.test('every reason holds, and what has come back too often says so', async (t) => {
  const { clock, queue, letters } = setUp({ 'x-delivery-limit': integer(1), 'x-message-ttl': integer(100) });
  publish(queue, '1');
  for (let i = 0; i < 2; i++) {
    queue.get(false, (delivery) => {
      if (delivery !== null) queue.requeue(delivery.message, delivery.position);
    });
  }
  publish(queue, '2');
  clock.advance(100);
  t.same(letters.texts, ['1 delivery_limit', '2 expired']);
  t.ok(letters.letters.every(({ settled }) => settled !== null));
});

t.test('what expires on disk alone is held, too, in a place of its own', async (t) => {
  const { clock, queue, store, letters, memory } = setUp({ 'x-message-ttl': integer(100) });
  for (const text of ['1', '2']) publish(queue, text);
  store.pageOut();
  clock.advance(90);
  store.answerFetch();
  clock.advance(20);
  t.same(letters.texts, ['1 expired', '2 expired']);
  t.equal(queue.messageCount, 0);
  t.same([...store.alive.values()], ['1', '2'], 'both are still safe');
  const inbox = new Inbox();
  queue.addConsumer(consumerOf(inbox));
  publish(queue, '3');
  t.same(inbox.texts, ['3'], 'and nobody gets them');
  letters.letters[0].settled?.(true);
  letters.letters[1].settled?.(false);
  t.same([...store.alive.values()], ['2', '3']);
  clock.advance(RETRY_MS);
  letters.letters[2].settled?.(true);
  queue.acknowledge(inbox.delivered[0].message, inbox.delivered[0].position);
  t.equal(store.alive.size, 0);
  t.equal(memory.usedBytes, 0);
});

t.test('what is held when a queue loses its dead letter exchange goes when it is tried again', async (t) => {
  const { clock, queue, store, letters, memory } = setUp();
  publish(queue, '1');
  rejectNext(queue);
  letters.letters[0].settled?.(false);
  queue.applyFeatures(PLAIN_FEATURES);
  clock.advance(RETRY_MS);
  t.equal(letters.letters.length, 1);
  t.equal(store.alive.size, 0);
  t.equal(memory.usedBytes, 0);
});

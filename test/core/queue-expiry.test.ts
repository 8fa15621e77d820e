// Queues that nobody uses, and messages that expire: case by case; queue-model.test.ts has the rest.
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { PLAIN_FEATURES } from '../../lib/core/queue-features.ts';
import { bodyText, consumerOf, Inbox, messageOf, queueSettings, TestClock, table } from './helper.ts';
import { integer, queueContext } from './queue-helper.ts';
import { storedQueue } from './stored-queue.ts';

function setUp(args: Record<string, FieldValue | string>) {
  const clock = new TestClock();
  const unusedAtMs: number[] = [];
  const startMs = clock.epoch;
  const context = queueContext(clock, { queueUnused: () => unusedAtMs.push(clock.epoch - startMs) });
  const queue = new ClassicQueue(queueSettings({ arguments: table(args) }), context);
  return { clock, context, queue, unusedAtMs, inbox: new Inbox() };
}

function publish(queue: ClassicQueue, expiresAtMs: number, ...texts: string[]): void {
  for (const text of texts) {
    const message = messageOf(text);
    message.expiresAtMs = expiresAtMs;
    queue.publish(message, null);
  }
}

const EXPIRES = { 'x-expires': integer(100) };

t.test('a queue that nobody ever used goes after its time', async (t) => {
  const { clock, unusedAtMs } = setUp(EXPIRES);
  clock.advance(99);
  t.same(unusedAtMs, []);
  clock.advance(1);
  t.same(unusedAtMs, [100]);
});

t.test('a get and a declaration are use, a publish is none', async (t) => {
  const { clock, queue, unusedAtMs } = setUp(EXPIRES);
  clock.advance(60);
  queue.get(true, () => undefined);
  clock.advance(60);
  queue.used();
  clock.advance(60);
  publish(queue, 0, '1');
  clock.advance(39);
  t.same(unusedAtMs, []);
  clock.advance(1);
  t.same(unusedAtMs, [220]);
});

t.test('a queue with consumers stays, and its time begins when the last one leaves', async (t) => {
  const { clock, queue, unusedAtMs, inbox } = setUp(EXPIRES);
  const [a, b] = [consumerOf(inbox), consumerOf(inbox)];
  queue.addConsumer(a);
  queue.addConsumer(b);
  clock.advance(1000);
  queue.removeConsumer(a);
  clock.advance(1000);
  t.same(unusedAtMs, []);
  queue.removeConsumer(b);
  clock.advance(99);
  t.same(unusedAtMs, []);
  clock.advance(1);
  t.same(unusedAtMs, [2100]);
});

t.test('a queue that was deleted waits for nothing', async (t) => {
  const { clock, queue, unusedAtMs } = setUp({ ...EXPIRES, 'x-message-ttl': integer(50) });
  publish(queue, 0, '1');
  queue.close();
  clock.advance(1000);
  t.same(unusedAtMs, []);
});

t.test('the time of a queue begins, changes and ends with its features', async (t) => {
  const { clock, queue, unusedAtMs } = setUp({});
  clock.advance(1000);
  queue.used();
  queue.applyFeatures({ ...PLAIN_FEATURES, expiresMs: 500 });
  clock.advance(400);
  queue.applyFeatures(PLAIN_FEATURES);
  clock.advance(1000);
  t.same(unusedAtMs, [], 'cleared in time');
  queue.used();
  queue.applyFeatures({ ...PLAIN_FEATURES, expiresMs: 500 });
  queue.applyFeatures({ ...PLAIN_FEATURES, expiresMs: 300 });
  clock.advance(299);
  t.same(unusedAtMs, []);
  clock.advance(1);
  t.same(unusedAtMs, [2700]);
});

t.test('a time to live holds for what is published while it is set', async (t) => {
  const { clock, queue } = setUp({});
  publish(queue, 0, '1');
  queue.applyFeatures({ ...PLAIN_FEATURES, messageTtlMs: 100 });
  publish(queue, 0, '2');
  queue.applyFeatures(PLAIN_FEATURES);
  publish(queue, 0, '3');
  clock.advance(100);
  t.equal(queue.messageCount, 2);
  const texts: string[] = [];
  for (let i = 0; i < 2; i++) queue.get(true, (delivery) => texts.push(delivery ? bodyText(delivery.message) : ''));
  t.same(texts, ['1', '3']);
});

t.test('the shorter of two times to live holds', async (t) => {
  const { clock, queue, context } = setUp({ 'x-message-ttl': integer(100), 'x-dead-letter-exchange': 'dead' });
  const shared = messageOf('shared');
  queue.publish(shared, null);
  t.equal(shared.expiresAtMs, 0, 'other queues have it as it was published');
  publish(queue, clock.epoch + 50, 'sooner');
  publish(queue, clock.epoch + 500, 'later');
  clock.advance(50);
  t.same(context.deadLetters.texts, ['sooner expired']);
  clock.advance(50);
  t.same(context.deadLetters.texts, ['sooner expired', 'shared expired', 'later expired']);
});

t.test('a shorter limit makes room at once', async (t) => {
  const { queue, context } = setUp({});
  publish(queue, 0, '1', '2', '3', '4');
  const limits = { ...PLAIN_FEATURES, deadLetterExchange: 'dead' };
  queue.applyFeatures({ ...limits, maxLength: 3 });
  t.same(context.deadLetters.texts, ['1 maxlen']);
  queue.applyFeatures({ ...limits, maxLengthBytes: 1 });
  t.same(context.deadLetters.texts, ['1 maxlen', '2 maxlen', '3 maxlen']);
  queue.applyFeatures({ ...limits, maxLength: 0, overflow: 'reject-publish' });
  t.equal(queue.messageCount, 1, 'a queue that refuses keeps what it has');
});

t.test('what comes back again and again is not noted again and again', async (t) => {
  const { clock, queue, inbox } = setUp({ 'x-message-ttl': integer(3_600_000) });
  publish(queue, 0, ...Array.from({ length: 5000 }, () => ''));
  // Minutes, and so a time-out, if each of them looked at all that were noted.
  for (let round = 0; round < 20; round++) {
    const consumer = consumerOf(inbox);
    queue.addConsumer(consumer);
    queue.removeConsumer(consumer);
    for (const { message, position } of inbox.delivered.splice(0)) queue.requeue(message, position);
  }
  clock.advance(3_600_000 + 100);
  t.equal(queue.messageCount, 0);
});

t.test('what was on disk when it expired and is in memory now goes, too', async (t) => {
  const args = table({ 'x-dead-letter-exchange': 'dead', 'x-message-ttl': integer(50) });
  const { clock, context, memory, queue, store } = storedQueue({ arguments: args });
  publish(queue, 0, '1', '2');
  store.pageOut();
  clock.advance(60);
  t.equal(queue.messageCount, 2, 'they are still to be read');
  store.load();
  store.answer(2);
  store.answerFetch();
  clock.advance(2);
  t.same(context.deadLetters.texts, ['1 expired', '2 expired']);
  t.equal(queue.messageCount, 0);
  t.equal(memory.usedBytes, 0);
});

t.test('a message whose time passes while it comes in does not leave before an older one that is due', async (t) => {
  const { clock, context, queue } = setUp({
    'x-message-ttl': integer(10),
    'x-dead-letter-exchange': '',
  });
  publish(queue, 0, 'a');
  const epochMs = clock.epochMs.bind(clock);
  let asked = 0;
  // The process was stopped between two looks at the clock.
  clock.epochMs = () => epochMs() + (asked++ === 0 ? 9 : 40);
  publish(queue, 0, 'b');
  t.ok(asked > 0);
  clock.epochMs = epochMs;
  clock.advance(40);
  t.same(context.deadLetters.texts, ['a expired', 'b expired']);
});

// A classic queue of which a part is on disk alone: the order, the counts, and who waits for whom. The disk is a naive one that
// answers when it is told to.
import t from 'tap';
import type { ClassicQueue } from '../../lib/core/classic-queue.ts';
import type { Delivery, QueueSettings } from '../../lib/core/queue.ts';
import { bodyText, consumerOf, Inbox, messageOf, table } from './helper.ts';
import { storedQueue } from './stored-queue.ts';

function setUp(settings: Partial<QueueSettings> = {}) {
  return { ...storedQueue(settings), inbox: new Inbox() };
}

function publish(queue: ClassicQueue, ...texts: string[]): void {
  for (const text of texts) {
    const message = messageOf(text);
    message.persistent = true;
    queue.publish(message, null);
  }
}

t.test('what is on disk comes between what was before it and what came after', async (t) => {
  const { queue, store, inbox } = setUp();
  publish(queue, '1', '2', '3');
  store.pageOut();
  publish(queue, '4', '5');
  t.equal(queue.messageCount, 5);
  queue.addConsumer(consumerOf(inbox, { prefetch: 2 }));
  t.same(inbox.texts, [], 'nothing overtakes');
  t.ok(store.loads > 0, 'the first are asked for');
  store.answer(2);
  t.same(inbox.texts, ['1', '2']);
  queue.acknowledge(inbox.delivered[0].message, inbox.delivered[0].position);
  t.match(store.log.at(-1), 'remove 1 at 0');
  queue.removeConsumer(inbox.delivered[0].consumer);
  queue.requeue(inbox.delivered[1].message, inbox.delivered[1].position);
  t.match(store.log.at(-1), 'return 2 at 1: 1');
  const last = new Inbox();
  queue.addConsumer(consumerOf(last));
  t.same(last.texts, ['2'], 'what came back stands before what is on disk');
  store.answer(9);
  t.same(last.texts, ['2', '3', '4', '5']);
  t.same(
    last.delivered.map(({ redelivered }) => redelivered),
    [true, false, false, false],
  );
});

t.test('a queue asked for some bytes gives its last messages, and reads on before the first are gone', async (t) => {
  const { queue, store, inbox } = setUp();
  const texts = Array.from({ length: 6000 }, (_, i) => String(i));
  publish(queue, ...texts.slice(0, 3000));
  store.pageOut(false, queue.readyBytes / 3);
  t.equal(store.pagedCount, 1000);
  t.same([queue.readyBytes > 0, store.nextPaged], [true, 2000], 'the first ones stay');
  publish(queue, ...texts.slice(3000));
  t.equal(queue.messageCount, 6000);
  const all = new Inbox();
  queue.addConsumer(consumerOf(all, { prefetch: 900 }));
  t.equal(store.loads, 0, 'there is enough');
  queue.addConsumer(consumerOf(all, { prefetch: 200 }));
  t.same(all.texts, texts.slice(0, 1100));
  t.ok(store.loads > 0, 'not any more');
  queue.addConsumer(consumerOf(inbox, { prefetch: 5000 }));
  t.same(inbox.texts, texts.slice(1100, 2000), 'nothing overtakes what is on disk');
  store.answer(1000);
  t.same(inbox.texts, texts.slice(1100));
});

t.test('a get waits for the disk, and the next one behind it', async (t) => {
  const { queue, store } = setUp();
  publish(queue, '1', '2');
  store.pageOut();
  const answers: (Delivery | null)[] = [];
  queue.get(false, (delivery) => answers.push(delivery));
  queue.get(true, (delivery) => answers.push(delivery));
  queue.get(false, (delivery) => answers.push(delivery));
  t.same(answers, []);
  store.answer(1);
  t.equal(answers.length, 1);
  store.answer(1);
  t.same(
    answers.map((delivery) => delivery && bodyText(delivery.message)),
    ['1', '2', null],
    'the third finds nothing left',
  );
  t.match(store.log.at(-1), 'remove 2 at 1');
});

t.test('a get that waits is answered when the queue is purged or deleted', async (t) => {
  for (const end of ['purge', 'close'] as const) {
    const { queue, store } = setUp();
    publish(queue, '1');
    store.pageOut();
    const answers: (Delivery | null)[] = [];
    queue.get(false, (delivery) => answers.push(delivery));
    queue[end]();
    t.same(answers, [null], end);
    t.equal(queue.messageCount, 0);
  }
});

t.test('a length limit drops the oldest from disk', async (t) => {
  const { queue, store, inbox } = setUp({ arguments: table({ 'x-max-length': { type: 'I', value: 2 } }) });
  publish(queue, '1', '2');
  store.pageOut();
  publish(queue, '3');
  t.equal(store.loads, 1, 'the oldest is read to be dropped');
  store.answer(1);
  t.equal(queue.messageCount, 2);
  queue.addConsumer(consumerOf(inbox));
  store.answer(1);
  t.same(inbox.texts, ['2', '3']);
});

t.test('a queue with consumers keeps what they get next, one without gives up all', async (t) => {
  const { queue, store, inbox } = setUp();
  const texts = Array.from({ length: 2000 }, (_, i) => String(i));
  publish(queue, ...texts);
  queue.addConsumer(consumerOf(inbox, { prefetch: 1 }));
  store.pageOut();
  t.equal(store.pagedCount, 2000 - 1 - 512);
  queue.removeConsumer(inbox.delivered[0].consumer);
  store.pageOut();
  t.equal(store.pagedCount, 1999);
  t.equal(queue.messageCount, 1999);
});

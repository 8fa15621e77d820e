// What a classic queue does, case by case; classic-queue-model.test.ts has the rest.
import t from 'tap';
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { BLOCKED_BY_OUTPUT } from '../../lib/core/consumer.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Queue, QueueSettings } from '../../lib/core/queue.ts';
import { bodyText, brokerError, consumerOf, Inbox, messageOf, queueSettings, TestClock } from './helper.ts';
import { queueContext } from './queue-helper.ts';

const CHUNK = { chunkBytes: 65_536 };

function setUp(settings: Partial<QueueSettings> = {}) {
  const clock = new TestClock();
  const memory = new MemoryAccount(2 ** 40, 2 ** 40);
  const unused: Queue[] = [];
  const context = queueContext(clock, { memory, queueUnused: (each) => unused.push(each) });
  const queue = new ClassicQueue(queueSettings(settings), context);
  return { clock, memory, queue, unused, inbox: new Inbox() };
}

t.test('a requeued message goes back to its place and is redelivered', async (t) => {
  const { queue, inbox } = setUp();
  for (const text of ['1', '2', '3', '4']) queue.publish(messageOf(text), null);
  const consumer = consumerOf(inbox, { prefetch: 3 });
  queue.addConsumer(consumer);
  queue.removeConsumer(consumer);
  const [first, second, third] = inbox.delivered;
  for (const { message, position } of [third, first]) queue.requeue(message, position);
  queue.acknowledge(second.message, second.position);
  const last = new Inbox();
  queue.addConsumer(consumerOf(last));
  t.same(last.texts, ['1', '3', '4']);
  t.same(
    last.delivered.map(({ redelivered }) => redelivered),
    [true, true, false],
  );
});

t.test('a message overtakes none that waits, even when a consumer just became ready', async (t) => {
  const { queue, inbox } = setUp();
  const consumer = consumerOf(inbox);
  queue.addConsumer(consumer);
  consumer.block(BLOCKED_BY_OUTPUT);
  queue.publish(messageOf('1'), null);
  consumer.unblock(BLOCKED_BY_OUTPUT);
  queue.publish(messageOf('2'), null);
  t.same(inbox.texts, []);
  queue.deliver();
  t.same(inbox.texts, ['1', '2']);
});

t.test('a no-ack delivery owes nothing', async (t) => {
  const { queue, inbox, memory } = setUp();
  queue.addConsumer(consumerOf(inbox, { noAck: true }));
  queue.publish(messageOf('1'), null);
  t.equal(queue.unacknowledgedCount, 0);
  t.equal(memory.usedBytes, 0);
});

t.test('an exclusive consumer is alone', async (t) => {
  const { queue, inbox } = setUp();
  const exclusive = consumerOf(inbox, { exclusive: true });
  const plain = consumerOf(inbox);
  queue.checkConsumer(exclusive);
  queue.addConsumer(exclusive);
  const refusal = brokerError(() => queue.checkConsumer(plain));
  t.match(refusal, { condition: 'ACCESS_REFUSED', message: "queue 'q' in vhost '/' in exclusive use" });
  queue.removeConsumer(exclusive);
  queue.addConsumer(plain);
  queue.checkConsumer(consumerOf(inbox));
  t.equal(brokerError(() => queue.checkConsumer(exclusive)).condition, 'ACCESS_REFUSED');
});

t.test('an auto-delete queue is unused when its last consumer leaves, and never before it had one', async (t) => {
  const { queue, unused, inbox } = setUp({ autoDelete: true });
  const [a, b] = [consumerOf(inbox), consumerOf(inbox)];
  queue.removeConsumer(a);
  t.same(unused, []);
  queue.addConsumer(a);
  queue.addConsumer(b);
  queue.removeConsumer(a);
  t.same(unused, []);
  queue.removeConsumer(b);
  t.equal(unused.length, 1);
});

t.test('a closed queue cancels its consumers and takes nothing back', async (t) => {
  const { queue, unused, inbox, memory } = setUp({ autoDelete: true });
  const consumer = consumerOf(inbox);
  queue.addConsumer(consumer);
  queue.publish(messageOf('1'), null);
  queue.close();
  t.same(inbox.cancelled, [consumer]);
  t.equal(consumer.host, null);
  queue.removeConsumer(consumer);
  t.same(unused, [], 'who is removed already leaves nothing behind');
  const [{ message, position }] = inbox.delivered;
  queue.requeue(message, position);
  t.equal(queue.messageCount, 0);
  t.equal(memory.usedBytes, 0);
});

t.test('what waits at the end of the turn lets go of the chunk that it came in', async (t) => {
  const { queue, clock } = setUp();
  const messages = ['1', '2'].map((text) => messageOf(text, CHUNK));
  for (const message of messages) queue.publish(message, null);
  t.equal(clock.pendingTasks, 1, 'one task a turn');
  queue.get(false, () => {});
  clock.endTurn();
  t.ok(messages[0].bodyBuffer.length > 65_536, 'what left before is not copied');
  t.ok(messages[1].bodyBuffer.length <= 16_384);
  t.equal(bodyText(messages[1]), '2');
  queue.publish(messageOf('3', CHUNK), null);
  t.equal(clock.pendingTasks, 1, 'and again in the next turn');
});

t.test('what comes back to the queue lets go of its chunk, too', async (t) => {
  const { queue, clock, inbox } = setUp();
  const consumer = consumerOf(inbox);
  queue.addConsumer(consumer);
  const message = messageOf('1', CHUNK);
  queue.publish(message, null);
  queue.removeConsumer(consumer);
  queue.requeue(message, inbox.delivered[0].position);
  clock.endTurn();
  t.ok(message.bodyBuffer.length <= 16_384, 'it may wait here for days');
  t.equal(bodyText(message), '1');
});

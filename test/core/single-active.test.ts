// A single active consumer: who it is, who takes over, and what else the queue refuses.
import t from 'tap';
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { BLOCKED_BY_OUTPUT } from '../../lib/core/consumer.ts';
import { SingleActive } from '../../lib/core/single-active.ts';
import { brokerError, consumerOf, Inbox, messageOf, queueSettings, TestClock, table } from './helper.ts';
import { queueContext } from './queue-helper.ts';

const inbox = new Inbox();

t.test('the first consumer is active, whatever the priorities of others', async (t) => {
  const group = new SingleActive();
  t.equal(group.next(), null);
  t.equal(group.first, undefined);
  const [low, high] = [consumerOf(inbox), consumerOf(inbox, { priority: 5 })];
  group.add(low);
  group.add(high);
  t.equal(group.size, 2);
  t.equal(group.ready, 1);
  t.same([group.next(), group.next()], [low, low]);
  t.equal(group.first, low);
  t.same([...group], [low, high]);
});

t.test('when it leaves, the one with the highest priority takes over that has waited longest', async (t) => {
  const group = new SingleActive();
  const consumers = [0, 1, 5, 5, 1].map((priority) => consumerOf(inbox, { priority }));
  for (const consumer of consumers) group.add(consumer);
  const active = consumers.map(() => {
    const next = group.next();
    if (next !== null) t.ok(group.remove(next));
    return next;
  });
  t.same(
    active.map((consumer) => consumer && consumers.indexOf(consumer)),
    [0, 2, 3, 1, 4],
  );
  t.equal(group.size, 0);
  t.equal(group.next(), null);
});

t.test('in a quorum queue who has waited longest takes over, whatever the priorities', async (t) => {
  const group = new SingleActive(false);
  const [active, low, high] = [0, 1, 5].map((priority) => consumerOf(inbox, { priority }));
  for (const consumer of [active, low, high]) group.add(consumer);
  group.remove(active);
  t.equal(group.next(), low);
});

t.test('when one leaves that waits, nothing changes', async (t) => {
  const group = new SingleActive();
  const [active, waiting] = [consumerOf(inbox), consumerOf(inbox)];
  group.add(active);
  t.notOk(group.remove(waiting), 'it is not here');
  group.add(waiting);
  t.ok(group.remove(waiting));
  t.equal(group.next(), active);
});

t.test('while the active consumer is blocked, nobody gets anything', async (t) => {
  const group = new SingleActive();
  const [active, waiting] = [consumerOf(inbox), consumerOf(inbox)];
  group.add(active);
  group.add(waiting);
  active.block(BLOCKED_BY_OUTPUT);
  t.equal(group.ready, 0);
  t.equal(group.next(), null);
  active.unblock(BLOCKED_BY_OUTPUT);
  t.equal(group.next(), active);
});

function setUp() {
  const clock = new TestClock();
  const args = table({ 'x-single-active-consumer': { type: 't', value: true } });
  const queue = new ClassicQueue(queueSettings({ arguments: args }), queueContext(clock));
  return { clock, queue };
}

t.test('what the active consumer gave back goes to the one that takes over, in order', async (t) => {
  const { clock, queue } = setUp();
  const [first, second] = [new Inbox(), new Inbox()];
  const active = consumerOf(first, { prefetch: 2 });
  queue.addConsumer(active);
  queue.addConsumer(consumerOf(second));
  for (const text of ['1', '2', '3']) queue.publish(messageOf(text), null);
  t.same([first.texts, second.texts], [['1', '2'], []]);
  queue.removeConsumer(active);
  t.same(second.texts, [], 'not before what the other one holds is back, which comes in the same turn');
  for (const { message, position } of first.delivered) queue.requeue(message, position);
  clock.endTurn();
  t.same(second.texts, ['1', '2', '3']);
  queue.publish(messageOf('4'), null);
  t.same(second.texts, ['1', '2', '3', '4']);
});

t.test('an exclusive consumer is refused, even when there is no other', async (t) => {
  const { queue } = setUp();
  const refusal = brokerError(() => queue.checkConsumer(consumerOf(inbox, { exclusive: true })));
  t.match(refusal, { condition: 'ACCESS_REFUSED', message: "queue 'q' in vhost '/' in exclusive use" });
  for (let i = 0; i < 2; i++) {
    const consumer = consumerOf(inbox);
    queue.checkConsumer(consumer);
    queue.addConsumer(consumer);
  }
  t.equal(queue.consumerCount, 2);
});

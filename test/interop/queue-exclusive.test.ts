// Exclusive queues: other connections are locked out, and the queue goes with its connection.
import type { Channel } from 'amqplib';
import t from 'tap';
import { expectChannelError, type MethodName, notFound, openTopology, type TopologySession } from '../helper/amqp.ts';
import { lockedText, send } from '../helper/messages.ts';

/** A queue that is exclusive to the session's connection, bound to amq.direct, and another connection. */
async function lockedQueue(session: TopologySession, durable: boolean) {
  const queue = session.name();
  await session.channel.assertQueue(queue, { exclusive: true, durable });
  await session.channel.bindQueue(queue, 'amq.direct', queue);
  return { queue, other: await session.connectAgain() };
}

const refused: [what: string, method: MethodName, operation: (channel: Channel, queue: string) => unknown][] = [
  ['assertQueue, exclusive', 'queue.declare', (channel, queue) => channel.assertQueue(queue, { exclusive: true })],
  ['assertQueue, not exclusive', 'queue.declare', (channel, queue) => channel.assertQueue(queue)],
  ['checkQueue', 'queue.declare', (channel, queue) => channel.checkQueue(queue)],
  ['bindQueue', 'queue.bind', (channel, queue) => channel.bindQueue(queue, 'amq.direct', 'k')],
  ['unbindQueue', 'queue.unbind', (channel, queue) => channel.unbindQueue(queue, 'amq.direct', queue)],
  ['purgeQueue', 'queue.purge', (channel, queue) => channel.purgeQueue(queue)],
  ['deleteQueue', 'queue.delete', (channel, queue) => channel.deleteQueue(queue)],
  ['deleteQueue if unused', 'queue.delete', (channel, queue) => channel.deleteQueue(queue, { ifUnused: true })],
  ['delete without waiting', 'queue.delete', (channel, queue) => send(channel, 'QueueDelete', { queue, nowait: true })],
  ['consume', 'basic.consume', (channel, queue) => channel.consume(queue, () => undefined)],
  ['get', 'basic.get', (channel, queue) => channel.get(queue)],
];

for (const durable of [true, false]) {
  for (const [what, method, operation] of refused) {
    t.test(
      `${what} from another connection is locked out of a ${durable ? 'durable' : 'transient'} queue`,
      async (t) => {
        const session = await openTopology(t);
        const { queue, other } = await lockedQueue(session, durable);
        const expected = { code: 405, text: lockedText(queue) };
        await expectChannelError(t, other, (ch) => operation(ch, queue), method, expected);
        t.match(await session.channel.checkQueue(queue), { queue });
      },
    );
  }
}

t.test('a missing exchange is named before the lock', async (t) => {
  const session = await openTopology(t);
  const { queue, other } = await lockedQueue(session, false);
  const exchange = session.name();
  await expectChannelError(
    t,
    other,
    (ch) => ch.bindQueue(queue, exchange, 'k'),
    'queue.bind',
    notFound('exchange', exchange),
  );
});

t.test('unbinding from another connection what is not bound is no error', async (t) => {
  const session = await openTopology(t);
  const { queue, other } = await lockedQueue(session, false);
  const channel = await other.createChannel();
  t.same(await channel.unbindQueue(queue, 'amq.direct', 'not-there'), {});
  t.same(await channel.unbindQueue(queue, session.name(), 'k'), {});
});

t.test('any connection may publish to it', async (t) => {
  const session = await openTopology(t);
  const { queue, other } = await lockedQueue(session, false);
  const publisher = await other.createConfirmChannel();
  publisher.sendToQueue(queue, Buffer.from(''));
  publisher.publish('amq.direct', queue, Buffer.from(''));
  await publisher.waitForConfirms();
  t.match(await session.channel.checkQueue(queue), { messageCount: 2 });
});

t.test('other channels of its connection may do everything', async (t) => {
  const session = await openTopology(t);
  const { queue } = await lockedQueue(session, false);
  const sibling = await session.connection.createChannel();
  t.match(await sibling.assertQueue(queue, { exclusive: true, durable: false }), { queue });
  t.same(await sibling.bindQueue(queue, 'amq.fanout', ''), {});
  t.type((await sibling.consume(queue, () => undefined)).consumerTag, 'string');
  t.match(await sibling.purgeQueue(queue), { messageCount: 0 });
  t.match(await sibling.deleteQueue(queue), { messageCount: 0 });
});

t.test('it outlives the channel that declared it', async (t) => {
  const session = await openTopology(t);
  const { queue } = await lockedQueue(session, false);
  await session.channel.close();
  t.match(await (await session.connection.createChannel()).checkQueue(queue), { queue });
});

for (const durable of [true, false]) {
  t.test(
    `a ${durable ? 'durable' : 'transient'} one is gone once its connection is closed, and its name is free`,
    async (t) => {
      const session = await openTopology(t);
      const { queue, other } = await lockedQueue(session, durable);
      await session.connection.close();
      await expectChannelError(t, other, (ch) => ch.checkQueue(queue), 'queue.declare', notFound('queue', queue));
      t.match(await (await other.createChannel()).assertQueue(queue, { durable: false }), { queue });
    },
  );
}

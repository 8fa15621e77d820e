// queue.delete, queue.purge and auto-delete: when a queue goes, and what is counted.
import type { Channel } from 'amqplib';
import t from 'tap';
import {
  expectChannelError,
  notFound,
  openTopology,
  preconditionFailed,
  type TopologySession,
} from '../helper/amqp.ts';
import { send } from '../helper/messages.ts';

/** A queue with this many ready messages. */
async function filledQueue({ connection, channel, name }: TopologySession, messages = 3, options = {}) {
  const queue = name();
  await channel.assertQueue(queue, { durable: false, ...options });
  const publisher = await connection.createConfirmChannel();
  for (let i = 0; i < messages; i++) publisher.sendToQueue(queue, Buffer.from(`${i}`));
  await publisher.waitForConfirms();
  return queue;
}

async function expectGone(t: Parameters<typeof expectChannelError>[0], { connection }: TopologySession, queue: string) {
  await expectChannelError(t, connection, (ch) => ch.checkQueue(queue), 'queue.declare', notFound('queue', queue));
}

t.test('deleteQueue deletes and counts the ready messages', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 3);
  await session.channel.get(queue);
  t.same(await session.channel.deleteQueue(queue), { messageCount: 2 });
  await expectGone(t, session, queue);
});

t.test('deleting a queue that is not there is no error', async (t) => {
  const { channel, name } = await openTopology(t);
  t.same(await channel.deleteQueue(name()), { messageCount: 0 });
  t.same(await channel.deleteQueue(name(), { ifUnused: true, ifEmpty: true }), { messageCount: 0 });
  t.same(await channel.deleteQueue('amq.not-there'), { messageCount: 0 });
});

t.test('if-unused and if-empty delete a queue that is both', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 0);
  t.same(await session.channel.deleteQueue(queue, { ifUnused: true, ifEmpty: true }), { messageCount: 0 });
  await expectGone(t, session, queue);
});

t.test('if-unused does not delete a queue with a consumer', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 0);
  await session.channel.consume(queue, () => undefined);
  const expected = preconditionFailed(`queue '${queue}' in vhost '/' in use`);
  const remove = { ifUnused: true };
  await expectChannelError(t, session.connection, (ch) => ch.deleteQueue(queue, remove), 'queue.delete', expected);
  t.match(await session.channel.checkQueue(queue), { consumerCount: 1 });
});

t.test('if-empty does not delete a queue with ready messages', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 2);
  const expected = preconditionFailed(`queue '${queue}' in vhost '/' not empty`);
  const remove = { ifEmpty: true };
  await expectChannelError(t, session.connection, (ch) => ch.deleteQueue(queue, remove), 'queue.delete', expected);
  t.match(await session.channel.checkQueue(queue), { messageCount: 2 });
});

t.test('if-empty does not count unacknowledged messages', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 1);
  await session.channel.get(queue);
  t.same(await session.channel.deleteQueue(queue, { ifEmpty: true }), { messageCount: 0 });
});

t.test('not empty is told before in use', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 2);
  await session.channel.prefetch(1);
  await session.channel.consume(queue, () => undefined);
  const expected = preconditionFailed(`queue '${queue}' in vhost '/' not empty`);
  const remove = { ifUnused: true, ifEmpty: true };
  await expectChannelError(t, session.connection, (ch) => ch.deleteQueue(queue, remove), 'queue.delete', expected);
});

t.test('delete without waiting for the reply', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 1);
  const remove = (channel: Channel) => {
    send(channel, 'QueueDelete', { queue, nowait: true });
    return channel.checkQueue(queue);
  };
  await expectChannelError(t, session.connection, remove, 'queue.declare', notFound('queue', queue));
});

t.test('delete without waiting for the reply: an error closes the channel all the same', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 1);
  const fields = { queue, ifEmpty: true, nowait: true };
  const expected = preconditionFailed(`queue '${queue}' in vhost '/' not empty`);
  await expectChannelError(t, session.connection, (ch) => send(ch, 'QueueDelete', fields), 'queue.delete', expected);
});

t.test('consumers of a deleted queue are cancelled', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 0);
  const cancelled = new Promise((resolve) => session.channel.consume(queue, resolve));
  await (await session.connection.createChannel()).deleteQueue(queue);
  t.equal(await cancelled, null);
});

t.test('purgeQueue drops and counts the ready messages', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 3);
  t.same(await session.channel.purgeQueue(queue), { messageCount: 3 });
  t.same(await session.channel.purgeQueue(queue), { messageCount: 0 });
});

t.test('purgeQueue leaves unacknowledged messages: they can come back', async (t) => {
  const session = await openTopology(t);
  const { channel } = session;
  const queue = await filledQueue(session, 3);
  const message = await channel.get(queue);
  t.same(await channel.purgeQueue(queue), { messageCount: 2 });
  if (message !== false) channel.nack(message);
  t.match(await channel.get(queue), { content: Buffer.from('0'), fields: { redelivered: true, messageCount: 0 } });
});

t.test('purgeQueue of a missing queue is 404', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  await expectChannelError(t, connection, (ch) => ch.purgeQueue(queue), 'queue.purge', notFound('queue', queue));
});

t.test('purge without waiting for the reply', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 3);
  send(session.channel, 'QueuePurge', { queue, nowait: true });
  t.match(await session.channel.checkQueue(queue), { messageCount: 0 });
});

t.test('an auto-delete queue that was never consumed from stays, even when its connection is closed', async (t) => {
  const session = await openTopology(t);
  const other = await session.connectAgain();
  const queue = session.name();
  const channel = await other.createChannel();
  await channel.assertQueue(queue, { autoDelete: true });
  await channel.get(queue);
  await other.close();
  t.match(await session.channel.checkQueue(queue), { queue });
});

t.test(
  'an auto-delete queue goes when its last consumer is cancelled, not before, and with its messages',
  async (t) => {
    const session = await openTopology(t);
    const { channel } = session;
    const queue = await filledQueue(session, 3, { autoDelete: true });
    await channel.prefetch(1);
    const first = await channel.consume(queue, () => undefined);
    const second = await channel.consume(queue, () => undefined);
    await channel.cancel(first.consumerTag);
    t.match(await channel.checkQueue(queue), { consumerCount: 1 });
    await channel.cancel(second.consumerTag);
    await expectGone(t, session, queue);
  },
);

t.test('an auto-delete queue goes when the channel of its last consumer is closed', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 0, { autoDelete: true });
  const consuming = await session.connection.createChannel();
  await consuming.consume(queue, () => undefined);
  await consuming.close();
  await expectGone(t, session, queue);
});

t.test('an auto-delete queue goes when an error closes the channel of its last consumer', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 0, { autoDelete: true });
  const missing = session.name();
  const operation = async (channel: Channel) => {
    await channel.consume(queue, () => undefined);
    await channel.checkQueue(missing);
  };
  await expectChannelError(t, session.connection, operation, 'queue.declare', notFound('queue', missing));
  await expectGone(t, session, queue);
});

t.test('an auto-delete queue goes when the connection of its last consumer is closed', async (t) => {
  const session = await openTopology(t);
  const queue = await filledQueue(session, 0, { autoDelete: true });
  const other = await session.connectAgain();
  await (await other.createChannel()).consume(queue, () => undefined);
  await other.close();
  await expectGone(t, session, queue);
});

// A prefetch limit of a channel as a whole, which quorum queues don't know. See https://www.rabbitmq.com/docs/quorum-queues#global-qos
import type { Channel, ChannelModel } from 'amqplib';
import t, { type Test } from 'tap';
import { startTarget, uniqueName } from '../helper/broker.ts';
import { connectionClose, errorOf, openConnection, present, publish, quiet, subscribe } from '../helper/messages.ts';

interface Session {
  readonly connection: ChannelModel;
  readonly channel: Channel;
  /** A quorum queue with one message; deleted when the test ends, as it can't be exclusive. */
  readonly queue: string;
}

async function openQuorum(t: Test): Promise<Session> {
  const target = await startTarget(t);
  const publisher = await (await openConnection(t, target)).createConfirmChannel();
  const queue = uniqueName('quorum');
  await publisher.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
  t.teardown(async () => void (await publisher.deleteQueue(queue)));
  await publish(publisher, queue, ['0']);
  const connection = await openConnection(t, target);
  return { connection, channel: quiet(await connection.createChannel()), queue };
}

async function expectRefused(t: Test, connection: ChannelModel, run: () => unknown, queue: string): Promise<void> {
  const failed = errorOf(connection);
  void Promise.resolve(run()).catch(() => undefined); // rejected as well, once the connection is closed
  const text = `NOT_IMPLEMENTED - queue '${queue}' in vhost '/' does not support global qos`;
  t.match(await failed, connectionClose(540, text));
}

t.test('a consumer of a quorum queue is refused on a channel with a global limit', async (t) => {
  const { connection, channel, queue } = await openQuorum(t);
  await channel.prefetch(10, true);
  await expectRefused(t, connection, () => subscribe(channel, queue), queue);
});

t.test('and so is one without acknowledgements', async (t) => {
  const { connection, channel, queue } = await openQuorum(t);
  await channel.prefetch(10, true);
  await expectRefused(t, connection, () => subscribe(channel, queue, { noAck: true }), queue);
});

t.test('a global limit of 0 is none', async (t) => {
  const { channel, queue } = await openQuorum(t);
  await channel.prefetch(10, true);
  await channel.prefetch(0, true);
  await (await subscribe(channel, queue)).inbox.next();
});

t.test('a limit of each consumer is fine', async (t) => {
  const { channel, queue } = await openQuorum(t);
  await channel.prefetch(1, false);
  await (await subscribe(channel, queue)).inbox.next();
});

t.test('basic.get is not limited, nor refused', async (t) => {
  const { channel, queue } = await openQuorum(t);
  await channel.prefetch(10, true);
  present(await channel.get(queue));
});

t.test('a global limit that comes after the consumer is accepted', async (t) => {
  const { channel, queue } = await openQuorum(t);
  const { inbox } = await subscribe(channel, queue);
  await channel.prefetch(10, true);
  await inbox.next();
});

t.test('a classic queue knows the limit', async (t) => {
  const { channel } = await openQuorum(t);
  const { queue: classic } = await channel.assertQueue('', { exclusive: true });
  await channel.prefetch(10, true);
  await subscribe(channel, classic);
});

t.test('a consumer tag that is in use is told first', async (t) => {
  const { connection, channel, queue } = await openQuorum(t);
  const { queue: classic } = await channel.assertQueue('', { exclusive: true });
  await channel.prefetch(10, true);
  const { consumerTag } = await subscribe(channel, classic);
  const failed = errorOf(connection);
  channel.consume(queue, () => undefined, { consumerTag }).catch(() => undefined); // rejected as well
  t.match(await failed, connectionClose(530, `NOT_ALLOWED - attempt to reuse consumer tag '${consumerTag}'`));
});

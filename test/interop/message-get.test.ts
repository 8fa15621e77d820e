// basic.get: one message at a time, its counts and its flags.
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  channelClose,
  lockedText,
  openConnection,
  openSession,
  present,
  publish,
  quiet,
  readyCount,
  subscribe,
  text,
} from '../helper/messages.ts';

t.test('get on an empty queue is false', async (t) => {
  const { channel, queue } = await openSession(t);
  t.equal(await channel.get(queue), false);
});

t.test('get gives the first message and the number of those behind it', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['1', '2', '3']);
  const message = present(await channel.get(queue));
  t.equal(text(message), '1');
  t.same(message.fields, { deliveryTag: 1, redelivered: false, exchange: '', routingKey: queue, messageCount: 2 });
  t.equal(present(await channel.get(queue)).fields.messageCount, 1);
});

t.test(
  'get without noAck leaves the message unacknowledged: closing the channel brings it back, redelivered',
  async (t) => {
    const { channel, publisher, queue } = await openSession(t);
    await publish(publisher, queue, ['1', '2']);
    await channel.get(queue);
    t.equal(await readyCount(publisher, queue), 1);
    await channel.close();
    const message = present(await publisher.get(queue));
    t.equal(text(message), '1');
    t.equal(message.fields.redelivered, true);
    t.equal(present(await publisher.get(queue)).fields.redelivered, false);
  },
);

t.test('get with noAck settles the message at once', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['1']);
  await channel.get(queue, { noAck: true });
  await channel.close();
  t.equal(await publisher.get(queue), false);
});

t.test('delivery tags count deliveries and gets of the channel together', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const other = (await channel.assertQueue(uniqueName(), { exclusive: true })).queue;
  const { inbox } = await subscribe(channel, other, { noAck: true });
  await publish(publisher, queue, ['1', '2']);
  t.equal(present(await channel.get(queue)).fields.deliveryTag, 1);
  await publish(publisher, other, ['3']);
  t.equal((await inbox.next()).fields.deliveryTag, 2);
  t.equal(present(await channel.get(queue, { noAck: true })).fields.deliveryTag, 3);
});

t.test('get takes what a consumer at its prefetch limit left, and is not bound by prefetch itself', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  await channel.prefetch(1, true);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3']);
  t.equal(text(await inbox.next()), '1');
  t.equal(text(present(await channel.get(queue))), '2');
  t.equal(text(present(await channel.get(queue))), '3');
});

t.test('get with an empty name means the queue last declared on the channel', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await publish(publisher, queue, ['1']);
  t.equal(text(present(await channel.get(''))), '1');
});

t.test('get with an empty name and no queue declared before closes the channel with 404', async (t) => {
  const { channel } = await openSession(t);
  await t.rejects(channel.get(''), channelClose(404, 'NOT_FOUND - no previously declared queue', 60, 70));
});

t.test('get from a missing queue closes the channel with 404', async (t) => {
  const { channel } = await openSession(t);
  const name = uniqueName();
  await t.rejects(channel.get(name), channelClose(404, `NOT_FOUND - no queue '${name}' in vhost '/'`, 60, 70));
});

t.test("get from another connection's exclusive queue closes the channel with 405", async (t) => {
  const { target, queue } = await openSession(t);
  const stranger = quiet(await (await openConnection(t, target)).createChannel());
  await t.rejects(stranger.get(queue), channelClose(405, lockedText(queue), 60, 70));
});

t.test('purge and delete count ready messages only', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['1', '2', '3']);
  await channel.get(queue);
  t.same(await channel.purgeQueue(queue), { messageCount: 2 });
  await publish(publisher, queue, ['4', '5', '6']);
  await channel.get(queue);
  t.same(await channel.deleteQueue(queue), { messageCount: 2 });
});

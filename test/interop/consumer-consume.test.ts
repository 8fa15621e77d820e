// basic.consume: tags, options, exclusive use, refusals.
import type { Socket } from 'node:net';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  channelClose,
  connectionClose,
  errorOf,
  lockedText,
  openConnection,
  openSession,
  publish,
  quiet,
  readyCount,
  send,
  sharedQueue,
  subscribe,
  text,
  texts,
} from '../helper/messages.ts';

function inUse(queue: string) {
  return channelClose(403, `ACCESS_REFUSED - queue '${queue}' in vhost '/' in exclusive use`, 60, 20);
}

t.test('a consumer gets what was there before and what comes after, in order', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['1', '2']);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['3']);
  const messages = await inbox.take(3);
  t.same(texts(messages), ['1', '2', '3']);
  t.same(
    messages.map((message) => message.fields.deliveryTag),
    [1, 2, 3],
  );
});

t.test('the delivery event sees every delivery', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const delivered = new Promise<string>((resolve) => channel.on('delivery', (message) => resolve(text(message))));
  await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['1']);
  t.equal(await delivered, '1');
});

t.test('the server makes up a tag when none is given', async (t) => {
  const { channel, queue } = await openSession(t);
  const one = await subscribe(channel, queue);
  const two = await subscribe(channel, queue);
  t.match(one.consumerTag, /^amq\.ctag-[A-Za-z0-9_-]{22}$/);
  t.not(one.consumerTag, two.consumerTag);
});

t.test('a given tag is kept and stands in the deliveries', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { consumerTag, inbox } = await subscribe(channel, queue, { consumerTag: 'my tag' });
  t.equal(consumerTag, 'my tag');
  await publish(publisher, queue, ['1']);
  t.equal((await inbox.next()).fields.consumerTag, 'my tag');
});

t.test('a tag used twice on a channel closes the connection with 530', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  await subscribe(channel, queue, { consumerTag: 'twice' });
  const error = errorOf(connection);
  await t.rejects(subscribe(channel, queue, { consumerTag: 'twice' }));
  t.match(await error, connectionClose(530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'"));
});

t.test('the same tag on two channels is fine', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  await subscribe(channel, queue, { consumerTag: 'shared' });
  const other = await connection.createChannel();
  t.equal((await subscribe(other, queue, { consumerTag: 'shared' })).consumerTag, 'shared');
});

t.test('noAck deliveries are settled when sent', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['1', '2']);
  await inbox.take(2);
  await channel.close();
  t.equal(await publisher.get(queue), false);
});

t.test('noLocal is accepted and changes nothing, as in RabbitMQ', async (t) => {
  const { channel, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { noLocal: true, noAck: true });
  channel.sendToQueue(queue, Buffer.from('mine'));
  t.equal(text(await inbox.next()), 'mine');
});

t.test('arguments that mean nothing to the broker are accepted', async (t) => {
  const { channel, queue } = await openSession(t);
  await t.resolves(subscribe(channel, queue, { arguments: { 'x-mine': 'anything', other: [1, { a: 2 }] } }));
});

t.test('an exclusive consumer refuses every other one with 403', async (t) => {
  const { target, connection, channel } = await openSession(t);
  const queue = await sharedQueue(t, target);
  await subscribe(channel, queue, { exclusive: true });
  const sameConnection = quiet(await connection.createChannel());
  await t.rejects(subscribe(sameConnection, queue), inUse(queue));
  const stranger = quiet(await (await openConnection(t, target)).createChannel());
  await t.rejects(subscribe(stranger, queue), inUse(queue));
  await t.rejects(subscribe(channel, queue), inUse(queue), 'its own channel too');
});

t.test('an exclusive consumer is refused with 403 where there is one already', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  await subscribe(channel, queue);
  const other = quiet(await connection.createChannel());
  await t.rejects(subscribe(other, queue, { exclusive: true }), inUse(queue));
});

t.test('exclusive use ends with the consumer', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  const { consumerTag } = await subscribe(channel, queue, { exclusive: true });
  await channel.cancel(consumerTag);
  const other = await connection.createChannel();
  await t.resolves(subscribe(other, queue, { exclusive: true }));
  await other.close();
  await t.resolves(subscribe(channel, queue, { exclusive: true }));
});

t.test('an empty queue name means the queue last declared on the channel', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const { inbox } = await subscribe(channel, '', { noAck: true });
  await publish(publisher, queue, ['1']);
  t.equal(text(await inbox.next()), '1');
});

t.test('an empty queue name with none declared closes the channel with 404', async (t) => {
  const { channel } = await openSession(t);
  await t.rejects(subscribe(channel, ''), channelClose(404, 'NOT_FOUND - no previously declared queue', 60, 20));
});

t.test('a missing queue closes the channel with 404', async (t) => {
  const { channel } = await openSession(t);
  const name = uniqueName();
  await t.rejects(subscribe(channel, name), channelClose(404, `NOT_FOUND - no queue '${name}' in vhost '/'`, 60, 20));
});

t.test("another connection's exclusive queue closes the channel with 405", async (t) => {
  const { target, queue } = await openSession(t);
  const stranger = quiet(await (await openConnection(t, target)).createChannel());
  await t.rejects(subscribe(stranger, queue), channelClose(405, lockedText(queue), 60, 20));
});

t.test('consume with no-wait delivers without consume-ok, and errors all the same', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const delivered = new Promise<string>((resolve) => {
    channel.removeAllListeners('delivery'); // amqplib itself knows no consumer without consume-ok
    channel.on('delivery', (message) => resolve(`${message.fields.consumerTag}: ${text(message)}`));
  });
  const fields = { queue, consumerTag: 'silent', nowait: true, noAck: true, arguments: {} };
  send(channel, 'BasicConsume', fields);
  await publish(publisher, queue, ['1']);
  t.equal(await delivered, 'silent: 1');
  const error = errorOf(channel);
  const name = uniqueName();
  send(channel, 'BasicConsume', { ...fields, consumerTag: '', queue: name });
  t.match(await error, channelClose(404, `NOT_FOUND - no queue '${name}' in vhost '/'`, 60, 20));
});

t.test('consumers are counted by the queue, on all channels', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  await subscribe(channel, queue);
  await subscribe(await connection.createChannel(), queue);
  t.equal((await publisher.checkQueue(queue)).consumerCount, 2);
  await channel.close();
  t.equal((await publisher.checkQueue(queue)).consumerCount, 1);
});

t.test('what a lost connection had outstanding goes to the other consumers, in order', async (t) => {
  const { target, channel, publisher } = await openSession(t);
  const queue = await sharedQueue(t, target);
  const lost = await openConnection(t, target);
  const { inbox: lostInbox } = await subscribe(await lost.createChannel(), queue);
  await publish(publisher, queue, ['1', '2', '3']);
  await lostInbox.take(3);
  t.equal(await readyCount(publisher, queue), 0);
  const { inbox } = await subscribe(channel, queue);
  const socket = (lost.connection as unknown as { stream: Socket }).stream;
  socket.destroy(new Error('lost')); // no closing handshake
  const messages = await inbox.take(3);
  t.same(texts(messages), ['1', '2', '3']);
  t.ok(messages.every((message) => message.fields.redelivered));
});

// Direct reply-to: replies without a queue, through the pseudo-queue amq.rabbitmq.reply-to.
import { once } from 'node:events';
import type { Channel, ConfirmChannel, Message } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  channelClose,
  connectionClose,
  errorOf,
  openSession,
  present,
  quiet,
  subscribe,
  text,
} from '../helper/messages.ts';

const pseudoQueue = 'amq.rabbitmq.reply-to';
const body = Buffer.from('hare');
const noConsumer = channelClose(406, 'PRECONDITION_FAILED - fast reply consumer does not exist', 60, 40);

/** The address that a server finds in the request. */
async function request(channel: Channel, server: ConfirmChannel, queue: string): Promise<string> {
  const { inbox } = await subscribe(server, queue, { noAck: true, consumerTag: uniqueName() });
  channel.sendToQueue(queue, Buffer.from('request'), { replyTo: pseudoQueue });
  const message = await inbox.next();
  await server.cancel(message.fields.consumerTag);
  return message.properties.replyTo;
}

t.test('a request carries an address, and a reply to it arrives as published', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox, consumerTag } = await subscribe(channel, pseudoQueue, { noAck: true });
  t.match(consumerTag, /^amq\.ctag-/);
  const address = await request(channel, publisher, queue);
  t.match(address, /^amq\.rabbitmq\.reply-to\.[A-Za-z0-9+/=]+\.[A-Za-z0-9+/=]+$/);
  publisher.sendToQueue(address, body, { correlationId: '7', headers: { a: 1 } });
  const reply = await inbox.next();
  t.same(reply.fields, { consumerTag, deliveryTag: 1, redelivered: false, exchange: '', routingKey: address });
  t.equal(text(reply), 'hare');
  t.match(reply.properties, { correlationId: '7', headers: { a: 1 } });
});

t.test('several replies to one address arrive in order', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, pseudoQueue, { noAck: true });
  const address = await request(channel, publisher, queue);
  for (const number of ['1', '2', '3']) publisher.sendToQueue(address, Buffer.from(number));
  t.same((await inbox.take(3)).map(text), ['1', '2', '3']);
});

t.test('the address stays the same while the consumer lives; a new consumer has another', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { consumerTag } = await subscribe(channel, pseudoQueue, { noAck: true });
  const first = await request(channel, publisher, queue);
  t.equal(await request(channel, publisher, queue), first);
  await channel.cancel(consumerTag);
  const { inbox } = await subscribe(channel, pseudoQueue, { noAck: true });
  const second = await request(channel, publisher, queue);
  t.not(second, first);
  publisher.sendToQueue(first, Buffer.from('to the old'));
  publisher.sendToQueue(second, Buffer.from('to the new'));
  t.equal(text(await inbox.next()), 'to the new');
});

t.test('each channel has its own address', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  const other = await connection.createChannel();
  await subscribe(channel, pseudoQueue, { noAck: true });
  const { inbox } = await subscribe(other, pseudoQueue, { noAck: true });
  const first = await request(channel, publisher, queue);
  const second = await request(other, publisher, queue);
  t.not(first, second);
  publisher.sendToQueue(second, body);
  t.equal((await inbox.next()).fields.routingKey, second);
});

t.test('any other reply-to passes untouched', async (t) => {
  const { publisher, queue } = await openSession(t);
  for (const replyTo of ['somewhere', `${pseudoQueue}.made-up`]) {
    publisher.sendToQueue(queue, body, { replyTo });
    await publisher.waitForConfirms();
    t.equal(present(await publisher.get(queue)).properties.replyTo, replyTo);
  }
});

t.test('consuming without noAck closes the channel with 406', async (t) => {
  const { channel } = await openSession(t);
  const expected = channelClose(406, 'PRECONDITION_FAILED - reply consumer cannot acknowledge', 60, 20);
  await t.rejects(subscribe(channel, pseudoQueue), expected);
});

t.test('a second reply consumer on the channel closes it with 406', async (t) => {
  const { channel } = await openSession(t);
  await subscribe(channel, pseudoQueue, { noAck: true });
  const expected = channelClose(406, 'PRECONDITION_FAILED - reply consumer already set', 60, 20);
  await t.rejects(subscribe(channel, pseudoQueue, { noAck: true }), expected);
});

t.test('its tag may not be one in use', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  await subscribe(channel, queue, { consumerTag: 'taken' });
  const error = errorOf(connection);
  await t.rejects(subscribe(channel, pseudoQueue, { noAck: true, consumerTag: 'taken' }));
  t.match(await error, connectionClose(530, "NOT_ALLOWED - attempt to reuse consumer tag 'taken'"));
});

t.test('a request before consuming closes the channel with 406', async (t) => {
  const { channel, queue } = await openSession(t);
  const error = errorOf(channel);
  channel.sendToQueue(queue, body, { replyTo: pseudoQueue });
  t.match(await error, noConsumer);
});

t.test('a request after cancelling closes the channel with 406', async (t) => {
  const { channel, queue } = await openSession(t);
  const { consumerTag } = await subscribe(channel, pseudoQueue, { noAck: true });
  t.same(await channel.cancel(consumerTag), { consumerTag });
  const error = errorOf(channel);
  channel.sendToQueue(queue, body, { replyTo: pseudoQueue });
  t.match(await error, noConsumer);
});

t.test('declaring the pseudo-queue is answered as if it were there', async (t) => {
  const { channel } = await openSession(t);
  const expected = { queue: pseudoQueue, messageCount: 0, consumerCount: 1 };
  t.same(await channel.checkQueue(pseudoQueue), expected);
  t.same(await channel.assertQueue(pseudoQueue), expected);
});

t.test('a passive declare tells whether the client behind an address lives', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await subscribe(channel, pseudoQueue, { noAck: true });
  const address = await request(channel, publisher, queue);
  t.same(await publisher.checkQueue(address), { queue: address, messageCount: 0, consumerCount: 1 });
  await channel.close();
  const expected = channelClose(404, `NOT_FOUND - no queue '${address}' in vhost '/'`, 50, 10);
  await t.rejects(publisher.checkQueue(address), expected);
});

t.test('replies to nobody are dropped in silence', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await subscribe(channel, pseudoQueue, { noAck: true });
  const address = await request(channel, publisher, queue);
  await channel.close();
  publisher.sendToQueue(address, body);
  publisher.sendToQueue(`${pseudoQueue}.xyz`, body);
  publisher.sendToQueue(pseudoQueue, body);
  await t.resolves(publisher.waitForConfirms());
});

t.test('a mandatory reply is delivered, and comes back as well: no queue took it', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, pseudoQueue, { noAck: true });
  const address = await request(channel, publisher, queue);
  const returned = once(publisher, 'return');
  publisher.sendToQueue(address, body, { mandatory: true });
  t.equal(text(await inbox.next()), 'hare');
  const [message] = (await returned) as [Message];
  t.match(message.fields, { replyCode: 312, replyText: 'NO_ROUTE', routingKey: address });
});

t.test('a reply reaches its client through CC, but through no other exchange', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, pseudoQueue, { noAck: true });
  const address = await request(channel, publisher, queue);
  publisher.publish('amq.direct', address, Buffer.from('lost'));
  publisher.publish('', 'nobody', Buffer.from('by CC'), { CC: address });
  const reply = await inbox.next();
  t.equal(text(reply), 'by CC');
  t.equal(reply.fields.routingKey, 'nobody');
});

t.test('get and purge know no such queue', async (t) => {
  const { connection } = await openSession(t);
  const one = quiet(await connection.createChannel());
  const missing = `NOT_FOUND - no queue '${pseudoQueue}' in vhost '/'`;
  await t.rejects(one.get(pseudoQueue), channelClose(404, missing, 60, 70));
  const two = quiet(await connection.createChannel());
  await t.rejects(two.purgeQueue(pseudoQueue), channelClose(404, missing, 50, 30));
});

// basic.publish through amqplib: where messages go, what comes back, and what the broker refuses.
import { once } from 'node:events';
import type { Message } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  channelClose,
  drain,
  errorOf,
  openSession,
  present,
  publish,
  readyCount,
  subscribe,
  text,
  texts,
} from '../helper/messages.ts';

const body = Buffer.from('hare');

t.test('sendToQueue goes to the queue of that name, and the delivery says how it was published', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox, consumerTag } = await subscribe(channel, queue, { noAck: true });
  publisher.sendToQueue(queue, body);
  const message = await inbox.next();
  t.equal(text(message), 'hare');
  t.same(message.fields, { consumerTag, deliveryTag: 1, redelivered: false, exchange: '', routingKey: queue });
});

t.test('publish to an exchange delivers with its name and the routing key', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.bindQueue(queue, 'amq.topic', `${queue}.#`);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  publisher.publish('amq.topic', `${queue}.a.b`, body);
  t.match((await inbox.next()).fields, { exchange: 'amq.topic', routingKey: `${queue}.a.b` });
});

t.test('messages of one channel arrive in the order of publishing', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  const numbers = Array.from({ length: 500 }, (_, i) => String(i));
  await publish(publisher, queue, numbers);
  t.same(texts(await inbox.take(500)), numbers);
});

t.test('a missing exchange closes the channel with 404, and what follows on it is dropped', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const name = uniqueName('no-exchange');
  const error = errorOf(channel);
  channel.publish(name, 'k', body);
  channel.publish('another', 'k', body);
  channel.sendToQueue(queue, body);
  t.match(await error, channelClose(404, `NOT_FOUND - no exchange '${name}' in vhost '/'`, 60, 40));
  await publish(publisher, queue, ['after']);
  t.same(await drain(publisher, queue), ['after']);
});

t.test('a channel error leaves the other channels of the connection alone', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  const error = errorOf(channel);
  channel.publish(uniqueName('no-exchange'), 'k', body);
  await error;
  await publish(publisher, queue, ['still here']);
  const again = await connection.createChannel();
  t.equal(text(present(await again.get(queue))), 'still here');
});

t.test('an internal exchange refuses publishers with 403', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { internal: true, durable: false });
  t.teardown(() => publisher.deleteExchange(exchange));
  const error = errorOf(channel);
  channel.publish(exchange, 'k', body);
  const expected = `ACCESS_REFUSED - cannot publish to internal exchange '${exchange}' in vhost '/'`;
  t.match(await error, channelClose(403, expected, 60, 40));
});

t.test('mandatory and unroutable: the message comes back with 312 NO_ROUTE, untouched', async (t) => {
  const { channel } = await openSession(t);
  const returned = once(channel, 'return');
  channel.publish('amq.direct', 'nobody', body, { mandatory: true, headers: { a: 1 }, contentType: 'text/plain' });
  const [message] = (await returned) as [Message];
  t.same(message.fields, { replyCode: 312, replyText: 'NO_ROUTE', exchange: 'amq.direct', routingKey: 'nobody' });
  t.equal(text(message), 'hare');
  t.match(message.properties, { headers: { a: 1 }, contentType: 'text/plain' });
});

t.test('mandatory and unroutable with an empty body comes back too', async (t) => {
  const { channel } = await openSession(t);
  const returned = once(channel, 'return');
  channel.sendToQueue(uniqueName(), Buffer.alloc(0), { mandatory: true });
  const [message] = (await returned) as [Message];
  t.equal(message.content.length, 0);
});

t.test('mandatory and routed: nothing comes back', async (t) => {
  const { publisher, queue } = await openSession(t);
  publisher.on('return', () => t.fail('returned'));
  publisher.sendToQueue(queue, body, { mandatory: true });
  await publisher.waitForConfirms();
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('unroutable without mandatory is dropped in silence', async (t) => {
  const { publisher } = await openSession(t);
  let returns = 0;
  publisher.on('return', () => returns++);
  publisher.sendToQueue(uniqueName(), body);
  await publisher.waitForConfirms();
  t.equal(returns, 0);
});

t.test('userId of the connection is accepted and delivered', async (t) => {
  const { publisher, queue } = await openSession(t);
  publisher.sendToQueue(queue, body, { userId: 'guest' });
  await publisher.waitForConfirms();
  t.equal(present(await publisher.get(queue)).properties.userId, 'guest');
});

for (const userId of ['somebody', '']) {
  t.test(`userId '${userId}' of another user closes the channel with 406`, async (t) => {
    const { channel, queue } = await openSession(t);
    const error = errorOf(channel);
    channel.sendToQueue(queue, body, { userId });
    const expected = `PRECONDITION_FAILED - user_id property set to '${userId}' but authenticated user was 'guest'`;
    t.match(await error, channelClose(406, expected, 60, 40));
  });
}

const badExpirations: [string, string][] = [
  ['abc', 'no_integer'],
  ['', 'no_integer'],
  [' 10', 'no_integer'],
  ['-1', '{value_negative,-1}'],
  ['1.5', '{leftover_string,".5"}'],
  ['12abc', '{leftover_string,"abc"}'],
  ['315360000001', '{value_too_large,315360000001}'],
];
for (const [expiration, why] of badExpirations) {
  t.test(`expiration '${expiration}' closes the channel with 406`, async (t) => {
    const { channel, queue } = await openSession(t);
    const error = errorOf(channel);
    channel.sendToQueue(queue, body, { expiration });
    const expected = `PRECONDITION_FAILED - invalid expiration '${expiration}': ${why}`;
    t.match(await error, channelClose(406, expected, 60, 40));
  });
}

t.test('expiration as a number or a string, up to ten years, is delivered as a string', async (t) => {
  const { publisher, queue } = await openSession(t);
  for (const expiration of [60_000, '70000', '315360000000']) publisher.sendToQueue(queue, body, { expiration });
  await publisher.waitForConfirms();
  for (const expected of ['60000', '70000', '315360000000'])
    t.equal(present(await publisher.get(queue)).properties.expiration, expected);
});

t.test('expiration 0 reaches a consumer that waits', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  publisher.sendToQueue(queue, body, { expiration: 0 });
  t.equal(text(await inbox.next()), 'hare');
});

t.test('publish says false when the write buffer is full, and drain follows', async (t) => {
  const { connection, queue } = await openSession(t);
  const channel = await connection.createConfirmChannel({ highWaterMark: 4 });
  const drained = once(channel, 'drain');
  let writable = true;
  for (let i = 0; i < 50; i++) writable = channel.sendToQueue(queue, Buffer.alloc(1000));
  t.equal(writable, false);
  await drained;
  await channel.waitForConfirms();
  t.equal(await readyCount(channel, queue), 50);
});

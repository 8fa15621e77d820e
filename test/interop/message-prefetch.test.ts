// basic.qos: limits per consumer and per channel. After confirms, the ready count tells what was NOT delivered.
import type { Channel } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  call,
  connectionClose,
  errorOf,
  openSession,
  present,
  publish,
  readyCount,
  subscribe,
  text,
  texts,
} from '../helper/messages.ts';

function qos(channel: Channel, prefetchSize: number): Promise<unknown> {
  return call(channel, 'BasicQos', { prefetchSize, prefetchCount: 1, global: false });
}

t.test('prefetch limits what a consumer has outstanding; an ack makes room for one', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(2);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4']);
  const [first] = await inbox.take(2);
  t.equal(await readyCount(publisher, queue), 2);
  channel.ack(present(first ?? false));
  t.equal(text(await inbox.next()), '3');
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('prefetch holds for each consumer of the channel', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(2);
  const one = await subscribe(channel, queue);
  const two = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4', '5', '6']);
  t.same(texts(await one.inbox.take(2)), ['1', '3']);
  t.same(texts(await two.inbox.take(2)), ['2', '4']);
  t.equal(await readyCount(publisher, queue), 2);
});

t.test('prefetch changes nothing for consumers that run already', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  const one = await subscribe(channel, queue);
  await channel.prefetch(3);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  t.equal(text(await one.inbox.next()), '1');
  t.equal(await readyCount(publisher, queue), 4);
  const two = await subscribe(channel, queue);
  t.same(texts(await two.inbox.take(3)), ['2', '3', '4']);
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('prefetch 0 is no limit', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  await channel.prefetch(0);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3']);
  t.equal((await inbox.take(3)).length, 3);
});

t.test('a global prefetch is shared by the consumers of the channel', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(3, true);
  const one = await subscribe(channel, queue);
  const two = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  t.same(texts(await one.inbox.take(2)), ['1', '3']);
  t.same(texts(await two.inbox.take(1)), ['2']);
  t.equal(await readyCount(publisher, queue), 2);
  channel.ackAll();
  t.same([...texts(await one.inbox.take(1)), ...texts(await two.inbox.take(1))].sort(), ['4', '5']);
});

t.test('a global prefetch does not reach beyond its channel', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1, true);
  const other = await connection.createChannel();
  const one = await subscribe(channel, queue);
  const two = await subscribe(other, queue);
  await publish(publisher, queue, ['1', '2', '3', '4']);
  t.same(texts(await one.inbox.take(1)), ['1']);
  t.same(texts(await two.inbox.take(3)), ['2', '3', '4']);
});

t.test('both limits hold together', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(2);
  await channel.prefetch(3, true);
  const one = await subscribe(channel, queue);
  const two = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  t.same(texts(await one.inbox.take(2)), ['1', '3']);
  t.same(texts(await two.inbox.take(1)), ['2']);
  t.equal(await readyCount(publisher, queue), 2);
});

t.test('raising a global prefetch delivers more at once, 0 delivers all', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1, true);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  t.same(texts(await inbox.take(1)), ['1']);
  t.equal(await readyCount(publisher, queue), 4);
  await channel.prefetch(3, true);
  t.same(texts(await inbox.take(2)), ['2', '3']);
  await channel.prefetch(0, true);
  t.same(texts(await inbox.take(2)), ['4', '5']);
});

t.test('lowering a global prefetch waits until the outstanding are fewer', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(3, true);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  const [one, two, three] = await inbox.take(3);
  await channel.prefetch(1, true);
  channel.ack(present(one ?? false));
  channel.ack(present(two ?? false));
  await channel.assertQueue('', { exclusive: true }); // the acks have been handled when this is answered
  t.equal(inbox.size, 0);
  channel.ack(present(three ?? false));
  t.equal(text(await inbox.next()), '4');
});

t.test('a global prefetch counts what was delivered before it was set', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  const [first] = await inbox.take(2);
  await channel.prefetch(2, true);
  await publish(publisher, queue, ['3', '4']);
  t.equal(await readyCount(publisher, queue), 2);
  channel.ack(present(first ?? false));
  t.equal(text(await inbox.next()), '3');
});

t.test('outstanding messages of a cancelled consumer count against the global prefetch', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1, true);
  const one = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  const first = await one.inbox.next();
  await channel.cancel(one.consumerTag);
  const two = await subscribe(channel, queue);
  t.equal(await readyCount(publisher, queue), 1);
  channel.ack(first);
  t.equal(text(await two.inbox.next()), '2');
});

t.test('a message got with basic.get does not count', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1, true);
  await publish(publisher, queue, ['1', '2']);
  await channel.get(queue);
  const { inbox } = await subscribe(channel, queue);
  t.equal(text(await inbox.next()), '2');
});

t.test('noAck consumers know no limit', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  await channel.prefetch(1, true);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['1', '2', '3']);
  t.same(texts(await inbox.take(3)), ['1', '2', '3']);
});

t.test('a prefetch size closes the connection with 540', async (t) => {
  const { connection, channel } = await openSession(t);
  const error = errorOf(connection);
  await t.rejects(qos(channel, 1));
  t.match(await error, connectionClose(540, 'NOT_IMPLEMENTED - prefetch_size!=0 (1)'));
});

t.test('a full channel holds back its no-ack consumers, too, though it does not count what they get', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { queue: other } = await publisher.assertQueue(uniqueName(), { exclusive: true });
  await channel.prefetch(1, true);
  const counted = await subscribe(channel, queue);
  const free = await subscribe(channel, other, { noAck: true });
  await publish(publisher, other, ['1', '2']);
  t.same(texts(await free.inbox.take(2)), ['1', '2']);
  await publish(publisher, queue, ['counted']);
  const message = await counted.inbox.next();
  await publish(publisher, other, ['3']);
  t.equal(await readyCount(publisher, other), 1);
  channel.ack(message);
  t.equal(text(await free.inbox.next()), '3');
});

// x-priority of consumers: who gets what when consumers of several priorities fill up, come and go. The simple cases are in
// consumer-order.test.ts.
import type { Channel, ChannelModel } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  openConnection,
  openSession,
  publish,
  readyCount,
  type Subscription,
  sharedQueue,
  text,
  texts,
} from '../helper/messages.ts';
import { subscribe } from '../helper/ttl.ts';

/** A consumer with a channel of its own. */
interface Worker extends Subscription {
  readonly channel: Channel;
}

async function work(connection: ChannelModel, queue: string, prefetch: number, priority?: number): Promise<Worker> {
  const channel = await connection.createChannel();
  await channel.prefetch(prefetch);
  return { channel, ...(await subscribe(channel, queue, priority === undefined ? {} : { priority })) };
}

/** Resolves when the broker has handled what was sent on the channel before. */
async function settled(channel: Channel): Promise<void> {
  await channel.checkExchange('amq.direct');
}

t.test('priority after priority fills up', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const negative = await work(connection, queue, 2, -5);
  const none = await work(connection, queue, 2);
  const high = await work(connection, queue, 2, 5);
  const zero = await work(connection, queue, 1, 0);
  const low = await work(connection, queue, 1, -1);
  await publish(publisher, queue, ['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  t.same(texts(await high.inbox.take(2)), ['1', '2']);
  t.same(texts(await none.inbox.take(2)), ['3', '5'], 'no priority is priority 0');
  t.same(texts(await zero.inbox.take(1)), ['4'], 'and takes turns with it');
  t.same(texts(await low.inbox.take(1)), ['6']);
  t.same(texts(await negative.inbox.take(2)), ['7', '8']);
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('who has acknowledged gets the next of a backlog, whatever its priority', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const high = await work(connection, queue, 1, 10);
  const low = await work(connection, queue, 1, 1);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  const [first] = [await high.inbox.next()];
  const second = await low.inbox.next();
  low.channel.ack(second);
  t.equal(text(await low.inbox.next()), '3', 'the other has no room');
  high.channel.ack(first);
  t.equal(text(await high.inbox.next()), '4');
  t.same([high.inbox.size, low.inbox.size], [0, 0]);
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('with room at both, the higher one is first again', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const high = await work(connection, queue, 1, 10);
  const low = await work(connection, queue, 1, 1);
  await publish(publisher, queue, ['1', '2']);
  low.channel.ack(await low.inbox.next());
  high.channel.ack(await high.inbox.next());
  await settled(low.channel);
  await settled(high.channel);
  await publish(publisher, queue, ['3', '4']);
  t.equal(text(await high.inbox.next()), '3');
  t.equal(text(await low.inbox.next()), '4');
});

t.test('a message that comes back goes to the highest that has room, even the one that gave it back', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const high = await work(connection, queue, 1, 10);
  const low = await work(connection, queue, 2, 1);
  await publish(publisher, queue, ['1', '2']);
  const first = await high.inbox.next();
  const second = await low.inbox.next();
  high.channel.nack(first);
  const again = await high.inbox.next();
  t.same([text(again), again.fields.redelivered], ['1', true]);
  low.channel.nack(second);
  const back = await low.inbox.next();
  t.same([text(back), back.fields.redelivered], ['2', true], 'the high one has no room');
});

t.test('one that comes later with a higher priority gets what comes from then on', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const low = await work(connection, queue, 0, 1);
  await publish(publisher, queue, ['1']);
  t.equal(text(await low.inbox.next()), '1');
  const high = await work(connection, queue, 0, 2);
  await publish(publisher, queue, ['2', '3']);
  t.same(texts(await high.inbox.take(2)), ['2', '3']);
  await high.channel.cancel(high.consumerTag);
  await publish(publisher, queue, ['4']);
  t.equal(text(await low.inbox.next()), '4', 'until it leaves');
});

t.test('when the highest leaves, what it held goes to the next', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const high = await work(connection, queue, 0, 10);
  const low = await work(connection, queue, 0, -10);
  await publish(publisher, queue, ['1', '2']);
  await high.inbox.take(2);
  await high.channel.close();
  const messages = await low.inbox.take(2);
  t.same(texts(messages), ['1', '2']);
  t.same(
    messages.map(({ fields }) => fields.redelivered),
    [true, true],
  );
});

t.test('equal ones take turns, before lower ones and after higher ones', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const low = await work(connection, queue, 0, 1);
  const one = await work(connection, queue, 2, 5);
  const two = await work(connection, queue, 2, 5);
  const three = await work(connection, queue, 2, 5);
  const high = await work(connection, queue, 1, 6);
  await publish(publisher, queue, ['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  t.same(texts(await high.inbox.take(1)), ['1']);
  t.same(texts(await one.inbox.take(2)), ['2', '5']);
  t.same(texts(await two.inbox.take(2)), ['3', '6']);
  t.same(texts(await three.inbox.take(2)), ['4', '7']);
  t.same(texts(await low.inbox.take(2)), ['8', '9']);
});

t.test('consumers of one channel, of several priorities', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  const low = await subscribe(channel, queue, { priority: 1 });
  const high = await subscribe(channel, queue, { priority: 2 });
  const none = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4']);
  const first = await high.inbox.next();
  t.same(texts([first, await low.inbox.next(), await none.inbox.next()]), ['1', '2', '3']);
  channel.ack(first);
  t.equal(text(await high.inbox.next()), '4');
});

t.test('a channel that has reached its shared prefetch is passed over', async (t) => {
  const { connection, publisher, queue } = await openSession(t);
  const channel = await connection.createChannel();
  await channel.prefetch(2, true);
  const high = await subscribe(channel, queue, { priority: 10 });
  const higher = await subscribe(channel, queue, { priority: 11 });
  const low = await work(connection, queue, 0);
  await publish(publisher, queue, ['1', '2', '3']);
  const [first] = await higher.inbox.take(2);
  t.equal(text(await low.inbox.next()), '3');
  if (first !== undefined) channel.ack(first);
  await settled(channel);
  await publish(publisher, queue, ['4']);
  t.equal(text(await higher.inbox.next()), '4');
  t.equal(high.inbox.size, 0);
});

t.test('a consumer that acknowledges nothing keeps the lower ones from everything', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const low = await subscribe(channel, queue, { noAck: true });
  const high = await subscribe(channel, queue, { noAck: true, priority: 1 });
  const numbers = Array.from({ length: 200 }, (_, i) => String(i));
  await publish(publisher, queue, numbers);
  t.same(texts(await high.inbox.take(200)), numbers);
  t.equal(low.inbox.size, 0);
});

t.test('consumers of several connections', async (t) => {
  const { target, publisher } = await openSession(t);
  const queue = await sharedQueue(t, target);
  const low = await work(await openConnection(t, target), queue, 1, -1);
  const elsewhere = await openConnection(t, target);
  const high = await work(elsewhere, queue, 1, 1);
  await publish(publisher, queue, ['1', '2', '3']);
  t.equal(text(await high.inbox.next()), '1');
  const second = await low.inbox.next();
  t.equal(text(second), '2');
  await elsewhere.close();
  low.channel.ack(second);
  t.equal(text(await low.inbox.next()), '1', 'what the other held is before the rest');
});

t.test('the order of messages and that of consumers are two things', async (t) => {
  const { connection, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, maxPriority: 5 });
  for (const priority of [1, 5, 3]) publisher.sendToQueue(queue, Buffer.from(String(priority)), { priority });
  await publisher.waitForConfirms();
  const low = await work(connection, queue, 1, 1);
  t.equal(text(await low.inbox.next()), '5');
  const high = await work(connection, queue, 1, 2);
  const first = await high.inbox.next();
  t.equal(text(first), '3');
  high.channel.ack(first);
  t.equal(text(await high.inbox.next()), '1');
});

t.test('basic.get has no priority: it takes the next message at once', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  const high = await work(connection, queue, 1, 10);
  await publish(publisher, queue, ['1', '2', '3']);
  const first = await high.inbox.next();
  const got = await channel.get(queue, { noAck: true });
  t.equal(got && text(got), '2');
  high.channel.ack(first);
  t.equal(text(await high.inbox.next()), '3');
});

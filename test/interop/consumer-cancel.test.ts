// basic.cancel from either side.
import { once } from 'node:events';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  drain,
  openConnection,
  openSession,
  present,
  publish,
  readyCount,
  send,
  sharedQueue,
  subscribe,
  text,
  texts,
} from '../helper/messages.ts';

t.test('after cancel-ok nothing more is delivered, and the messages stay in the queue', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { consumerTag, inbox } = await subscribe(channel, queue, { noAck: true });
  t.same(await channel.cancel(consumerTag), { consumerTag });
  await publish(publisher, queue, ['1']);
  t.same(await drain(channel, queue), ['1']);
  t.equal(inbox.size, 0);
});

t.test('cancel leaves what is outstanding to be acknowledged, and requeues nothing', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  const { consumerTag, inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  const message = await inbox.next();
  await channel.cancel(consumerTag);
  t.equal(await readyCount(publisher, queue), 1);
  channel.ack(message);
  await channel.close();
  t.same(await drain(publisher, queue), ['2']);
});

t.test('cancel of an unknown tag is answered all the same', async (t) => {
  const { channel } = await openSession(t);
  t.same(await channel.cancel('never seen'), { consumerTag: 'never seen' });
});

t.test('cancel with no-wait has no answer', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { consumerTag, inbox } = await subscribe(channel, queue, { noAck: true });
  send(channel, 'BasicCancel', { consumerTag, nowait: true });
  t.equal((await channel.assertQueue('', { exclusive: true })).messageCount, 0);
  await publish(publisher, queue, ['1']);
  t.same(await drain(channel, queue), ['1']);
  t.equal(inbox.size, 0);
});

t.test('a tag can be used again after cancel', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await subscribe(channel, queue, { consumerTag: 'again' });
  await channel.cancel('again');
  const { inbox } = await subscribe(channel, queue, { consumerTag: 'again' });
  await publish(publisher, queue, ['1']);
  t.equal(text(await inbox.next()), '1');
});

t.test('cancelling the last consumer deletes an auto-delete queue', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { autoDelete: true, durable: false });
  const one = await subscribe(channel, queue);
  const two = await subscribe(channel, queue);
  await channel.cancel(one.consumerTag);
  t.equal((await publisher.checkQueue(queue)).consumerCount, 1);
  await channel.cancel(two.consumerTag);
  await t.rejects(publisher.checkQueue(queue), { code: 404 });
});

t.test('deleting the queue cancels its consumers: amqplib gives each a null message', async (t) => {
  const { target, channel, publisher } = await openSession(t);
  const queue = await sharedQueue(t, target);
  const one = await subscribe(channel, queue);
  const two = await subscribe(await (await openConnection(t, target)).createChannel(), queue);
  await publisher.deleteQueue(queue);
  t.equal(await one.inbox.nextOrCancel(), null);
  t.equal(await two.inbox.nextOrCancel(), null);
});

t.test('the cancel event names the consumer', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await subscribe(channel, queue, { consumerTag: 'to be cancelled' });
  const cancelled = once(channel, 'cancel');
  await publisher.deleteQueue(queue);
  t.match(await cancelled, [{ consumerTag: 'to be cancelled' }]);
});

t.test('deleting the queue on the channel that consumes from it cancels as well', async (t) => {
  const { channel, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue);
  await channel.deleteQueue(queue);
  t.equal(await inbox.nextOrCancel(), null);
});

t.test('the tag of a consumer that the server cancelled is free again', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue, { consumerTag: 'tag' });
  await publisher.deleteQueue(queue);
  await inbox.nextOrCancel();
  t.same(await channel.cancel('tag'), { consumerTag: 'tag' });
  const other = (await channel.assertQueue(uniqueName(), { exclusive: true })).queue;
  t.equal((await subscribe(channel, other, { consumerTag: 'tag' })).consumerTag, 'tag');
});

t.test('cancelling from within the consumer: later messages stay', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  const { consumerTag, inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3']);
  channel.nack(await inbox.next());
  const again = await inbox.next();
  await channel.cancel(consumerTag);
  channel.nack(again);
  t.same(texts([present(await channel.get(queue)), present(await channel.get(queue))]), ['1', '2']);
});

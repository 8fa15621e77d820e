// x-max-length, x-max-length-bytes and x-overflow: what a queue drops or refuses, and what it tells the publisher.
import { once } from 'node:events';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { drain, openSession, publish, subscribe } from '../helper/messages.ts';

t.test('the oldest messages make room for new ones', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, maxLength: 2 });
  await publish(publisher, queue, ['1', '2', '3', '4']);
  t.same(await drain(publisher, queue), ['3', '4']);
  await publish(publisher, queue, ['5']);
  t.same(await drain(publisher, queue), ['5']);
});

t.test('bytes of bodies are counted where that is the limit', async (t) => {
  const { publisher } = await openSession(t);
  const options = { exclusive: true, arguments: { 'x-max-length-bytes': 10 } };
  const { queue } = await publisher.assertQueue(uniqueName(), options);
  await publish(publisher, queue, ['aaaa', 'bbbb', 'cc', 'd']);
  t.same(await drain(publisher, queue), ['bbbb', 'cc', 'd']);
  await publish(publisher, queue, ['eleven chars']);
  t.same(await drain(publisher, queue), [], 'one that is too large by itself goes as well');
});

t.test('unacknowledged messages do not count', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, maxLength: 1 });
  await channel.prefetch(2);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  await inbox.take(2);
  await publish(publisher, queue, ['3', '4']);
  t.same(await drain(publisher, queue), ['4']);
});

t.test('a message that comes back to a full queue is the first to go', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, maxLength: 1 });
  await publish(publisher, queue, ['1']);
  const message = await channel.get(queue);
  if (message === false) throw new Error('the queue was empty');
  await publish(publisher, queue, ['2']);
  channel.nack(message);
  t.equal((await channel.checkQueue(queue)).messageCount, 1);
  t.same(await drain(publisher, queue), ['2']);
});

t.test('a full queue that rejects publishes takes them again when there is room', async (t) => {
  const { publisher } = await openSession(t);
  const options = { exclusive: true, maxLength: 1, overflow: 'reject-publish' } as const;
  const { queue } = await publisher.assertQueue(uniqueName(), options);
  await publish(publisher, queue, ['1']);
  const nacked = once(publisher, 'nack');
  publisher.sendToQueue(queue, Buffer.from('2'));
  await nacked;
  t.same(await drain(publisher, queue), ['1']);
  await publish(publisher, queue, ['3']);
  t.same(await drain(publisher, queue), ['3']);
});

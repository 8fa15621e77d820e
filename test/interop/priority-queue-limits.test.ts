// Priorities together with length limits and expiry: which message goes, and when.
import t from 'tap';
import { drain, openSession, present, readyCount, text, texts } from '../helper/messages.ts';
import {
  deadLettering,
  deathReason,
  expiresInPlace,
  outcome,
  passed,
  publishAll,
  subscribe,
  untilReady,
} from '../helper/ttl.ts';

/** More than a loaded machine needs to look at what is still there. */
const SOON = 400;

t.test('a length limit drops the head: the oldest of the highest priority', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5, maxLength: 3 });
  await publishAll(publisher, queue, [
    ['1-a', { priority: 1 }],
    ['3-a', { priority: 3 }],
    ['0-a'],
    ['3-b', { priority: 3 }],
    ['0-b'],
    ['0-c'],
    ['5-a', { priority: 5 }],
  ]);
  const letters = await dead.take(4);
  t.same(texts(letters), ['3-a', '3-b', '1-a', '5-a'], 'even the one that has just come');
  t.same(new Set(letters.map(deathReason)), new Set(['maxlen']));
  t.same(await drain(publisher, queue), ['0-a', '0-b', '0-c']);
});

t.test('so does a limit in bytes', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, {
    maxPriority: 5,
    arguments: { 'x-max-length-bytes': 10 },
  });
  await publishAll(publisher, queue, [
    ['1aaa', { priority: 1 }],
    ['2aa', { priority: 2 }],
    ['2bb', { priority: 2 }],
    ['0aaa'],
  ]);
  t.same(texts(await dead.take(2)), ['2aa', '2bb']);
  t.same(await drain(publisher, queue), ['1aaa', '0aaa']);
});

t.test('a message that comes back to a full queue', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5, maxLength: 1 });
  await publishAll(publisher, queue, [['3', { priority: 3 }]]);
  const held = present(await channel.get(queue));
  await publishAll(publisher, queue, [['5', { priority: 5 }]]);
  channel.nack(held);
  t.equal(text(await dead.next()), '5', 'the head goes, which is the other');
  t.same(await drain(publisher, queue), ['3']);
});

t.test('a queue that refuses publishes refuses all priorities', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await deadLettering(publisher, { maxPriority: 5, maxLength: 1, overflow: 'reject-publish' });
  t.equal(await outcome(publisher, queue, '0'), 'ack');
  t.equal(await outcome(publisher, queue, '5', { priority: 5 }), 'nack');
  t.same(await drain(publisher, queue), ['0']);
});

t.test('messages of all priorities expire, behind those that do not only in Leveret', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5 });
  await publishAll(publisher, queue, [
    ['1', { priority: 1, expiration: SOON }],
    ['3', { priority: 3 }],
    ['5', { priority: 5, expiration: SOON }],
    ['0', { priority: 0 }],
  ]);
  t.equal(await readyCount(publisher, queue), 4);
  // RabbitMQ stops at the first that has time left, and that is the one of priority 3.
  t.same(texts(await dead.take(expiresInPlace ? 2 : 1)).sort(), expiresInPlace ? ['1', '5'] : ['5']);
  const left = expiresInPlace ? 2 : 3;
  t.equal(await untilReady(publisher, queue, left), left);
  t.same(await drain(publisher, queue), ['3', '0']);
  if (!expiresInPlace) t.equal(text(await dead.next()), '1');
});

t.test('the time to live of the queue', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5, messageTtl: SOON });
  const letters = ['1-a', '5-a', '0-a', '5-b'];
  await publishAll(
    publisher,
    queue,
    letters.map((letter) => [letter, { priority: Number(letter[0]) }]),
  );
  const arrived = texts(await dead.take(4));
  t.same(arrived.toSorted(), letters.toSorted());
  t.equal(await readyCount(publisher, queue), 0);
});

t.test('a time to live of 0', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5, messageTtl: 0 });
  await publishAll(publisher, queue, [['lost', { priority: 3 }]]);
  t.equal(text(await dead.next()), 'lost');
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publishAll(publisher, queue, [['got', { priority: 2 }]]);
  t.equal(text(await inbox.next()), 'got');
});

t.test('given back too late', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5 });
  await publishAll(publisher, queue, [
    ['1', { priority: 1 }],
    ['3', { priority: 3, expiration: SOON }],
  ]);
  const held = present(await channel.get(queue));
  t.equal(text(held), '3');
  await passed(2 * SOON);
  channel.nack(held);
  t.equal(text(await dead.next()), '3');
  t.same(await drain(publisher, queue), ['1']);
});

t.test('a backlog is dead-lettered as it stands when messages are rejected', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxPriority: 5 });
  await publishAll(publisher, queue, [
    ['1', { priority: 1 }],
    ['3', { priority: 3 }],
  ]);
  const { inbox } = await subscribe(channel, queue);
  await inbox.take(2);
  channel.nackAll(false);
  const letters = await dead.take(2);
  t.same(texts(letters), ['3', '1']);
  t.same(
    letters.map(({ properties }) => properties.priority),
    [3, 1],
    'with the priority that they had',
  );
});

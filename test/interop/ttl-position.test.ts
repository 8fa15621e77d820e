// When messages leave that expire while others stand before them. Leveret removes each on time, wherever it stands; RabbitMQ only
// when it comes to the head of the queue. Leveret differs on purpose: a message with a deadline is late nowhere, so that retries with
// a delay of each message's own need no plugin. What consumers get is the same.
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { drain, openSession, present, publish, readyCount, text, texts } from '../helper/messages.ts';
import {
  deadLettering,
  deathReason,
  expiresInPlace,
  passed,
  publishAll,
  subscribe,
  untilReady,
} from '../helper/ttl.ts';

// Most of each test is waiting, so they wait side by side.
t.jobs = 8;

const SOON = 400;
const NEVER = 60_000;

t.test('behind a message without a deadline', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher);
  await publishAll(publisher, queue, [['1'], ['2', { expiration: SOON }], ['3', { expiration: NEVER }]]);
  if (expiresInPlace) {
    const letter = await dead.next();
    t.equal(text(letter), '2');
    t.equal(deathReason(letter), 'expired');
    t.equal(await readyCount(publisher, queue), 2);
    t.same(await drain(publisher, queue), ['1', '3']);
    return;
  }
  await passed(3 * SOON); // long enough to have left
  t.equal(await readyCount(publisher, queue), 3, 'counted still');
  t.equal(dead.size, 0);
  t.equal(text(present(await publisher.get(queue, { noAck: true }))), '1');
  t.equal(text(await dead.next()), '2', 'it leaves when it comes to the head');
  t.same(await drain(publisher, queue), ['3']);
});

t.test('dead letters of different deadlines', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher);
  await publishAll(publisher, queue, [
    ['3000', { expiration: 3000 }],
    ['300', { expiration: 300 }],
    ['600', { expiration: 600 }],
    ['601', { expiration: 600 }],
  ]);
  const before = performance.now();
  const [first] = await dead.take(1);
  const firstTook = performance.now() - before;
  const letters = [first, ...(await dead.take(3))].map((letter) => text(present(letter ?? false)));
  if (expiresInPlace) {
    t.same(letters, ['300', '600', '601', '3000'], 'in the order of their deadlines');
    t.ok(firstTook < 2950, `not only when the head goes: ${firstTook} ms`);
  } else {
    t.same(letters, ['3000', '300', '600', '601'], 'in the order of the queue');
    t.ok(firstTook >= 2950);
  }
});

t.test('messages of the same deadline leave in the order of the queue', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { messageTtl: SOON });
  const numbers = Array.from({ length: 100 }, (_, i) => String(i));
  await publish(publisher, queue, numbers);
  t.same(texts(await dead.take(100)), numbers);
});

t.test('a time to live of 0 behind others', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher);
  await publishAll(publisher, queue, [['1'], ['2', { expiration: 0 }], ['3']]);
  if (expiresInPlace) t.equal(text(await dead.next()), '2');
  t.equal(await readyCount(publisher, queue), expiresInPlace ? 2 : 3);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  t.same(texts(await inbox.take(2)), ['1', '3'], 'nobody gets it, consumer or not');
  if (!expiresInPlace) t.equal(text(await dead.next()), '2');
  t.equal(await readyCount(publisher, queue), 0);
});

t.test('a purge counts what is there', async (t) => {
  const { publisher, queue } = await openSession(t);
  await publishAll(publisher, queue, [['1'], ['2', { expiration: SOON }], ['3']]);
  await passed(2 * SOON);
  if (expiresInPlace) await untilReady(publisher, queue, 2);
  t.same(await publisher.purgeQueue(queue), { messageCount: expiresInPlace ? 2 : 3 });
});

t.test('basic.get says how many are left', async (t) => {
  const { publisher, queue } = await openSession(t);
  await publishAll(publisher, queue, [['1'], ['2'], ['3', { expiration: SOON }], ['4']]);
  await passed(2 * SOON);
  if (expiresInPlace) await untilReady(publisher, queue, 3);
  const first = present(await publisher.get(queue, { noAck: true }));
  t.equal(first.fields.messageCount, expiresInPlace ? 2 : 3);
  // What comes to the head now is gone before the answer that counts it.
  const second = present(await publisher.get(queue, { noAck: true }));
  t.equal(text(second), '2');
  t.equal(second.fields.messageCount, 1);
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('what has expired makes room in a queue that refuses publishes', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), {
    exclusive: true,
    maxLength: 2,
    overflow: 'reject-publish',
  });
  await publishAll(publisher, queue, [['1'], ['2', { expiration: SOON }]]);
  await passed(2 * SOON);
  if (expiresInPlace) await untilReady(publisher, queue, 1);
  const told = await publish(publisher, queue, ['3']).then(
    () => 'ack',
    () => 'nack',
  );
  t.equal(told, expiresInPlace ? 'ack' : 'nack');
  t.same(await drain(publisher, queue), expiresInPlace ? ['1', '3'] : ['1']);
});

t.test('a head that expires frees those behind it', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher);
  await publishAll(publisher, queue, [
    ['1', { expiration: 2 * SOON }],
    ['2', { expiration: SOON }],
    ['3'],
    ['4', { expiration: 3 * SOON }],
  ]);
  t.same(texts(await dead.take(2)), expiresInPlace ? ['2', '1'] : ['1', '2']);
  await passed(2 * SOON);
  t.equal(await readyCount(publisher, queue), expiresInPlace ? 1 : 2);
  t.same(await drain(publisher, queue), ['3']);
});

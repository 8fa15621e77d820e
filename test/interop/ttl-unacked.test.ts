// Messages that consumers hold when they expire, and what becomes of them when they are given back.
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { openConnection, openSession, present, publish, readyCount, sharedQueue, text } from '../helper/messages.ts';
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

/** More than a loaded machine needs to get hold of a message. */
const SOON = 400;

t.test('an unacknowledged message is not taken from its consumer', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { messageTtl: SOON });
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2']);
  const [first, second] = await inbox.take(2);
  await passed(2 * SOON);
  channel.ack(present(first ?? false));
  channel.nack(present(second ?? false), false, false);
  t.match([await dead.next()].map(deathReason), ['rejected'], 'nothing has expired');
  t.equal(dead.size, 0);
});

t.test('a message that basic.get gave out does not expire either', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher);
  await publishAll(publisher, queue, [['1', { expiration: SOON }]]);
  const message = present(await channel.get(queue));
  await passed(2 * SOON);
  channel.reject(message, false);
  t.equal(deathReason(await dead.next()), 'rejected');
});

t.test('given back in time, it is delivered again and still expires when it was to', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true });
  const before = performance.now();
  await publishAll(publisher, queue, [['1', { expiration: 4000 }]]);
  channel.nack(present(await channel.get(queue)));
  await passed(2000);
  const again = present(await channel.get(queue));
  t.equal(again.fields.redelivered, true);
  t.equal(again.properties.expiration, '4000');
  channel.nack(again);
  t.equal(await untilReady(publisher, queue, 0), 0);
  const took = performance.now() - before;
  t.ok(took >= 3999 && took < 5950, `giving back does not start the time anew: ${took} ms`);
});

for (const [title, options, publication] of [
  ['by its own expiration', {}, { expiration: SOON }],
  ['by the time of its queue', { messageTtl: SOON }, {}],
  ['with a time of 0', { messageTtl: 0 }, {}],
] as const) {
  t.test(`given back too late it is not delivered again: ${title}`, async (t) => {
    const { channel, publisher } = await openSession(t);
    const { queue, dead } = await deadLettering(publisher, options);
    const { inbox } = await subscribe(channel, queue);
    await publishAll(publisher, queue, [['1', publication]]);
    const message = await inbox.next();
    await passed(2 * SOON);
    channel.nack(message);
    const letter = await dead.next();
    t.equal(text(letter), '1');
    t.equal(deathReason(letter), 'expired');
    t.equal(await readyCount(publisher, queue), 0);
    t.equal(inbox.size, 0, 'though its consumer is ready');
  });
}

t.test('without a dead-letter exchange it is gone', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: SOON });
  await publish(publisher, queue, ['1', '2']);
  const held = [present(await channel.get(queue)), present(await channel.get(queue))];
  await passed(2 * SOON);
  for (const message of held) channel.reject(message);
  t.notOk(await channel.get(queue));
  t.equal(await readyCount(channel, queue), 0);
});

t.test('basic.recover gives back too late as well', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true });
  await publishAll(publisher, queue, [['1', { expiration: SOON }], ['2'], ['3', { expiration: SOON }]]);
  const { inbox } = await subscribe(channel, queue);
  await inbox.take(3);
  await passed(2 * SOON);
  await channel.recover();
  t.equal(text(await inbox.next()), '2');
  t.equal(await readyCount(publisher, queue), 0);
  t.equal(inbox.size, 0);
});

t.test('so does a connection that ends', async (t) => {
  const { target, publisher } = await openSession(t);
  const queue = await sharedQueue(t, target);
  const connection = await openConnection(t, target);
  const { inbox } = await subscribe(await connection.createChannel(), queue);
  await publishAll(publisher, queue, [['1', { expiration: SOON }], ['2']]);
  await inbox.take(2);
  await passed(2 * SOON);
  await connection.close();
  t.equal(await untilReady(publisher, queue, 1), 1);
  const left = present(await publisher.get(queue));
  t.equal(text(left), '2');
  t.equal(left.fields.redelivered, true);
});

t.test('a late message that comes back behind another one', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publishAll(publisher, queue, [['1'], ['2', { expiration: SOON }], ['3']]);
  const first = present(await channel.get(queue));
  const second = present(await channel.get(queue));
  await passed(2 * SOON);
  channel.nack(first);
  channel.nack(second);
  // RabbitMQ looks at the head alone, and this one is behind it.
  const left = expiresInPlace ? 2 : 3;
  t.equal(await untilReady(channel, queue, left), left);
  t.equal(text(present(await channel.get(queue))), '1');
  t.equal(text(present(await channel.get(queue))), '3', 'nobody gets it in any case');
});

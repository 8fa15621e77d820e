// Why messages become dead letters, and what must not make them so.
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { drain, openSession, present, publish, readyCount, subscribe, text } from '../helper/messages.ts';
import { deadLettering, deathReason, outcome, publishAll, until, untilReady } from '../helper/ttl.ts';

t.test('rejected: nack and reject without requeue', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel);
  await publish(publisher, queue, ['nack', 'reject']);
  channel.nack(present(await channel.get(queue)), false, false);
  channel.reject(present(await channel.get(queue)), false);
  for (const wanted of ['nack', 'reject']) {
    const letter = await dead.next();
    t.equal(text(letter), wanted);
    t.equal(deathReason(letter), 'rejected');
    t.equal(letter.fields.redelivered, false);
  }
});

t.test('rejected: several at once keep their order', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel);
  const texts = ['1', '2', '3', '4', '5'];
  await publish(publisher, queue, texts);
  const { inbox } = await subscribe(channel, queue);
  const last = (await inbox.take(texts.length))[texts.length - 1];
  channel.nack(last, true, false);
  t.same((await dead.take(texts.length)).map(text), texts);
});

t.test('rejected: a channel that gets the dead letters of what it rejects', async (t) => {
  const { channel, publisher } = await openSession(t);
  const target = (await channel.assertQueue(uniqueName(), { exclusive: true })).queue;
  const through = { exclusive: true, deadLetterExchange: '', deadLetterRoutingKey: target };
  const source = (await channel.assertQueue(uniqueName(), through)).queue;
  const texts = ['1', '2', '3', '4'];
  await publish(publisher, source, texts);
  const { inbox: dead } = await subscribe(channel, target);
  const { inbox } = await subscribe(channel, source);
  const messages = await inbox.take(texts.length);
  channel.nack(messages[2], true, false);
  t.same((await dead.take(3)).map(text), ['1', '2', '3']);
  channel.nackAll(false);
  // The dead letters are rejected as well, and their queue has nowhere to send them.
  t.equal(text(await dead.next()), '4');
  t.same([await readyCount(channel, target), await readyCount(channel, source)], [0, 0]);
});

t.test('expired: the expiration of the message', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel);
  await publishAll(publisher, queue, [['short', { expiration: 10 }]]);
  const letter = await dead.next();
  t.equal(deathReason(letter), 'expired');
  t.equal(letter.properties.expiration, undefined);
});

t.test('expired: the time to live of the queue', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { messageTtl: 200 });
  await publish(publisher, queue, ['a', 'b']);
  for (const wanted of ['a', 'b']) {
    const letter = await dead.next();
    t.equal(text(letter), wanted);
    t.equal(deathReason(letter), 'expired');
  }
});

t.test('expired: a time to live of 0, without a consumer', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { messageTtl: 0 });
  await publish(publisher, queue, ['now']);
  t.equal(deathReason(await dead.next()), 'expired');
});

t.test('the dead letter of an expired message does not expire', async (t) => {
  const { channel, publisher } = await openSession(t);
  const target = (await channel.assertQueue(uniqueName(), { exclusive: true })).queue;
  const args = { exclusive: true, deadLetterExchange: '', deadLetterRoutingKey: target };
  const { queue } = await channel.assertQueue(uniqueName(), args);
  await publishAll(publisher, queue, [['short', { expiration: 1 }]]);
  t.equal(await untilReady(channel, target, 1), 1);
  // As long again as it lived, and some more: nothing tells that something does not happen.
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(await readyCount(channel, target), 1);
});

t.test('maxlen: the oldest make room', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { maxLength: 2 });
  await publish(publisher, queue, ['1', '2', '3', '4']);
  for (const wanted of ['1', '2']) {
    const letter = await dead.next();
    t.equal(text(letter), wanted);
    t.equal(deathReason(letter), 'maxlen');
  }
  t.same(await drain(channel, queue), ['3', '4']);
});

t.test('maxlen: bytes', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { arguments: { 'x-max-length-bytes': 5 } });
  await publish(publisher, queue, ['123', '45', '6']);
  const letter = await dead.next();
  t.equal(text(letter), '123');
  t.equal(deathReason(letter), 'maxlen');
});

t.test('maxlen: a queue without any room passes everything on', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { maxLength: 0 });
  t.equal(await outcome(publisher, queue, 'through'), 'ack');
  t.equal(text(await dead.next()), 'through');
});

t.test('maxlen: what a full queue refuses, with reject-publish-dlx', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, {
    maxLength: 1,
    arguments: { 'x-overflow': 'reject-publish-dlx' },
  });
  t.equal(await outcome(publisher, queue, 'taken'), 'ack');
  t.equal(await outcome(publisher, queue, 'refused'), 'nack');
  const letter = await dead.next();
  t.equal(text(letter), 'refused');
  t.equal(deathReason(letter), 'maxlen');
  t.same(await drain(channel, queue), ['taken']);
});

t.test('what a full queue refuses with reject-publish is no dead letter', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } });
  await outcome(publisher, queue, 'taken');
  t.equal(await outcome(publisher, queue, 'refused'), 'nack');
  channel.nack(present(await channel.get(queue)), false, false);
  t.equal(text(await dead.next()), 'taken', 'the refused one would have come before');
});

t.test('purging, deleting and acknowledging make no dead letters', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel);
  await publish(publisher, queue, ['purged']);
  await channel.purgeQueue(queue);
  await publish(publisher, queue, ['acknowledged', 'returned', 'deleted']);
  channel.ack(present(await channel.get(queue)));
  channel.nack(present(await channel.get(queue)), false, true);
  await untilReady(channel, queue, 2);
  const { messageCount } = await channel.deleteQueue(queue);
  t.equal(messageCount, 2);
  // A dead letter of another queue comes after theirs would have.
  const other = await deadLettering(channel, { maxLength: 0 });
  await publish(publisher, other.queue, ['last']);
  await other.dead.next();
  t.equal(dead.size, 0);
});

t.test('a queue that is deleted because nobody uses it makes none of its messages dead letters', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(channel, { expires: 50 });
  await publish(publisher, queue, ['lost']);
  const asking = await openSession(t);
  const isGone = async (): Promise<boolean> =>
    (await asking.connection.createChannel()).checkQueue(queue).then(
      () => false,
      () => true,
    );
  // Asking renews the lease, so it is asked once, late enough.
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.ok(await isGone());
  t.equal(dead.size, 0);
});

t.test('delivery_limit: a quorum queue gives up a message that comes back too often', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { deadQueue, dead } = await deadLettering(channel);
  const queue = uniqueName();
  const args = { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 };
  await channel.assertQueue(queue, { deadLetterExchange: '', deadLetterRoutingKey: deadQueue, arguments: args });
  t.teardown(() => channel.deleteQueue(queue).catch(() => undefined));
  await publish(publisher, queue, ['again and again']);
  const counts: unknown[] = [];
  for (let i = 0; i < 2; i++) {
    const message = await until(
      () => channel.get(queue),
      (got) => got !== false,
    );
    counts.push(present(message).properties.headers?.['x-delivery-count']);
    channel.nack(present(message), false, true);
  }
  t.same(counts, [0, 1]);
  const letter = await dead.next();
  t.equal(deathReason(letter), 'delivery_limit');
  t.notOk('x-delivery-count' in (letter.properties.headers ?? {}), 'how often it came back is not told');
});

// What a full queue does, by x-overflow: drop its head, refuse publishes, or refuse and dead-letter them. The simple cases are in
// queue-length-limit.test.ts.
import { once } from 'node:events';
import type { ConfirmChannel, Options } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  call,
  channelClose,
  drain,
  openSession,
  present,
  publish,
  readyCount,
  text,
  texts,
} from '../helper/messages.ts';
import { deadLettering, deathReason, outcome, outcomeAt, publishAll, subscribe, untilReady } from '../helper/ttl.ts';

const REJECT = 'reject-publish';
const REJECT_DLX = 'reject-publish-dlx';
const bytesLimit = (bytes: number) => ({ arguments: { 'x-max-length-bytes': bytes } });

async function declare(publisher: ConfirmChannel, options: Options.AssertQueue): Promise<string> {
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, ...options });
  return queue;
}

t.test('drop-head: the oldest are dead-lettered, and publishers hear of no difference', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxLength: 2, overflow: 'drop-head' });
  for (const body of ['1', '2', '3', '4']) t.equal(await outcome(publisher, queue, body), 'ack');
  const letters = await dead.take(2);
  t.same(texts(letters), ['1', '2']);
  t.same(letters.map(deathReason), ['maxlen', 'maxlen']);
  t.same(await drain(publisher, queue), ['3', '4']);
});

t.test('drop-head: bytes are those of bodies, without headers, properties and routing keys', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, bytesLimit(10));
  const options = { headers: { long: 'x'.repeat(5000) }, correlationId: 'y'.repeat(200), persistent: true };
  await publishAll(publisher, queue, [
    ['12345', options],
    ['67890', options],
    ['', options],
  ]);
  t.equal(await readyCount(publisher, queue), 3, 'a full one holds exactly its limit');
  await publishAll(publisher, queue, [['x', options]]);
  t.same(await drain(publisher, queue), ['67890', '', 'x']);
});

t.test('drop-head: one that is too large by itself takes the others along', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, bytesLimit(10));
  await publish(publisher, queue, ['1', '2', 'eleven char']);
  t.same(texts(await dead.take(3)), ['1', '2', 'eleven char']);
  t.equal(await readyCount(publisher, queue), 0);
});

t.test('drop-head: whichever of two limits is reached', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 3, ...bytesLimit(10) });
  await publish(publisher, queue, ['a', 'b', 'c', 'd']);
  t.equal(await readyCount(publisher, queue), 3);
  await publish(publisher, queue, ['nine char']);
  t.same(await drain(publisher, queue), ['d', 'nine char']);
});

for (const [title, options] of [
  ['messages', { maxLength: 0 }],
  ['bytes', bytesLimit(0)],
] as const) {
  t.test(`drop-head: a limit of 0 ${title}`, async (t) => {
    const { channel, publisher } = await openSession(t);
    const { queue, dead } = await deadLettering(publisher, options);
    t.equal(await outcome(publisher, queue, 'nobody there'), 'ack');
    t.match(text(await dead.next()), 'nobody there');
    await channel.prefetch(1);
    const { inbox } = await subscribe(channel, queue);
    t.equal(await outcome(publisher, queue, 'delivered'), 'ack');
    const message = await inbox.next();
    t.equal(text(message), 'delivered', 'a consumer that is ready gets it');
    t.equal(await outcome(publisher, queue, 'nobody ready'), 'ack');
    t.equal(text(await dead.next()), 'nobody ready');
    channel.nack(message);
    const letter = await dead.next();
    t.equal(text(letter), 'delivered', 'what comes back goes, though its consumer is ready again');
    t.equal(deathReason(letter), 'maxlen');
    t.equal(await readyCount(publisher, queue), 0);
    t.equal(inbox.size, 0);
  });

  t.test(`reject-publish: a limit of 0 ${title} refuses everything, consumer or not`, async (t) => {
    const { channel, publisher } = await openSession(t);
    const queue = await declare(publisher, { overflow: REJECT, ...options });
    const { inbox } = await subscribe(channel, queue);
    t.equal(await outcome(publisher, queue, 'hare'), 'nack');
    t.equal(await readyCount(publisher, queue), 0);
    t.equal(inbox.size, 0);
  });
}

t.test('drop-head: the oldest goes when several come back', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxLength: 2 });
  await publish(publisher, queue, ['1', '2']);
  const first = present(await channel.get(queue));
  const second = present(await channel.get(queue));
  await publish(publisher, queue, ['3', '4']);
  t.equal(dead.size, 0, 'what a consumer holds does not count');
  channel.nack(second);
  t.equal(text(await dead.next()), '2', 'it is the head at once');
  channel.ack(first);
  t.same(await drain(publisher, queue), ['3', '4']);
});

t.test('drop-head: a message that comes back to free room stays', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 2 });
  await publish(publisher, queue, ['1', '2']);
  const first = present(await channel.get(queue));
  channel.nack(first);
  t.equal(await untilReady(publisher, queue, 2), 2);
  t.same(await drain(publisher, queue), ['1', '2']);
});

t.test('reject-publish: a full queue refuses until there is room', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 2, overflow: REJECT });
  const told: string[] = [];
  for (const body of ['1', '2', '3', '4']) told.push(await outcome(publisher, queue, body));
  t.same(told, ['ack', 'ack', 'nack', 'nack']);
  t.equal(text(present(await publisher.get(queue, { noAck: true }))), '1');
  t.equal(await outcome(publisher, queue, '5'), 'ack');
  t.equal(await outcome(publisher, queue, '6'), 'nack');
  t.same(await publisher.purgeQueue(queue), { messageCount: 2 });
  t.equal(await outcome(publisher, queue, '7', { persistent: true }), 'ack');
  t.same(await drain(publisher, queue), ['7']);
});

t.test('reject-publish: what is refused in a burst is told one by one', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 3, overflow: REJECT });
  const numbers = ['1', '2', '3', '4', '5', '6', '7'];
  const told = await Promise.all(numbers.map((number) => outcome(publisher, queue, number)));
  t.same(told, ['ack', 'ack', 'ack', 'nack', 'nack', 'nack', 'nack']);
});

t.test('reject-publish: bytes, counting the message that comes', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { overflow: REJECT, ...bytesLimit(10) });
  const told: string[] = [];
  for (const body of ['123456', '12345', '1234', '1', '']) told.push(await outcome(publisher, queue, body));
  t.same(told, ['ack', 'nack', 'ack', 'nack', 'ack'], 'an empty one always has room');
  t.same(await drain(publisher, queue), ['123456', '1234', '']);
  t.equal(await outcome(publisher, queue, 'eleven char'), 'nack', 'not even by itself');
});

t.test('reject-publish: what consumers hold does not count', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 1, overflow: REJECT });
  await channel.prefetch(2);
  const { inbox } = await subscribe(channel, queue);
  const told: string[] = [];
  for (const body of ['1', '2', '3', '4']) told.push(await outcome(publisher, queue, body));
  t.same(told, ['ack', 'ack', 'ack', 'nack']);
  channel.nack(await inbox.next());
  t.equal(text(await inbox.next()), '2');
  const again = await inbox.next();
  t.same([text(again), again.fields.redelivered], ['1', true]);
});

t.test('reject-publish: what comes back is kept, even over the limit', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxLength: 1, overflow: REJECT });
  await publish(publisher, queue, ['1']);
  const held = present(await channel.get(queue));
  await publish(publisher, queue, ['2']);
  channel.nack(held);
  t.equal(await untilReady(publisher, queue, 2), 2);
  t.equal(await outcome(publisher, queue, '3'), 'nack');
  t.equal(text(present(await publisher.get(queue, { noAck: true }))), '1');
  t.equal(await outcome(publisher, queue, '4'), 'nack', 'with one message it is full still');
  t.same(await drain(publisher, queue), ['2']);
  t.equal(dead.size, 0);
});

t.test('reject-publish: a dead-letter exchange does not get what is refused', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead, deadQueue } = await deadLettering(publisher, { maxLength: 1, overflow: REJECT });
  await publish(publisher, queue, ['1']);
  t.equal(await outcome(publisher, queue, '2'), 'nack');
  await publish(publisher, deadQueue, ['marker']);
  t.equal(text(await dead.next()), 'marker');
});

t.test('reject-publish-dlx: what is refused is dead-lettered as well', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxLength: 1, overflow: REJECT_DLX });
  t.equal(await outcome(publisher, queue, '1'), 'ack');
  t.equal(await outcome(publisher, queue, '2', { headers: { a: 1 }, persistent: true }), 'nack');
  const letter = await dead.next();
  t.equal(text(letter), '2');
  t.equal(letter.properties.deliveryMode, 2);
  t.match(letter.properties.headers, {
    a: 1,
    'x-first-death-queue': queue,
    'x-first-death-reason': 'maxlen',
    'x-first-death-exchange': '',
    'x-death': [{ queue, reason: 'maxlen', exchange: '', count: 1, 'routing-keys': [queue] }],
  });
  t.same(await drain(publisher, queue), ['1']);
});

t.test('reject-publish-dlx: without a dead-letter exchange it refuses', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 1, overflow: REJECT_DLX });
  t.equal(await outcome(publisher, queue, '1'), 'ack');
  t.equal(await outcome(publisher, queue, '2'), 'nack');
  t.same(await drain(publisher, queue), ['1']);
});

t.test('reject-publish-dlx: what comes back is kept', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await deadLettering(publisher, { maxLength: 1, overflow: REJECT_DLX });
  await publish(publisher, queue, ['1']);
  const held = present(await channel.get(queue));
  await publish(publisher, queue, ['2']);
  channel.nack(held);
  t.equal(await untilReady(publisher, queue, 2), 2);
  t.same(await drain(publisher, queue), ['1', '2']);
});

for (const overflow of [REJECT, REJECT_DLX]) {
  t.test(`${overflow}: one of two queues refuses, and the publisher hears of that`, async (t) => {
    const { publisher } = await openSession(t);
    const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { autoDelete: true, durable: false });
    const full = await declare(publisher, { maxLength: 1, overflow });
    const free = await declare(publisher, {});
    for (const queue of [full, free]) await publisher.bindQueue(queue, exchange, '');
    let returns = 0;
    publisher.on('return', () => returns++);
    const mandatory = { mandatory: true, persistent: true };
    t.equal(await outcomeAt(publisher, exchange, '', '1', mandatory), 'ack');
    t.equal(await outcomeAt(publisher, exchange, '', '2', mandatory), 'nack');
    t.equal(await outcomeAt(publisher, exchange, '', '3', mandatory), 'nack');
    t.equal(returns, 0, 'it was routed');
    t.same(await drain(publisher, full), ['1']);
    t.same(await drain(publisher, free), ['1', '2', '3'], 'the other queue has it in any case');
  });
}

t.test('a mandatory message that its only queue refuses does not come back', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 0, overflow: REJECT });
  let returns = 0;
  publisher.on('return', () => returns++);
  t.equal(await outcome(publisher, queue, 'hare', { mandatory: true }), 'nack');
  t.equal(returns, 0);
});

t.test('two queues that refuse make one nack', async (t) => {
  const { publisher } = await openSession(t);
  const one = await declare(publisher, { maxLength: 0, overflow: REJECT });
  const other = await declare(publisher, { maxLength: 0, overflow: REJECT });
  const free = await declare(publisher, {});
  const told: string[] = [];
  publisher.on('nack', () => told.push('nack'));
  publisher.on('ack', () => told.push('ack'));
  t.equal(await outcome(publisher, one, '1', { CC: [other, free] }), 'nack');
  t.equal(await outcome(publisher, free, '2'), 'ack');
  t.same(told, ['nack', 'ack']);
  t.same(await drain(publisher, free), ['1', '2']);
});

t.test('a publisher that asked for no confirms is told nothing', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 1, overflow: REJECT });
  for (const body of ['1', '2', '3']) channel.sendToQueue(queue, Buffer.from(body));
  t.same(await drain(channel, queue), ['1']);
});

for (const overflow of [REJECT, REJECT_DLX]) {
  t.test(
    `${overflow}: a commit whose messages a queue refuses closes the channel with 406, and the rest of it is done`,
    async (t) => {
      const { channel, publisher, queue: free } = await openSession(t);
      const full = await declare(publisher, { maxLength: 1, overflow });
      await publish(publisher, free, ['to be acknowledged']);
      await call(channel, 'TxSelect');
      channel.ack(present(await channel.get(free)));
      for (const body of ['1', '2', '3']) channel.sendToQueue(full, Buffer.from(body));
      channel.sendToQueue(free, Buffer.from('4'));
      const expected = channelClose(406, 'PRECONDITION_FAILED - partial tx completion', 90, 20);
      await t.rejects(call(channel, 'TxCommit'), expected);
      t.equal(await untilReady(publisher, free, 1), 1);
      t.same(await drain(publisher, full), ['1']);
      t.same(await drain(publisher, free), ['4']);
    },
  );
}

t.test('dead letters that their queue refuses are lost', async (t) => {
  const { channel, publisher } = await openSession(t);
  const target = await declare(publisher, { maxLength: 1, overflow: REJECT });
  const source = await declare(publisher, { deadLetterExchange: '', deadLetterRoutingKey: target });
  await publish(publisher, source, ['1', '2']);
  const { inbox } = await subscribe(channel, source);
  for (const message of await inbox.take(2)) channel.nack(message, false, false);
  t.equal(await untilReady(publisher, target, 1), 1);
  t.same(await drain(publisher, target), ['1']);
  t.equal(await readyCount(publisher, source), 0);
});

t.test('a confirm of a dropped message comes like any other', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { maxLength: 1 });
  t.teardown(() => publisher.deleteQueue(queue));
  const acked = once(publisher, 'ack');
  const told = ['1', '2', '3'].map((body) => outcome(publisher, queue, body, { persistent: true }));
  t.same(await Promise.all(told), ['ack', 'ack', 'ack']);
  await acked;
  t.same(await drain(publisher, queue), ['3']);
});

t.test('drop-head: the length limit comes before expiry, even for what expires at once', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { maxLength: 1 });
  await publishAll(publisher, queue, [['1'], ['2', { expiration: 0 }]]);
  const { queue: none, dead: deadOfNone } = await deadLettering(publisher, { maxLength: 0 });
  await publishAll(publisher, none, [['3', { expiration: 0 }]]);
  const letters = [...(await dead.take(2)), ...(await deadOfNone.take(1))];
  t.same(
    letters.map((letter) => [text(letter), deathReason(letter)]),
    [
      ['1', 'maxlen'],
      ['2', 'expired'],
      ['3', 'maxlen'],
    ],
  );
  t.equal(await readyCount(publisher, queue), 0);
});

t.test('reject-publish: a full queue refuses what would expire at once', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await declare(publisher, { maxLength: 1, overflow: REJECT });
  t.equal(await outcome(publisher, queue, '1'), 'ack');
  t.equal(await outcome(publisher, queue, '2', { expiration: 0 }), 'nack');
  t.same(await drain(publisher, queue), ['1']);
  t.equal(await outcome(publisher, queue, '3', { expiration: 0 }), 'ack');
  t.equal(await readyCount(publisher, queue), 0);
});

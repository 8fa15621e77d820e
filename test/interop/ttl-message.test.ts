// Messages expire: the `expiration` property, the `x-message-ttl` argument, and both together.
import { once } from 'node:events';
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
import { deadLettering, outcome, type Publication, passed, publishAll, subscribe, untilReady } from '../helper/ttl.ts';

// Most of each test is waiting, so they wait side by side.
t.jobs = 8;

/** More than a loaded machine needs to look at what is still there. */
const SOON = 400;
const NEVER = 60_000;

for (const [title, queueTtl, expiration] of [
  ['the expiration of the message', undefined, SOON],
  ['the time to live of the queue', SOON, undefined],
  ['the smaller one, of the queue', SOON, NEVER],
  ['the smaller one, of the message', NEVER, SOON],
] as const) {
  t.test(`a message leaves on time: ${title}`, async (t) => {
    const { publisher } = await openSession(t);
    const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: queueTtl });
    const before = performance.now();
    await publishAll(publisher, queue, [['gone', { expiration }]]);
    t.equal(await readyCount(publisher, queue), 1);
    t.equal(await untilReady(publisher, queue, 0), 0, 'it is counted no more');
    t.ok(performance.now() - before >= SOON - 1, 'not too early');
    t.notOk(await publisher.get(queue), 'basic.get finds nothing');
    t.same(await publisher.purgeQueue(queue), { messageCount: 0 });
  });
}

t.test('a message that is consumed in time still says how it was published', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: NEVER });
  const headers = { a: 1, 'x-message-ttl': 5 };
  await publishAll(publisher, queue, [
    ['both', { expiration: '70000', headers, persistent: true }],
    ['queue only', { headers }],
  ]);
  const { properties } = present(await publisher.get(queue));
  t.match(properties, { expiration: '70000', deliveryMode: 2 });
  t.same(properties.headers, headers);
  const other = present(await publisher.get(queue)).properties;
  t.equal(other.expiration, undefined, 'the time of the queue is not told');
  t.same(other.headers, headers);
});

t.test('only what has expired is missing', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publishAll(publisher, queue, [
    ['1', { expiration: SOON }],
    ['2', { expiration: NEVER }],
    ['3', { expiration: SOON }],
    ['4'],
    ['5', { expiration: SOON }],
  ]);
  await passed(2 * SOON);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['6']);
  t.same(texts(await inbox.take(3)), ['2', '4', '6'], 'whether RabbitMQ counts the others still or not');
});

t.test('basic.get passes over what has expired', async (t) => {
  const { publisher, queue } = await openSession(t);
  await publishAll(publisher, queue, [
    ['1', { expiration: SOON }],
    ['2', { expiration: NEVER }],
    ['3', { expiration: SOON }],
  ]);
  await passed(2 * SOON);
  const first = present(await publisher.get(queue, { noAck: true }));
  t.equal(text(first), '2');
  t.equal(first.fields.redelivered, false);
  t.notOk(await publisher.get(queue));
});

t.test('what waits behind a full prefetch expires', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: SOON });
  await channel.prefetch(1);
  const { inbox } = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3']);
  const first = await inbox.next();
  t.equal(text(first), '1');
  t.equal(await untilReady(publisher, queue, 0), 0);
  channel.ack(first);
  await publish(publisher, queue, ['4']);
  t.equal(text(await inbox.next()), '4');
});

t.test('messages of one queue expire each at its own time', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: 1200 });
  await publish(publisher, queue, ['1']);
  await passed(600);
  await publish(publisher, queue, ['2']);
  t.equal(await untilReady(publisher, queue, 1), 1);
  t.same(await drain(publisher, queue), ['2'], 'the second has time left when the first is gone');
});

for (const [title, options, publication] of [
  ['of the message', {}, { expiration: 0 }],
  ['of the queue', { messageTtl: 0 }, {}],
  ['of both, persistent', { messageTtl: 0 }, { expiration: 0, persistent: true }],
] as const) {
  t.test(`a time to live of 0 ${title}`, async (t) => {
    const { channel, publisher } = await openSession(t);
    const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, ...options });
    let returns = 0;
    publisher.on('return', () => returns++);
    const mandatory = { mandatory: true, ...publication };
    t.equal(await outcome(publisher, queue, 'nobody there', mandatory), 'ack');
    t.equal(returns, 0, 'it was routed');
    t.equal(await readyCount(publisher, queue), 0, 'without a consumer it is gone at once');
    t.notOk(await publisher.get(queue));

    await channel.prefetch(1);
    const { inbox } = await subscribe(channel, queue);
    t.equal(await outcome(publisher, queue, 'delivered', publication), 'ack');
    const first = await inbox.next();
    t.equal(text(first), 'delivered', 'a consumer that is ready gets it');

    t.equal(await outcome(publisher, queue, 'nobody ready', publication), 'ack');
    t.equal(await readyCount(publisher, queue), 0, 'a consumer that is not ready does not keep it');
    channel.ack(first);
    t.equal(await outcome(publisher, queue, 'again', publication), 'ack');
    t.equal(text(await inbox.next()), 'again');
    t.equal(inbox.size, 0);
  });
}

t.test('a time to live of 0 with consumers that take turns', async (t) => {
  const { channel, publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: 0 });
  const one = await subscribe(channel, queue, { noAck: true });
  const two = await subscribe(channel, queue, { noAck: true });
  await publish(publisher, queue, ['1', '2', '3', '4']);
  t.same(texts(await one.inbox.take(2)), ['1', '3']);
  t.same(texts(await two.inbox.take(2)), ['2', '4']);
});

t.test('what one queue of a fanout forgets, the others keep', async (t) => {
  const { publisher } = await openSession(t);
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { autoDelete: true });
  const ttls = [undefined, SOON, 0, NEVER];
  const queues: string[] = [];
  for (const messageTtl of ttls) {
    const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl });
    await publisher.bindQueue(queue, exchange, '');
    queues.push(queue);
  }
  publisher.publish(exchange, '', Buffer.from('hare'), { persistent: true });
  await publisher.waitForConfirms();
  const counts = () => Promise.all(queues.map((queue) => readyCount(publisher, queue)));
  t.same(await counts(), [1, 1, 0, 1]);
  t.equal(await untilReady(publisher, queues[1] ?? '', 0), 0);
  t.same(await counts(), [1, 0, 0, 1]);
  publisher.publish(exchange, '', Buffer.from('hare'), { expiration: SOON });
  await publisher.waitForConfirms();
  t.same(await counts(), [2, 1, 0, 2]);
  await passed(SOON);
  for (const [i, left] of [1, 0, 0, 1].entries()) {
    const queue = queues[i] ?? '';
    t.same((await drain(publisher, queue)).length, left, `time to live ${ttls[i]}`);
  }
});

t.test('dead letters expire again: in each queue the time starts anew', async (t) => {
  const { publisher, channel } = await openSession(t);
  const last = uniqueName();
  const middle = uniqueName();
  const first = uniqueName();
  const to = (deadLetterRoutingKey: string) => ({ exclusive: true, deadLetterExchange: '', deadLetterRoutingKey });
  await publisher.assertQueue(last, { exclusive: true });
  await publisher.assertQueue(middle, { ...to(last), messageTtl: SOON });
  await publisher.assertQueue(first, { ...to(middle), messageTtl: 2 * SOON });
  const { inbox } = await subscribe(channel, last, { noAck: true });
  const before = performance.now();
  await publish(publisher, first, ['hare']);
  await inbox.next();
  t.ok(performance.now() - before >= 3 * SOON - 2, 'both times have passed');
});

t.test('the time of a transaction does not count', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await call(channel, 'TxSelect');
  channel.sendToQueue(queue, Buffer.from('hare'), { expiration: 2 * SOON });
  await readyCount(channel, queue); // the broker has it
  await passed(3 * SOON);
  await call(channel, 'TxCommit');
  t.equal(await readyCount(publisher, queue), 1);
  t.equal(await untilReady(publisher, queue, 0), 0);
});

t.test('purging leaves nothing to expire', async (t) => {
  const { publisher, queue } = await openSession(t);
  await publishAll(publisher, queue, [['1', { expiration: SOON }], ['2', { expiration: SOON }], ['3']]);
  t.same(await publisher.purgeQueue(queue), { messageCount: 3 });
  await publish(publisher, queue, ['4']);
  await passed(2 * SOON);
  t.same(await drain(publisher, queue), ['4']);
});

t.test('a return of a mandatory message has its expiration still', async (t) => {
  const { channel } = await openSession(t);
  const returned = once(channel, 'return');
  channel.sendToQueue(uniqueName(), Buffer.from('hare'), { mandatory: true, expiration: 0 });
  const [message] = await returned;
  t.equal(message.properties.expiration, '0');
});

t.test('the largest times: messages stay', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, messageTtl: 315_360_000_000 });
  await publishAll(publisher, queue, [
    ['1', { expiration: 2 ** 31 }],
    ['2', { expiration: 2 ** 32 }],
    ['3', { expiration: 315_360_000_000 }],
    ['4'],
  ]);
  await passed(50); // a timer whose time overflows would fire at once
  t.same(await drain(publisher, queue), ['1', '2', '3', '4']);
});

t.test('a time to live of more than ten years is refused', async (t) => {
  const { channel } = await openSession(t);
  const queue = uniqueName();
  const problem = `invalid arg 'x-message-ttl' for queue '${queue}' in vhost '/': {value_too_large,315360000001}`;
  const expected = channelClose(406, `PRECONDITION_FAILED - ${problem}`, 50, 10);
  await t.rejects(channel.assertQueue(queue, { messageTtl: 315_360_000_001 }), expected);
});

t.test('many deadlines, in no order', async (t) => {
  const { publisher, queue } = await openSession(t);
  const publications: Publication[] = [];
  for (let i = 0; i < 2000; i++) {
    publications.push([String(i), i % 10 === 0 ? {} : { expiration: (i * 7919) % 400, persistent: i % 2 === 0 }]);
  }
  await publishAll(publisher, queue, publications);
  await passed(400 + SOON);
  const kept = publications.filter(([, options]) => options?.expiration === undefined).map(([text]) => text);
  t.same(await drain(publisher, queue), kept);
  t.equal(await readyCount(publisher, queue), 0);
});

t.test('a dead letter says what its expiration was, and has none any more', async (t) => {
  const { publisher } = await openSession(t);
  const { queue, dead } = await deadLettering(publisher, { messageTtl: SOON });
  await publishAll(publisher, queue, [
    ['both', { expiration: NEVER }],
    ['queue only'],
    ['message', { expiration: '0050', headers: { a: 1 } }],
  ]);
  const letters = await dead.take(3);
  const byText = (wanted: string) => present(letters.find((letter) => text(letter) === wanted) ?? false).properties;
  for (const [name, original] of [
    ['both', '60000'],
    ['queue only', undefined],
    ['message', '0050'],
  ] as const) {
    const { expiration, headers } = byText(name);
    t.equal(expiration, undefined);
    const [death] = headers?.['x-death'] ?? [];
    t.match(death, { reason: 'expired', queue, exchange: '', count: 1, 'routing-keys': [queue] });
    t.equal(death?.['original-expiration'], original, name);
  }
  t.equal(byText('message').headers?.a, 1);
});

// x-max-priority: of the messages that are ready, those of the highest priority go first, and of equal ones the oldest.
import type { Channel, ConfirmChannel } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { drain, openSession, present, readyCount, text, texts } from '../helper/messages.ts';
import { type Publication, publishAll, subscribe } from '../helper/ttl.ts';

/** An exclusive queue of priorities up to 5 with these messages. */
async function queueOf(publisher: ConfirmChannel, publications: readonly Publication[], maxPriority = 5) {
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, maxPriority });
  await publishAll(publisher, queue, publications);
  return queue;
}

/** A message whose text is its priority and a number. */
function prioritized(...names: string[]): Publication[] {
  return names.map((name) => [name, { priority: Number(name.split('-')[0]) }]);
}

async function take(channel: Channel, queue: string) {
  return present(await channel.get(queue));
}

t.test('the highest priority first, and the oldest of equal ones', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('1-a', '3-a', '0-a', '5-a', '3-b', '1-b', '5-b', '0-b', '3-c'));
  t.equal(await readyCount(publisher, queue), 9);
  t.same(await drain(publisher, queue), ['5-a', '5-b', '3-a', '3-b', '3-c', '1-a', '1-b', '0-a', '0-b']);
});

t.test('a consumer that comes later gets a backlog in that order', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('1-a', '3-a', '0-a', '5-a', '3-b'));
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  const messages = await inbox.take(5);
  t.same(texts(messages), ['5-a', '3-a', '3-b', '1-a', '0-a']);
  t.same(
    messages.map(({ fields }) => fields.redelivered),
    [false, false, false, false, false],
  );
});

t.test('none is priority 0, and more than the highest is the highest', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await queueOf(publisher, [['none'], ['0', { priority: 0 }], ['none again'], ['1', { priority: 1 }]]);
  t.same(await drain(publisher, queue), ['1', 'none', '0', 'none again']);
  await publishAll(publisher, queue, prioritized('4-a', '9-a', '5-a', '255-a', '6-a', '5-b'));
  const first = await take(publisher, queue);
  t.equal(text(first), '9-a');
  t.equal(first.properties.priority, 9, 'what the publisher said is what the consumer reads');
  t.same(await drain(publisher, queue), ['5-a', '255-a', '6-a', '5-b', '4-a']);
});

t.test('255 priorities', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('0', '100', '254', '255', '1'), 255);
  t.same(await drain(publisher, queue), ['255', '254', '100', '1', '0']);
});

for (const [title, options] of [
  ['a highest priority of 0', { maxPriority: 0 }],
  ['no x-max-priority', {}],
] as const) {
  t.test(`${title}: in the order of publishing`, async (t) => {
    const { publisher } = await openSession(t);
    const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, ...options });
    await publishAll(publisher, queue, prioritized('1', '3', '2'));
    t.same(await drain(publisher, queue), ['1', '3', '2']);
  });
}

t.test('a message that is given back takes its place again', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('1-a', '3-a', '1-b', '3-b', '3-c'));
  const [first, second, third, fourth] = [
    await take(channel, queue),
    await take(channel, queue),
    await take(channel, queue),
    await take(channel, queue),
  ];
  t.same(texts([first, second, third, fourth]), ['3-a', '3-b', '3-c', '1-a']);
  channel.nack(fourth);
  channel.nack(second);
  await publishAll(publisher, queue, prioritized('3-d', '5-a'));
  channel.nack(first);
  channel.ack(third);
  const messages = [];
  for (let i = 0; i < 6; i++) messages.push(await take(channel, queue));
  t.same(texts(messages), ['5-a', '3-a', '3-b', '3-d', '1-a', '1-b']);
  t.same(
    messages.map(({ fields }) => fields.redelivered),
    [false, true, true, false, true, false],
  );
});

t.test('several that are given back at once', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('0-a', '2-a', '1-a', '2-b', '0-b'));
  const { inbox, consumerTag } = await subscribe(channel, queue);
  const messages = await inbox.take(5);
  await channel.cancel(consumerTag);
  channel.nackAll();
  await publishAll(publisher, queue, prioritized('1-b'));
  t.same(texts(messages), ['2-a', '2-b', '1-a', '0-a', '0-b']);
  t.same(await drain(channel, queue), ['2-a', '2-b', '1-a', '1-b', '0-a', '0-b']);
});

t.test('a channel that closes gives back, too', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('0-a', '2-a', '1-a', '2-b'));
  await take(channel, queue);
  await take(channel, queue);
  await take(channel, queue);
  await channel.close();
  t.same(await drain(publisher, queue), ['2-a', '2-b', '1-a', '0-a']);
});

t.test(
  'a message that nobody got before is not redelivered, though one published after it was delivered',
  async (t) => {
    const { channel, publisher } = await openSession(t);
    const queue = await queueOf(publisher, prioritized('1-a', '3-a', '2-a'));
    channel.ack(await take(channel, queue));
    const second = await take(channel, queue);
    t.equal(second.fields.redelivered, false);
    channel.nack(second);
    await publishAll(publisher, queue, prioritized('3-b'));
    const rest = [await take(channel, queue), await take(channel, queue), await take(channel, queue)];
    t.same(
      rest.map((message) => [text(message), message.fields.redelivered]),
      [
        ['3-b', false],
        ['2-a', true],
        ['1-a', false],
      ],
    );
  },
);

t.test('a consumer that waits gets what comes, whatever its priority', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, []);
  const { inbox } = await subscribe(channel, queue, { noAck: true });
  for (const publication of prioritized('1-a', '5-a', '0-a')) await publishAll(publisher, queue, [publication]);
  t.same(texts(await inbox.take(3)), ['1-a', '5-a', '0-a']);
});

t.test('what a consumer holds is not taken back for a higher priority, but that is next', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, []);
  await channel.prefetch(1);
  const { inbox } = await subscribe(channel, queue);
  await publishAll(publisher, queue, prioritized('0-a', '0-b', '1-a', '5-a', '4-a'));
  const received: string[] = [];
  for (let i = 0; i < 6; i++) {
    const message = await inbox.next();
    received.push(text(message));
    if (i === 2) await publishAll(publisher, queue, prioritized('5-b'));
    channel.ack(message);
  }
  t.same(received, ['0-a', '5-a', '4-a', '5-b', '1-a', '0-b']);
});

t.test('a prefetch of several', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('0-a', '1-a', '2-a', '3-a', '4-a'));
  await channel.prefetch(2);
  const { inbox } = await subscribe(channel, queue);
  const [first, second] = await inbox.take(2);
  t.equal(await readyCount(publisher, queue), 3);
  await publishAll(publisher, queue, prioritized('5-a'));
  channel.ack(present(second ?? false));
  t.equal(text(await inbox.next()), '5-a');
  channel.ack(present(first ?? false));
  t.equal(text(await inbox.next()), '2-a');
});

t.test('consumers take turns over the order of priorities', async (t) => {
  const { channel, publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('0-a', '1-a', '2-a', '3-a'));
  await channel.prefetch(1);
  const one = await subscribe(channel, queue);
  const two = await subscribe(channel, queue);
  const first = await one.inbox.next();
  t.equal(text(first), '3-a');
  t.equal(text(await two.inbox.next()), '2-a');
  channel.ack(first);
  t.equal(text(await one.inbox.next()), '1-a');
});

t.test('counts are of all priorities', async (t) => {
  const { publisher } = await openSession(t);
  const queue = await queueOf(publisher, prioritized('0-a', '1-a', '2-a', '3-a', '5-a'));
  t.equal(present(await publisher.get(queue)).fields.messageCount, 4);
  t.same(await publisher.checkQueue(queue), { queue, messageCount: 4, consumerCount: 0 });
  t.same(await publisher.purgeQueue(queue), { messageCount: 4 });
  t.equal(await readyCount(publisher, queue), 0);
  await publishAll(publisher, queue, prioritized('1-b', '2-b'));
  t.same(await publisher.deleteQueue(queue), { messageCount: 2 });
});

t.test('a priority queue between others in a fanout', async (t) => {
  const { publisher } = await openSession(t);
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout', { autoDelete: true, durable: false });
  const byPriority = await queueOf(publisher, []);
  const { queue: plain } = await publisher.assertQueue(uniqueName(), { exclusive: true });
  for (const queue of [byPriority, plain]) await publisher.bindQueue(queue, exchange, '');
  for (const priority of [1, 3, 2]) publisher.publish(exchange, '', Buffer.from(String(priority)), { priority });
  await publisher.waitForConfirms();
  t.same(await drain(publisher, byPriority), ['3', '2', '1']);
  t.same(await drain(publisher, plain), ['1', '3', '2']);
});

t.test('persistent and transient messages of one priority stay in order', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), { maxPriority: 2 });
  t.teardown(() => publisher.deleteQueue(queue));
  const publications: Publication[] = [];
  for (let i = 0; i < 30; i++) publications.push([String(i), { priority: i % 3, persistent: i % 2 === 0 }]);
  await publishAll(publisher, queue, publications);
  const rest = (priority: number) => publications.map(([text]) => text).filter((text) => Number(text) % 3 === priority);
  t.same(await drain(publisher, queue), [...rest(2), ...rest(1), ...rest(0)]);
});

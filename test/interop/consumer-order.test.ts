// Who gets the next message: turns between consumers, and consumer priorities (x-priority).
import type { Channel } from 'amqplib';
import t from 'tap';
import { channelClose, openSession, present, publish, readyCount, subscribe, text, texts } from '../helper/messages.ts';

t.test('consumers of one channel take turns in the order they subscribed', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const consumers = [await subscribe(channel, queue), await subscribe(channel, queue), await subscribe(channel, queue)];
  await publish(publisher, queue, ['1', '2', '3', '4', '5', '6', '7']);
  const received = await Promise.all([3, 2, 2].map((count, i) => consumers[i]?.inbox.take(count)));
  t.same(
    received.map((messages) => texts(messages ?? [])),
    [
      ['1', '4', '7'],
      ['2', '5'],
      ['3', '6'],
    ],
  );
});

t.test('consumers of several channels take turns too', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  const one = await subscribe(channel, queue);
  const two = await subscribe(await connection.createChannel(), queue);
  for (const number of ['1', '2', '3', '4']) await publish(publisher, queue, [number]);
  t.same(texts(await one.inbox.take(2)), ['1', '3']);
  t.same(texts(await two.inbox.take(2)), ['2', '4']);
});

t.test('a consumer at its limit is passed over', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await channel.prefetch(1);
  const slow = await subscribe(channel, queue);
  await channel.prefetch(0);
  const fast = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3', '4']);
  t.same(texts(await slow.inbox.take(1)), ['1']);
  t.same(texts(await fast.inbox.take(3)), ['2', '3', '4']);
});

t.test('a backlog goes to the first consumer as far as its limit allows, then to the next', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  await publish(publisher, queue, ['1', '2', '3', '4', '5']);
  await channel.prefetch(2);
  const one = await subscribe(channel, queue);
  t.same(texts(await one.inbox.take(2)), ['1', '2']);
  const two = await subscribe(channel, queue);
  t.same(texts(await two.inbox.take(2)), ['3', '4']);
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('the consumer of the highest priority gets everything while it has room', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const low = await subscribe(channel, queue, { priority: -1 });
  const high = await subscribe(channel, queue, { priority: 10 });
  const plain = await subscribe(channel, queue);
  await publish(publisher, queue, ['1', '2', '3']);
  t.same(texts(await high.inbox.take(3)), ['1', '2', '3']);
  t.same([low.inbox.size, plain.inbox.size], [0, 0]);
});

t.test('at its limit the next lower priority gets its turn, and it is first again after an ack', async (t) => {
  const { connection, channel, publisher, queue } = await openSession(t);
  await channel.prefetch(2);
  const high = await subscribe(channel, queue, { priority: 10 });
  const other = await connection.createChannel();
  const plain = await subscribe(other, queue);
  const low = await subscribe(other, queue, { priority: -1 });
  await publish(publisher, queue, ['1', '2', '3', '4']);
  const [first] = await high.inbox.take(2);
  t.same(texts(await plain.inbox.take(2)), ['3', '4']);
  channel.ack(present(first ?? false));
  await channel.assertQueue('', { exclusive: true }); // the ack has been handled when this is answered
  await publish(publisher, queue, ['5']);
  t.equal(text(await high.inbox.next()), '5');
  t.equal(low.inbox.size, 0);
});

t.test('consumers of equal priority take turns', async (t) => {
  const { channel, publisher, queue } = await openSession(t);
  const one = await subscribe(channel, queue, { priority: 5 });
  const two = await subscribe(channel, queue, { arguments: { 'x-priority': 5 } });
  await publish(publisher, queue, ['1', '2', '3', '4']);
  t.same(texts(await one.inbox.take(2)), ['1', '3']);
  t.same(texts(await two.inbox.take(2)), ['2', '4']);
});

t.test('any integer type is a priority', async (t) => {
  const { channel, queue } = await openSession(t);
  const types: [string, number][] = [
    ['int8', -128],
    ['uint8', 255],
    ['int16', -300],
    ['uint16', 65_535],
    ['int32', 100_000],
    ['uint32', 4_000_000_000],
    ['int64', 2 ** 40],
  ];
  for (const [type, value] of types)
    await t.resolves(consumeWithPriority(channel, queue, { '!': type, value }), `${type} ${value}`);
});

const wrong: [unknown, string][] = [
  ['5', 'longstr'],
  [1.5, 'double'],
  [true, 'bool'],
  [null, 'void'],
  [{}, 'table'],
  [[1], 'array'],
  [{ '!': 'timestamp', value: 5 }, 'timestamp'],
];
for (const [value, type] of wrong) {
  t.test(`x-priority of type ${type} closes the channel with 406`, async (t) => {
    const { channel, queue } = await openSession(t);
    const expected = `PRECONDITION_FAILED - invalid arg 'x-priority' for queue '${queue}' in vhost '/': "expected integer, got ${type}"`;
    await t.rejects(consumeWithPriority(channel, queue, value), channelClose(406, expected, 60, 20));
  });
}

function consumeWithPriority(channel: Channel, queue: string, priority: unknown) {
  return subscribe(channel, queue, { arguments: { 'x-priority': priority } });
}

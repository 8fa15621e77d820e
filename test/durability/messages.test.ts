// Which messages are there after a restart, and that they are what was published.
import { createHash } from 'node:crypto';
import type { Channel, Options } from 'amqplib';
import { uniqueName } from '../helper/broker.ts';
import { afterEachEnding, flush } from '../helper/durable-broker.ts';
import { drain, present, readyCount } from '../helper/messages.ts';

const PERSISTENT = { persistent: true };

/** Values of every type that amqplib can put into a table. */
const HEADERS = {
  string: 'a string',
  empty: '',
  long: 'x'.repeat(20_000),
  unicode: '兎 🐇',
  true: true,
  false: false,
  null: null,
  byte: -128,
  short: 30_000,
  int: -2_000_000_000,
  long64: 2 ** 40,
  double: Math.PI,
  float: { '!': 'float', value: 0.25 },
  int8: { '!': 'int8', value: 127 },
  uint8: { '!': 'uint8', value: 255 },
  int16: { '!': 'int16', value: 5 },
  uint16: { '!': 'uint16', value: 65_535 },
  uint32: { '!': 'uint32', value: 4_294_967_295 },
  int64: { '!': 'int64', value: -1 },
  timestamp: { '!': 'timestamp', value: 1_700_000_000 },
  decimal: { '!': 'decimal', value: { places: 2, digits: 314 } },
  array: [1, 'two', false, null, [3], { four: 4 }],
  table: { a: { b: { c: [{ d: 1 }] } } },
  bytes: Buffer.from([0, 1, 254, 255]),
};

const PROPERTIES: Options.Publish = {
  contentType: 'application/json',
  contentEncoding: 'gzip',
  priority: 7,
  correlationId: 'correlation-1',
  replyTo: 'somewhere',
  messageId: 'message-1',
  timestamp: 1_700_000_000,
  type: 'hare.seen',
  userId: 'guest',
  appId: 'leveret',
};

/** What a consumer sees of the next message. */
async function seen(channel: Channel, queue: string) {
  const { fields, properties, content } = present(await channel.get(queue, { noAck: true }));
  const { exchange, routingKey } = fields;
  return { exchange, routingKey, properties, content: content.toString('hex') };
}

function digest(body: Buffer): string {
  return `${body.length} ${createHash('sha256').update(body).digest('hex')}`;
}

/** Bytes that repeat nowhere near, so that a piece in the wrong place is noticed. */
function bodyOf(size: number): Buffer {
  const body = Buffer.alloc(size);
  for (let i = 0; i < size; i++) body[i] = (i * 2_654_435_761) >>> 13;
  return body;
}

afterEachEnding('persistent messages are there again, in order', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName());
  const numbers = Array.from({ length: 5000 }, (_, i) => String(i));
  for (const number of numbers) publisher.sendToQueue(queue, Buffer.from(number), PERSISTENT);
  await publisher.waitForConfirms();
  const { channel } = await broker.restart();
  t.equal(await readyCount(channel, queue), numbers.length);
  t.same(await drain(channel, queue), numbers);
});

afterEachEnding('what follows a restart stands behind what was there before, time and again', async (t, broker) => {
  let client = await broker.connect();
  const { queue } = await client.publisher.assertQueue(uniqueName());
  for (const round of [1, 2, 3, 4]) {
    client.publisher.sendToQueue(queue, Buffer.from(`a${round}`), PERSISTENT);
    client.publisher.sendToQueue(queue, Buffer.from(`b${round}`), PERSISTENT);
    await client.publisher.waitForConfirms();
    client = await broker.restart();
  }
  t.same(await drain(client.channel, queue), ['a1', 'b1', 'a2', 'b2', 'a3', 'b3', 'a4', 'b4']);
});

afterEachEnding('properties, headers, exchange and routing key are as they were', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName());
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout');
  await publisher.bindQueue(queue, exchange, '');
  const publishAll = async (): Promise<void> => {
    publisher.publish(exchange, 'kéy', Buffer.from('1'), { ...PROPERTIES, ...PERSISTENT, headers: HEADERS });
    publisher.sendToQueue(queue, Buffer.from('2'), { deliveryMode: 2 });
    for (const [name, value] of Object.entries(PROPERTIES)) {
      publisher.publish(exchange, name, Buffer.from(name), { ...PERSISTENT, [name]: value });
    }
    await publisher.waitForConfirms();
  };
  const count = 2 + Object.keys(PROPERTIES).length;
  await publishAll();
  const before = [];
  for (let i = 0; i < count; i++) before.push(await seen(publisher, queue));
  t.match(before[0], { exchange, routingKey: 'kéy', properties: PROPERTIES });
  await publishAll();
  const { channel } = await broker.restart();
  for (const expected of before) t.strictSame(await seen(channel, queue), expected);
});

afterEachEnding('bodies of every size', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName());
  const bodies = [0, 1, 255, 4096, 131_064, 131_065, 262_144, 1_000_000, 6_000_000, 3].map(bodyOf);
  for (const body of bodies) publisher.sendToQueue(queue, body, PERSISTENT);
  await publisher.waitForConfirms();
  const { channel } = await broker.restart();
  for (const body of bodies) t.equal(digest(present(await channel.get(queue)).content), digest(body));
});

afterEachEnding('transient messages, and messages in transient queues, are gone', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName());
  const { queue: transient } = await publisher.assertQueue(uniqueName(), { durable: false });
  for (const [body, persistent] of [
    ['1', true],
    ['2', false],
    ['3', true],
    ['4', false],
  ] as const) {
    // biome-ignore format: a table
    publisher.sendToQueue(queue, Buffer.from(body), { persistent });
    publisher.sendToQueue(transient, Buffer.from(body), { persistent });
  }
  publisher.sendToQueue(queue, Buffer.from('5'));
  publisher.sendToQueue(queue, Buffer.from('6'), { deliveryMode: 1 });
  await publisher.waitForConfirms();
  const { publisher: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 2);
  t.same(await drain(later, queue), ['1', '3']);
  await later.assertQueue(transient, { durable: false });
  t.equal(await readyCount(later, transient), 0);
});

afterEachEnding('a message in several queues is in each until it is acknowledged there', async (t, broker) => {
  let { publisher, channel } = await broker.connect();
  const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout');
  const queues = [uniqueName('a'), uniqueName('b'), uniqueName('c')];
  for (const queue of queues) {
    await publisher.assertQueue(queue);
    await publisher.bindQueue(queue, exchange, '');
  }
  for (const body of ['1', '2', '3']) publisher.publish(exchange, '', Buffer.from(body), PERSISTENT);
  await publisher.waitForConfirms();
  const [a, b, c] = queues;
  channel.ack(present(await channel.get(a)));
  t.same(await drain(channel, b), ['1', '2', '3']);
  publisher.publish(exchange, '', Buffer.from('4'), PERSISTENT);
  await publisher.waitForConfirms();
  ({ publisher, channel } = await broker.restart());
  t.same(await drain(channel, b), ['4']);
  channel.ack(present(await channel.get(c)));
  publisher.publish(exchange, '', Buffer.from('5'), PERSISTENT);
  await publisher.waitForConfirms();
  await flush(channel);
  ({ channel } = await broker.restart());
  t.same(await drain(channel, a), ['2', '3', '4', '5']);
  t.same(await drain(channel, b), ['5']);
  t.same(await drain(channel, c), ['2', '3', '4', '5']);
});

afterEachEnding('what was published nowhere is confirmed or returned, and nowhere later', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { exchange } = await publisher.assertExchange(uniqueName(), 'direct');
  const returned: string[] = [];
  publisher.on('return', ({ content }) => returned.push(content.toString()));
  publisher.publish(exchange, 'key', Buffer.from('dropped'), PERSISTENT);
  publisher.publish(exchange, 'key', Buffer.from('returned'), { ...PERSISTENT, mandatory: true });
  await publisher.waitForConfirms();
  t.same(returned, ['returned']);
  const { publisher: later } = await broker.restart();
  const { queue } = await later.assertQueue(uniqueName());
  await later.bindQueue(queue, exchange, 'key');
  t.equal(await readyCount(later, queue), 0);
});

afterEachEnding(
  'a message to a durable and a transient queue is confirmed once, and survives in the one',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const { exchange } = await publisher.assertExchange(uniqueName(), 'fanout');
    const { queue: kept } = await publisher.assertQueue(uniqueName());
    const { queue: lost } = await publisher.assertQueue(uniqueName(), { durable: false });
    for (const queue of [lost, kept]) await publisher.bindQueue(queue, exchange, '');
    const confirms: number[] = [];
    publisher.on('ack', ({ deliveryTag }) => confirms.push(deliveryTag));
    publisher.publish(exchange, '', Buffer.from('1'), PERSISTENT);
    await publisher.waitForConfirms();
    t.same(confirms, [1]);
    t.equal(await readyCount(publisher, lost), 1);
    const { channel } = await broker.restart();
    t.same(await drain(channel, kept), ['1']);
  },
);

// Queues that are larger than the memory for them: what they give, in which order, and what is counted, before a restart and after.
import type { Channel } from 'amqplib';
import type { Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type Client, type DurableBroker, flush } from '../helper/durable-broker.ts';
import { present, readyCount, subscribe, text } from '../helper/messages.ts';
import { untilReady } from '../helper/ttl.ts';

/** Small, so that pages, segments and checkpoints come and go during a test. */
const SMALL: BrokerOptions = { memoryBudgetBytes: 2 ** 20, segmentSizeBytes: 2 ** 20 };
const COUNT = 8000;
const BODY_BYTES = 1000;

/** Messages begin with their number. */
function numbered(i: number): Buffer {
  const body = Buffer.alloc(BODY_BYTES, 'x');
  body.write(`${i} `);
  return body;
}

function numberOf({ content }: { readonly content: Buffer }): number {
  return Number.parseInt(content.toString('latin1', 0, 10), 10);
}

async function fill({ publisher }: Client, queue: string, first: number, count: number, persistent = true) {
  for (let i = first; i < first + count; i++) publisher.sendToQueue(queue, numbered(i), { persistent });
  await publisher.waitForConfirms();
}

/** A durable queue with messages 0 to COUNT - 1. */
async function filled(t: Test, broker: DurableBroker, options = {}) {
  const client = await broker.connect();
  const { queue } = await client.publisher.assertQueue(uniqueName(), options);
  await fill(client, queue, 0, COUNT);
  if (!againstPeer) {
    const used = broker.broker.memoryUsedBytes;
    t.ok(used < (COUNT * BODY_BYTES) / 2, `${used} bytes are in memory`);
  }
  return { ...client, queue };
}

/** Consumes so many messages, acknowledges them, and gives their numbers. */
async function consume(channel: Channel, queue: string, count: number, prefetch = 200): Promise<number[]> {
  const numbers: number[] = [];
  await channel.prefetch(prefetch);
  const { inbox, consumerTag } = await subscribe(channel, queue);
  while (numbers.length < count) {
    const message = await inbox.next();
    numbers.push(numberOf(message));
    channel.ack(message);
  }
  await channel.cancel(consumerTag);
  return numbers;
}

/** The two lists are equal. Says where they first differ, and not all that is in them. */
function sameNumbers(t: Test, actual: readonly number[], expected: readonly number[]): void {
  const at = expected.findIndex((number, i) => number !== actual[i]);
  const part = (numbers: readonly number[]): readonly number[] => (at < 0 ? [] : numbers.slice(at, at + 5));
  t.same([actual.length, at, ...part(actual)], [expected.length, -1, ...part(expected)]);
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}

afterEachEnding(
  'it is drained in order',
  async (t, broker) => {
    const { channel, queue } = await filled(t, broker);
    t.equal(await readyCount(channel, queue), COUNT);
    sameNumbers(t, await consume(channel, queue, COUNT), range(0, COUNT));
    t.equal(await readyCount(channel, queue), 0);
    await flush(channel);
    const { channel: later } = await broker.restart();
    t.equal(await readyCount(later, queue), 0);
  },
  SMALL,
);

afterEachEnding(
  'it is there after a restart, is drained in order, and takes more',
  async (t, broker) => {
    const { queue } = await filled(t, broker);
    let client = await broker.restart();
    t.match(await client.channel.assertQueue(queue), { messageCount: COUNT, consumerCount: 0 });
    await fill(client, queue, COUNT, 2000);
    t.equal(await readyCount(client.channel, queue), COUNT + 2000);
    sameNumbers(t, await consume(client.channel, queue, 5000), range(0, 5000));
    await flush(client.channel);
    client = await broker.restart();
    const rest = await consume(client.channel, queue, COUNT - 3000, 0);
    sameNumbers(t, rest, range(5000, COUNT + 2000));
  },
  SMALL,
);

afterEachEnding(
  'basic.get works on it, and its counts are right',
  async (t, broker) => {
    const { queue, channel } = await filled(t, broker);
    for (const i of range(0, 50)) {
      const message = present(await channel.get(queue));
      t.same([numberOf(message), message.fields.messageCount], [i, COUNT - 1 - i]);
      channel.ack(message);
    }
    await flush(channel);
    const { channel: later } = await broker.restart();
    // Many at once: they wait for the same pages.
    const messages = await Promise.all(range(0, 3000).map(() => later.get(queue, { noAck: true })));
    const numbers = messages.map((message) => numberOf(present(message)));
    sameNumbers(t, numbers, range(50, 3050));
    t.equal(await readyCount(later, queue), COUNT - 3050);
  },
  SMALL,
);

afterEachEnding(
  'purge and delete take all of it',
  async (t, broker) => {
    let client: Client = await filled(t, broker);
    const { queue } = client as Client & { readonly queue: string };
    t.same(await client.channel.purgeQueue(queue), { messageCount: COUNT });
    t.equal(await readyCount(client.channel, queue), 0);
    await fill(client, queue, 1, 1);
    client = await broker.restart();
    t.same(await client.channel.purgeQueue(queue), { messageCount: 1 });
    await fill(client, queue, 0, COUNT);
    client = await broker.restart();
    t.same(await client.channel.purgeQueue(queue), { messageCount: COUNT });
    await fill(client, queue, 0, COUNT);
    t.same(await client.channel.deleteQueue(queue), { messageCount: COUNT });
    client = await broker.restart();
    t.match(await client.channel.assertQueue(queue), { messageCount: 0 });
  },
  SMALL,
);

afterEachEnding(
  'what consumers hold while it is purged is theirs',
  async (t, broker) => {
    const { channel, queue } = await filled(t, broker);
    const held = present(await channel.get(queue));
    const given = present(await channel.get(queue));
    t.same(await channel.purgeQueue(queue), { messageCount: COUNT - 2 });
    channel.nack(given);
    t.equal(await readyCount(channel, queue), 1);
    t.equal(numberOf(held), 0);
    await flush(channel);
    const { channel: later } = await broker.restart();
    sameNumbers(t, await consume(later, queue, 2), [0, 1]);
    t.equal(await readyCount(later, queue), 0);
  },
  SMALL,
);

afterEachEnding(
  'consumers come and go while it drains, and what they leave comes first',
  async (t, broker) => {
    const { connection, queue } = await filled(t, broker);
    const settled: number[] = [];
    for (let round = 0; settled.length < COUNT; round++) {
      const channel = await connection.createChannel();
      await channel.prefetch(500);
      const { inbox } = await subscribe(channel, queue);
      const messages = await inbox.take(Math.min(500, COUNT - settled.length));
      t.equal(numberOf(messages[0]), settled.length, 'it goes on where the last one ended');
      const taken = messages.slice(0, round % 2 === 0 ? 300 : messages.length);
      for (const message of taken) channel.ack(message);
      settled.push(...taken.map(numberOf));
      await channel.close();
    }
    sameNumbers(t, settled, range(0, COUNT));
  },
  SMALL,
);

afterEachEnding(
  'what many consumers held at a restart is redelivered in its place',
  async (t, broker) => {
    const { connection, channel, queue } = await filled(t, broker);
    for (let i = 0; i < 4; i++) {
      const other = await connection.createChannel();
      await other.prefetch(1500);
      const { inbox, consumerTag } = await subscribe(other, queue);
      const messages = await inbox.take(1500);
      await other.cancel(consumerTag);
      for (const message of messages) if (numberOf(message) % 3 === 0) other.ack(message);
      await flush(other);
    }
    await flush(channel);
    const { channel: later } = await broker.restart();
    const expected = range(0, COUNT).filter((i) => i % 3 !== 0 || i >= 6000);
    t.equal(await readyCount(later, queue), expected.length);
    const { inbox } = await subscribe(later, queue);
    const messages = await inbox.take(expected.length);
    sameNumbers(t, messages.map(numberOf), expected);
    t.ok(
      messages.every(({ fields }, i) => fields.redelivered === (broker.ending === 'crash' || expected[i] < 6000)),
      'redelivered is right',
    );
  },
  SMALL,
);

afterEachEnding(
  'transient messages among the others are drained in their place, and gone after a restart',
  async (t, broker) => {
    const client = await broker.connect();
    const { publisher } = client;
    const { queue } = await publisher.assertQueue(uniqueName());
    for (let i = 0; i < COUNT; i++) publisher.sendToQueue(queue, numbered(i), { persistent: i % 2 === 0 });
    await publisher.waitForConfirms();
    sameNumbers(t, await consume(client.channel, queue, 2000), range(0, 2000));
    await flush(client.channel);
    const { channel } = await broker.restart();
    const expected = range(2000, COUNT).filter((i) => i % 2 === 0);
    t.equal(await readyCount(channel, queue), expected.length);
    sameNumbers(t, await consume(channel, queue, expected.length), expected);
  },
  SMALL,
);

afterEachEnding(
  'a large transient queue leaves memory too, and is gone after a restart',
  async (t, broker) => {
    const { channel, queue } = await filled(t, broker, { durable: false });
    sameNumbers(t, await consume(channel, queue, 3000), range(0, 3000));
    const { channel: later } = await broker.restart();
    t.match(await later.assertQueue(queue, { durable: false }), { messageCount: 0 });
  },
  SMALL,
);

afterEachEnding(
  'a length limit drops the oldest, which are on disk',
  async (t, broker) => {
    const maxLength = 5000;
    const { queue } = await filled(t, broker, { maxLength: COUNT });
    let client = await broker.restart();
    await fill(client, queue, COUNT, 100);
    // Confirms do not wait for what has to be read from disk to be dropped.
    t.equal(await untilReady(client.channel, queue, COUNT), COUNT);
    t.equal(numberOf(present(await client.channel.get(queue, { noAck: true }))), 100);
    const { queue: other } = await client.publisher.assertQueue(uniqueName(), { maxLength });
    await fill(client, other, 0, COUNT);
    t.equal(await untilReady(client.channel, other, maxLength), maxLength);
    await flush(client.channel);
    client = await broker.restart();
    sameNumbers(t, await consume(client.channel, other, maxLength), range(COUNT - maxLength, COUNT));
    t.equal(text(present(await client.channel.get(queue))).slice(0, 4), '101 ');
  },
  SMALL,
);

// A queue that is larger than the memory for it, when something happens while it waits for the disk; and that nothing of it is
// counted as used memory once it is empty.
import type { GetMessage } from 'amqplib';
import type { Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type Client, type DurableBroker, flush } from '../helper/durable-broker.ts';
import { readyCount, subscribe } from '../helper/messages.ts';

const SMALL: BrokerOptions = { memoryBudgetBytes: 2 ** 20, segmentSizeBytes: 2 ** 20 };
const COUNT = 5000;

/** A durable queue with messages, each a number and a kilobyte; after a restart, so that nearly all are on disk alone. */
async function paged(broker: DurableBroker): Promise<Client & { readonly queue: string }> {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName());
  const rest = 'x'.repeat(1000);
  for (let i = 0; i < COUNT; i++) publisher.sendToQueue(queue, Buffer.from(`${i} ${rest}`), { persistent: true });
  await publisher.waitForConfirms();
  return { ...(await broker.restart()), queue };
}

function numberOf({ content }: { readonly content: Buffer }): number {
  return Number.parseInt(content.toString('latin1', 0, 10), 10);
}

/** Takes all that is left, which must be so many, in order. */
async function drainAll(t: Test, { connection }: Client, queue: string, count: number): Promise<number[]> {
  const channel = await connection.createChannel();
  t.equal(await readyCount(channel, queue), count);
  const { inbox } = await subscribe(channel, queue);
  const messages = await inbox.take(count);
  const numbers = messages.map(numberOf);
  t.ok(
    numbers.every((number, i) => i === 0 || number > numbers[i - 1]),
    'in order, each once',
  );
  if (count > 0) channel.ack(messages[count - 1], true);
  await flush(channel);
  return numbers;
}

function nothingIsUsed(t: Test, broker: DurableBroker): void {
  if (!againstPeer) t.equal(broker.broker.memoryUsedBytes, 0);
}

afterEachEnding(
  'gets whose channel is gone when the disk answers give their messages back',
  async (t, broker) => {
    const client = await paged(broker);
    const { channel, queue } = client;
    const gets = Array.from({ length: 3000 }, () => channel.get(queue).catch(() => false as const));
    await gets[0];
    await channel.close();
    const numbers = await drainAll(t, client, queue, COUNT);
    t.equal(numbers[0], 0);
    nothingIsUsed(t, broker);
  },
  SMALL,
);

afterEachEnding(
  'gets that wait while the queue is purged or deleted are answered',
  async (t, broker) => {
    const client = await paged(broker);
    const { connection, queue } = client;
    const [one, other] = [await connection.createChannel(), await connection.createChannel()];
    const gets: Promise<GetMessage | false>[] = [];
    for (let i = 0; i < 1000; i++) gets.push(one.get(queue, { noAck: true }));
    const { messageCount } = await other.purgeQueue(queue);
    const got = (await Promise.all(gets)).filter((message) => message !== false);
    t.equal(got.length + messageCount, COUNT);
    t.equal(await readyCount(other, queue), 0);
    nothingIsUsed(t, broker);
    await flush(other);
    const later = await broker.restart();
    await drainAll(t, later, queue, 0);
    nothingIsUsed(t, broker);
  },
  SMALL,
);

afterEachEnding(
  'a queue that is deleted while it is read',
  async (t, broker) => {
    const { connection, queue } = await paged(broker);
    const [one, other] = [await connection.createChannel(), await connection.createChannel()];
    const { inbox } = await subscribe(one, queue);
    await inbox.next();
    await other.deleteQueue(queue);
    for (let message = await inbox.nextOrCancel(); message !== null; ) message = await inbox.nextOrCancel();
    one.ackAll();
    await flush(one);
    nothingIsUsed(t, broker);
    const { channel } = await broker.restart();
    t.match(await channel.assertQueue(queue), { messageCount: 0 });
    nothingIsUsed(t, broker);
  },
  SMALL,
);

afterEachEnding(
  'it is filled and drained at the same time, several times over',
  async (t, broker) => {
    const client = await paged(broker);
    const { channel, publisher, queue } = client;
    await channel.prefetch(300);
    const { inbox, consumerTag } = await subscribe(channel, queue);
    const rest = 'y'.repeat(700);
    let taken = 0;
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < COUNT / 2; i++) {
        const body = Buffer.from(`${COUNT + round * (COUNT / 2) + i} ${rest}`);
        publisher.sendToQueue(queue, body, { persistent: i % 3 !== 0 });
      }
      for (let i = 0; i < COUNT * 0.7; i++) {
        const message = await inbox.next();
        if (numberOf(message) !== taken++) t.fail(`${numberOf(message)} in the place of ${taken - 1}`);
        channel.ack(message);
      }
      await publisher.waitForConfirms();
    }
    await channel.cancel(consumerTag);
    await channel.close();
    t.equal((await publisher.checkQueue(queue)).messageCount, 0);
    nothingIsUsed(t, broker);
  },
  SMALL,
);

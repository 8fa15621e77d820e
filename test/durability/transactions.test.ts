// Transactions and restarts: what was committed is there as a whole, what was not left no trace.
import { truncateSync } from 'node:fs';
import type { Channel } from 'amqplib';
import t from 'tap';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { afterEachEnding, DurableBroker, flush } from '../helper/durable-broker.ts';
import { call, drain, present } from '../helper/messages.ts';
import { newestSegment } from '../helper/segment-files.ts';

const PERSISTENT = { persistent: true };

/** Two durable queues, a transactional channel, and messages 1, 2, 3 in the first queue. */
async function begin(broker: DurableBroker) {
  const { channel, publisher, connection } = await broker.connect();
  const { queue: from } = await publisher.assertQueue(uniqueName());
  const { queue: to } = await publisher.assertQueue(uniqueName());
  for (const body of ['1', '2', '3']) publisher.sendToQueue(from, Buffer.from(body), PERSISTENT);
  await publisher.waitForConfirms();
  await call(channel, 'TxSelect');
  return { connection, channel, publisher, from, to };
}

/** Moves a message from one queue to the other, to be committed. */
async function move(channel: Channel, from: string, to: string): Promise<void> {
  const message = present(await channel.get(from));
  channel.sendToQueue(to, message.content, PERSISTENT);
  channel.ack(message);
}

afterEachEnding('what was committed is there: publishes and acknowledgements', async (t, broker) => {
  const { channel, from, to } = await begin(broker);
  await move(channel, from, to);
  await move(channel, from, to);
  await call(channel, 'TxCommit');
  const { channel: later } = await broker.restart();
  t.same(await drain(later, from), ['3']);
  t.same(await drain(later, to), ['1', '2']);
});

afterEachEnding('what was not committed is not: neither publishes nor acknowledgements', async (t, broker) => {
  const { connection, channel, from, to } = await begin(broker);
  await move(channel, from, to);
  await call(channel, 'TxCommit');
  await move(channel, from, to);
  await flush(await connection.createChannel());
  const { channel: later } = await broker.restart();
  t.same(await drain(later, from), ['2', '3']);
  t.same(await drain(later, to), ['1']);
});

afterEachEnding('what was rolled back left nothing', async (t, broker) => {
  const { channel, from, to } = await begin(broker);
  await move(channel, from, to);
  await call(channel, 'TxRollback');
  channel.sendToQueue(to, Buffer.from('after'), PERSISTENT);
  await call(channel, 'TxCommit');
  const { channel: later } = await broker.restart();
  t.same(await drain(later, from), ['1', '2', '3']);
  t.same(await drain(later, to), ['after']);
});

afterEachEnding('one commit over many queues and large bodies', async (t, broker) => {
  const { channel, publisher, from } = await begin(broker);
  const queues = Array.from({ length: 20 }, () => uniqueName());
  for (const queue of queues) await publisher.assertQueue(queue);
  const bodies = ['small', 'x'.repeat(200_000), ''];
  for (const queue of queues) for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), PERSISTENT);
  channel.sendToQueue(queues[0], Buffer.from('transient'));
  channel.ack(present(await channel.get(from)));
  await call(channel, 'TxCommit');
  const { channel: later } = await broker.restart();
  for (const queue of queues) t.same(await drain(later, queue), bodies);
  t.same(await drain(later, from), ['2', '3']);
});

const leveretOnly = { skip: againstPeer && "a peer's files are its own matter" };

t.test('of a commit that a crash cut short nothing is there', leveretOnly, async (t) => {
  const broker = await DurableBroker.start(t, 'crash');
  const { channel, from, to } = await begin(broker);
  for (let i = 0; i < 3; i++) await move(channel, from, to);
  await call(channel, 'TxCommit');
  const { channel: later } = await broker.restart((dataDir) => {
    const { path, writtenBytes } = present(newestSegment(dataDir) ?? false);
    truncateSync(path, writtenBytes - 1);
  });
  t.same(await drain(later, from), ['1', '2', '3']);
  t.same(await drain(later, to), []);
});

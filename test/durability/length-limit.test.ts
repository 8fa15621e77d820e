// Length limits count what was there before a restart, be it in memory or on disk.
import { once } from 'node:events';
import type { ConfirmChannel } from 'amqplib';
import { uniqueName } from '../helper/broker.ts';
import { afterEachEnding } from '../helper/durable-broker.ts';
import { drain, present, readyCount } from '../helper/messages.ts';

const PERSISTENT = { persistent: true };
const SMALL = { memoryBudgetBytes: 2 ** 20, segmentSizeBytes: 2 ** 20 };

async function publishAll(publisher: ConfirmChannel, queue: string, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) publisher.sendToQueue(queue, Buffer.from(body), PERSISTENT);
  await publisher.waitForConfirms();
}

/** Whether the queue takes one more message. */
async function takes(publisher: ConfirmChannel, queue: string, body: string): Promise<boolean> {
  const settled = Promise.race([once(publisher, 'ack').then(() => true), once(publisher, 'nack').then(() => false)]);
  publisher.sendToQueue(queue, Buffer.from(body), PERSISTENT);
  return settled;
}

afterEachEnding('a limit of messages: the oldest make room, those from before a restart first', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName(), { maxLength: 3 });
  await publishAll(publisher, queue, ['1', '2', '3', '4']);
  const { publisher: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 3);
  await publishAll(later, queue, ['5']);
  t.same(await drain(later, queue), ['3', '4', '5']);
});

afterEachEnding('a limit of bytes: the oldest make room, those from before a restart first', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName(), { arguments: { 'x-max-length-bytes': 10 } });
  await publishAll(publisher, queue, ['aaaa', 'bbbb', 'cccc']);
  const { publisher: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 2);
  await publishAll(later, queue, ['dd']);
  t.equal(await readyCount(later, queue), 3, 'there is room for two bytes');
  await publishAll(later, queue, ['e']);
  t.same(await drain(later, queue), ['cccc', 'dd', 'e']);
});

afterEachEnding('a full queue that rejects publishes does so after a restart', async (t, broker) => {
  const { publisher } = await broker.connect();
  const reject = { 'x-overflow': 'reject-publish' };
  const { queue: byCount } = await publisher.assertQueue(uniqueName(), { maxLength: 1, arguments: reject });
  const byBytes = uniqueName();
  await publisher.assertQueue(byBytes, { arguments: { ...reject, 'x-max-length-bytes': 5 } });
  await publishAll(publisher, byCount, ['1']);
  await publishAll(publisher, byBytes, ['1234']);
  const { publisher: later } = await broker.restart();
  t.notOk(await takes(later, byCount, '2'));
  t.notOk(await takes(later, byBytes, '56'));
  t.same(await drain(later, byCount), ['1']);
  t.same(await drain(later, byBytes), ['1234']);
  t.ok(await takes(later, byCount, '2'));
  t.ok(await takes(later, byBytes, '56'));
});

afterEachEnding('what was dropped for a newer one stays dropped', async (t, broker) => {
  const { publisher } = await broker.connect();
  const { queue } = await publisher.assertQueue(uniqueName(), { maxLength: 2 });
  await publishAll(publisher, queue, ['1', '2', '3']);
  const held = present(await publisher.get(queue));
  await publishAll(publisher, queue, ['4', '5']);
  const { publisher: later } = await broker.restart();
  // What was with a consumer comes back, and the oldest is the first to go.
  t.equal(held.content.toString(), '2');
  t.same(await drain(later, queue), ['4', '5']);
});

afterEachEnding(
  'a limit of bytes on a queue that is larger than memory',
  async (t, broker) => {
    const { publisher } = await broker.connect();
    const body = 'x'.repeat(1000);
    const limit = { 'x-max-length-bytes': 4_000_000 };
    const { queue } = await publisher.assertQueue(uniqueName(), { arguments: limit });
    await publishAll(publisher, queue, Array(6000).fill(body));
    t.equal(await readyCount(publisher, queue), 4000);
    const { publisher: later } = await broker.restart();
    t.equal(await readyCount(later, queue), 4000);
    await publishAll(later, queue, [...Array(10).fill(body), 'y']);
    // 4001 messages would be 1 byte more than the limit.
    t.equal(await readyCount(later, queue), 4000);
    t.same(await later.purgeQueue(queue), { messageCount: 4000 });
    await publishAll(later, queue, Array(4001).fill(body));
    t.equal(await readyCount(later, queue), 4000);
  },
  SMALL,
);

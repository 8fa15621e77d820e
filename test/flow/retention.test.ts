// Small messages that stay behind must not pin the large chunks that they were received in: one in a thousand stays here,
// between them the others come and go.
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import { ackConsume, EmbedClient, numberedMessages, sharedQueueDeclare, turnsUntil } from '../helper/embed-client.ts';
import { memoryInUse } from '../helper/embed-memory.ts';
import { basicConsume, bytes } from '../helper/wire-bytes.ts';

const SIZE = 250;
const KEPT = 300;
/** Of each thousand, one stays: 90 MB pass, in chunks of up to 64 KiB of which nearly every fifth one holds a message that stays. */
const PASSING = 999;

/** Were the chunks pinned, some 19 MB would stay. A few slabs, and what a pool of output buffers keeps for later, may. */
const MOST_LEFT_BYTES = 3 * 1024 * 1024;
/** What came last is not looked at yet: twice 16 MiB, in which some 130 messages stay, each with a chunk of its own. */
const MOST_RECENT_BYTES = 9 * 1024 * 1024;

interface Bench {
  readonly broker: Broker;
  readonly publisher: EmbedClient;
  /** Consumes the queue `passing`. */
  readonly passing: EmbedClient;
}

async function startBench(t: Test): Promise<Bench> {
  const broker = await createBroker({ port: 0, memoryLimitBytes: '1GiB' });
  t.teardown(() => broker.close());
  const publisher = await (await EmbedClient.connect(t, broker.port)).openChannel();
  const passing = await (await EmbedClient.connect(t, broker.port)).openChannel();
  for (const queue of ['kept', 'passing']) await publisher.call(1, 50, 11, sharedQueueDeclare(1, queue));
  await passing.call(1, 60, 21, basicConsume(1, 'passing'));
  return { broker, publisher, passing };
}

/** Publishes so many thousands, and waits until all but the ones that stay were consumed. */
async function publishThousands({ publisher, passing }: Bench, thousands: number): Promise<void> {
  let passed = 0;
  passing.onMessage = () => {
    passed++;
  };
  const thousand = bytes(
    numberedMessages(1, { routingKey: 'passing' }, { count: PASSING, size: SIZE }),
    numberedMessages(1, { routingKey: 'kept' }, { count: 1, size: SIZE }),
  );
  for (let i = 0; i < thousands; i++) await publisher.sendPaced(thousand);
  await turnsUntil(() => passed === thousands * PASSING);
  // The last of all may still be on its way.
  await publisher.openChannel(2);
  await publisher.closeChannel(2);
}

/** What the buffers of the process grow by when the ones that stay come to stay; `settle` runs when all is published. */
async function growth(bench: Bench, settle: () => Promise<void> = async () => {}): Promise<number> {
  await publishThousands(bench, 20);
  const before = await memoryInUse();
  await publishThousands(bench, KEPT);
  await settle();
  const after = await memoryInUse();
  return after.buffers - before.buffers;
}

t.test('messages that stay in a queue', async (t) => {
  const bench = await startBench(t);
  const grown = await growth(bench);
  t.ok(bench.broker.memoryUsedBytes >= KEPT * SIZE, 'they are there');
  t.ok(grown < MOST_LEFT_BYTES, `${grown} bytes more in buffers`);
});

t.test('messages that a consumer does not acknowledge', async (t) => {
  const bench = await startBench(t);
  const keeper = await (await EmbedClient.connect(t, bench.broker.port)).openChannel();
  await keeper.call(1, 60, 21, ackConsume(1, 'kept'));
  // They are looked at once in a while only: what comes after them gives the occasion.
  const grown = await growth(bench, () => publishThousands(bench, 160));
  t.ok(bench.broker.memoryUsedBytes >= KEPT * SIZE, 'they are there');
  t.ok(grown < MOST_LEFT_BYTES + MOST_RECENT_BYTES, `${grown} bytes more in buffers`);
});

t.test('messages that a consumer gives back', async (t) => {
  const bench = await startBench(t);
  const keeper = await (await EmbedClient.connect(t, bench.broker.port)).openChannel();
  await keeper.call(1, 60, 21, ackConsume(1, 'kept'));
  const grown = await growth(bench, () => keeper.closeChannel(1));
  t.ok(bench.broker.memoryUsedBytes >= KEPT * SIZE, 'they are there');
  t.ok(grown < MOST_LEFT_BYTES, `${grown} bytes more in buffers`);
});

t.test('a backlog that was consumed leaves nothing', async (t) => {
  const bench = await startBench(t);
  const before = await memoryInUse();
  const count = 100_000;
  await bench.publisher.sendPaced(numberedMessages(1, { routingKey: 'kept' }, { count, size: SIZE }));
  await bench.publisher.openChannel(2);
  t.ok(bench.broker.memoryUsedBytes >= count * SIZE);
  let received = 0;
  bench.passing.onMessage = () => {
    received++;
  };
  await bench.passing.call(1, 60, 21, basicConsume(1, 'kept'));
  await turnsUntil(() => received === count);
  const after = await memoryInUse();
  t.equal(bench.broker.memoryUsedBytes, 0);
  t.ok(after.buffers - before.buffers < MOST_LEFT_BYTES, `${after.buffers - before.buffers} bytes more in buffers`);
  // 100,000 messages and their places in the queue were some 20 MB of heap.
  t.ok(after.heap - before.heap < MOST_LEFT_BYTES, `${after.heap - before.heap} bytes more in the heap`);
});

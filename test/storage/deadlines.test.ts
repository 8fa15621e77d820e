// After a restart a queue is told when its messages expire: those of the log at once, those in pages bit by bit.
import t from 'tap';
import { SimulatedDisk, seededRandom } from '../helper/sim-disk.ts';
import { StoreHistory } from '../helper/store-history.ts';
import { StoreLife } from '../helper/store-life.ts';
import { StoreModel } from '../helper/store-model.ts';
import { StoreWorld } from '../helper/store-world.ts';

const LIMITS = { fsync: 'always', segmentBytes: 1_000_000, budgetBytes: 1 } as const;
const MESSAGE = { exchange: '', bodyBytes: 3000, persistent: true, confirm: false };
/** The clock of a life begins there. */
const START_MS = 1_700_000_000_000;

/** Messages of which every second expires, in two queues; and the disk after a clean stop. */
async function stored(paged: boolean): Promise<{ disk: SimulatedDisk; reads: () => number }> {
  let count = 0;
  const onCall = ({ kind, path }: { kind: string; path: string }): void => {
    if (kind === 'read' && path.includes('/pages/')) count++;
  };
  const disk = new SimulatedDisk({ random: seededRandom(1), onCall });
  const limits = paged ? LIMITS : { ...LIMITS, segmentBytes: 64_000_000, budgetBytes: 1_000_000_000 };
  const world = await StoreWorld.open(disk, limits, new StoreHistory(), new StoreModel());
  const host = world.virtualHost('/');
  for (const name of ['q', 'plain']) {
    world.act(() => world.declareQueue(host, name, { durable: true, exclusive: false, autoDelete: false }));
  }
  world.act(() => {
    for (let i = 0; i < 1000; i++) {
      world.publish(host, { ...MESSAGE, routingKey: 'q', expiresAtMs: i % 2 === 0 ? START_MS + 60_000 + i : 0 });
      world.publish(host, { ...MESSAGE, routingKey: 'plain', expiresAtMs: 0 });
    }
  });
  await world.flush();
  await world.life.quiet();
  if (paged !== world.life.queueStore(world.queues[0]).pagedCount > 900) throw new Error('they are in the wrong place');
  await world.close();
  count = 0;
  return { disk: disk.crash({ mode: 'keep' }), reads: () => count };
}

for (const paged of [true, false]) {
  t.test(`messages that were ${paged ? 'in pages' : 'in the log'} expire`, async (t) => {
    const { disk, reads } = await stored(paged);
    const life = await StoreLife.open(disk, LIMITS);
    await life.quiet();
    const [q, plain] = [...life.queues()].map(([, queue]) => queue);
    t.strictSame([q.messageCount, plain.messageCount], [1000, 1000]);
    // 3 MB in pieces of half a megabyte, and nothing of the other queue; what memory gave up is written, not read.
    if (paged) t.ok(reads() > 4 && reads() < 12, `${reads()} reads`);
    life.clock.advance(60_500);
    for (let i = 0; i < 5; i++) await life.turn();
    t.ok(q.messageCount < 800 && q.messageCount > 700, `${q.messageCount} messages`);
    life.clock.advance(1000);
    for (let i = 0; i < 5; i++) await life.turn();
    await life.quiet();
    t.strictSame([q.messageCount, plain.messageCount], [500, 1000]);
    t.strictSame(life.defects, []);
    await life.close();
    const again = await StoreLife.open(disk.crash({ mode: 'drop' }), LIMITS);
    t.equal([...again.queues()][0][1].messageCount, 500);
    await again.kill();
  });
}

t.test('those that are loaded before they were looked for expire as well', async (t) => {
  const { disk } = await stored(true);
  const life = await StoreLife.open(disk, LIMITS);
  const [q] = [...life.queues()].map(([, queue]) => queue);
  const got: unknown[] = [];
  for (let i = 0; i < 100; i++) q.get(true, (delivery) => got.push(delivery));
  await life.until(() => got.length === 100, 'messages that were asked for');
  await life.quiet();
  life.clock.advance(62_000);
  for (let i = 0; i < 5; i++) await life.turn();
  await life.quiet();
  t.equal(q.messageCount, 450);
  t.strictSame(life.defects, []);
  await life.close();
});

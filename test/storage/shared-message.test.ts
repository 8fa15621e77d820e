// One message in several queues, of which one puts it to its end: a quorum queue without a delivery limit. The log notes the others'
// places on the message itself, which must be told of when they let go of it.
import t from 'tap';
import type { Confirmation, Queue } from '../../lib/core/queue.ts';
import { messageOf, queueSettings, table } from '../core/helper.ts';
import { SimulatedDisk, seededRandom } from '../helper/sim-disk.ts';
import { StoreLife } from '../helper/store-life.ts';

const LIMITS = { fsync: 'always', segmentBytes: 1_000_000, budgetBytes: 1_000_000 } as const;

interface Stage {
  readonly disk: SimulatedDisk;
  readonly life: StoreLife;
  readonly quorum: Queue;
  readonly classic: Queue;
  /** What the publisher was told. */
  readonly told: boolean[];
}

/** Both queues have the same message. */
async function stage(): Promise<Stage> {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const life = await StoreLife.open(disk, LIMITS);
  const host = life.virtualHosts.get('/');
  if (host === undefined) throw new Error('no virtual host');
  const quorum = host.declareQueue(
    queueSettings({ name: 'quorum', durable: true, arguments: table({ 'x-queue-type': 'quorum' }) }),
  );
  const classic = host.declareQueue(queueSettings({ name: 'classic', durable: true }));
  const told: boolean[] = [];
  const confirmation: Confirmation = { settled: (accepted) => void told.push(accepted) };
  const message = messageOf('m');
  message.persistent = true;
  for (const queue of [quorum, classic]) queue.publish(message, confirmation);
  return { disk, life, quorum, classic, told };
}

/** Takes the first message and does something with it. */
function takeFirst(queue: Queue, settlement: 'requeue' | 'acknowledge'): void {
  queue.get(false, (delivery) => {
    if (delivery !== null) queue[settlement](delivery.message, delivery.position);
  });
}

async function countsAfterCrash({ disk, life }: Stage): Promise<number[]> {
  const durable = new Promise<void>((resolve) => life.store.whenDurable(resolve));
  await life.wait(durable, 'all that was done is durable');
  t.strictSame(life.defects, []);
  await life.kill();
  const again = await StoreLife.open(disk.crash({ mode: 'drop' }), LIMITS);
  const counts = [...again.queues()].map(([, queue]) => queue.messageCount);
  await again.close();
  return counts;
}

t.test('what one queue puts to its end, the other lets go of for good', async (t) => {
  const all = await stage();
  await all.life.quiet();
  takeFirst(all.quorum, 'requeue');
  await all.life.quiet();
  takeFirst(all.classic, 'acknowledge');
  t.strictSame(await countsAfterCrash(all), [1, 0]);
});

t.test('the publisher is told once of each queue, even if that was before it was written', async (t) => {
  const all = await stage();
  takeFirst(all.quorum, 'requeue');
  takeFirst(all.quorum, 'requeue');
  await all.life.quiet();
  t.strictSame(all.told, [true, true]);
  t.strictSame(await countsAfterCrash(all), [1, 1]);
});

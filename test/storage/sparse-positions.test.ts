// A queue whose positions are far apart and come in any order, as those of messages that wait for a time: through log, pages and
// restarts.
import t from 'tap';
import type { Message } from '../../lib/core/message.ts';
import type { PlacedMessages, QueueStore, StoredQueue } from '../../lib/core/message-store.ts';
import { LEVEL_SPAN, levelOf, type QueueLevel } from '../../lib/core/positions.ts';
import type { Queue, QueueSettings } from '../../lib/core/queue.ts';
import type { PageRange } from '../../lib/storage/page.ts';
import { SimulatedDisk, seededRandom } from '../helper/sim-disk.ts';
import { arrive } from '../helper/store-content.ts';
import { KEY_ARGUMENT, StoreHistory } from '../helper/store-history.ts';
import { StoreLife } from '../helper/store-life.ts';
import { takeAll } from '../helper/store-observe.ts';
import { StoreWorld } from '../helper/store-world.ts';

const LIMITS = { fsync: 'always', segmentBytes: 16_384, budgetBytes: 20_000 } as const;
const MOST = 2 ** 53 - 2;

/** Holds messages by position, whatever their order. */
class SparseHost implements StoredQueue {
  readonly settings: QueueSettings = {
    name: 'sparse',
    durable: true,
    autoDelete: false,
    owner: null,
    arguments: new Map([[KEY_ARGUMENT, { type: 'I', value: 1 }]]),
  };
  readonly levels: QueueLevel[] = [{ nextPosition: 0, deliveredTo: 0 }];
  readonly deliveryCounts = new Map<number, number>();
  readonly isIdle = true;
  readonly ready = new Map<number, Message>();
  #release: (message: Message) => void;
  store: QueueStore | null = null;

  constructor(release: (message: Message) => void) {
    this.#release = release;
  }

  get readyBytes(): number {
    return this.ready.size * 300;
  }

  giveUp(): PlacedMessages {
    const placed = [...this.ready].sort(([a], [b]) => a - b);
    this.ready.clear();
    return { positions: placed.map(([position]) => position), messages: placed.map(([, message]) => message) };
  }

  loaded({ messages, positions }: PlacedMessages): void {
    for (let i = 0; i < positions.length; i++) this.ready.set(positions[i], messages[i]);
  }

  deadlinesFound(): void {}

  /** Takes the first of all; undefined when it has to be loaded. */
  take(): number | undefined {
    const first = Math.min(...this.ready.keys());
    const message = this.ready.get(first);
    if (message === undefined || (this.store?.nextPaged ?? Infinity) < first) return undefined;
    this.ready.delete(first);
    this.store?.remove(message, first);
    this.#release(message);
    return first;
  }
}

/** Random positions, some of them neighbours, at the ends of levels as well. */
function randomPositions(count: number, seed: number): number[] {
  const random = seededRandom(seed);
  const positions = new Set<number>([MOST, LEVEL_SPAN - 1, LEVEL_SPAN, 0]);
  while (positions.size < count) {
    const position = Math.floor(random() * (random() < 0.5 ? LEVEL_SPAN : MOST));
    for (let i = 0; i <= (random() < 0.3 ? 3 : 0); i++) positions.add(position + i);
  }
  return [...positions].sort(() => random() - 0.5);
}

for (const ending of ['crash', 'stop']) {
  t.test(`positions up to 2^53 in any order, consumed in theirs, then a ${ending}`, async (t) => {
    const disk = new SimulatedDisk({ random: seededRandom(1) });
    const history = new StoreHistory();
    const life = await StoreLife.open(disk, LIMITS);
    const host = new SparseHost((message) => life.memory.release(message));
    const store = life.store.createQueue('/', host);
    host.store = store;
    const virtualHost = life.virtualHosts.get('/');
    if (virtualHost === undefined) throw new Error('no virtual host');
    const idAt = new Map<number, number>();
    const positions = randomPositions(1500, 3);
    const options = { exchange: '', routingKey: 'sparse', bodyBytes: 60, persistent: true, expiresAtMs: 0 };
    for (const [i, position] of positions.entries()) {
      const content = history.newContent(options);
      const message = arrive(content, virtualHost);
      idAt.set(position, content.id);
      life.memory.retain(message);
      host.ready.set(position, message);
      store.add(message, position, null);
      if (i % 40 === 0) await life.turn();
    }
    await life.quiet();
    const { ranges } = store;
    t.ok(ranges.length > 5, `${ranges.length} ranges`);
    t.ok(
      ranges.every(({ first, last }) => levelOf(first) === levelOf(last)),
      'no range has two levels',
    );
    t.equal(ranges.reduce((sum, { count }) => sum + count, 0) + host.ready.size, positions.length);
    t.ok(ranges.every(isAlive), 'all that is alive is as many as there are');
    for (const page of new Set(ranges.map(({ page }) => page))) {
      if (page !== null) t.ok(page.liveBytes() > 0.5 * page.bytes && page.liveBytes() < page.bytes);
    }
    const sorted = [...positions].sort((a, b) => a - b);
    for (let i = 0; i < 700; i++) {
      let taken = host.take();
      while (taken === undefined) {
        store.load();
        await life.turn();
        taken = host.take();
      }
      if (taken !== sorted[i]) t.fail(`${taken} instead of ${sorted[i]}`);
      if (i % 100 === 0) await life.quiet();
    }
    t.ok(store.isPagedOut(MOST) || host.ready.has(MOST));
    await life.quiet();
    if (ending === 'stop') await life.close();
    else await life.kill();
    const again = await StoreLife.open(disk.crash({ mode: 'drop' }), LIMITS);
    const [[, queue]] = [...again.queues()];
    const reopened = again.queueStore(queue);
    t.ok(reopened.ranges.every(isAlive));
    const { deliveries } = await takeAll(again, history);
    t.strictSame(
      deliveries.map(({ position, id }) => [position, id]),
      sorted.slice(700).map((position) => [position, idAt.get(position)]),
    );
    t.equal(again.memory.usedBytes > 0, true);
    for (const { message, position } of deliveries) queue.acknowledge(message, position);
    await again.quiet();
    again.clock.advance(3000);
    await again.quiet();
    t.strictSame(await again.process.list('/data/pages'), []);
    await again.close();
  });
}

function isAlive({ live, count, unloaded }: PageRange): boolean {
  return live > 0 && live <= count && unloaded <= live;
}

t.test('each priority goes on where it was', async (t) => {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  let world = await StoreWorld.open(disk, LIMITS);
  const { history } = world;
  const declared = { durable: true, exclusive: false, autoDelete: false, maxPriority: 3 };
  world.act(() => world.declareQueue(world.virtualHost('/'), 'q', declared));
  const publish = (priority: number): void => {
    const options = { exchange: '', routingKey: 'q', bodyBytes: 60, persistent: true, expiresAtMs: 0, confirm: false };
    world.act(() => world.publish(world.virtualHost('/'), { ...options, priority }));
  };
  const positionsTaken = async (count: number): Promise<number[]> => {
    for (let i = 0; i < count; i++) world.act(() => world.get(world.queues[0] as Queue, false));
    await world.flush();
    return world.unsettled.map(({ position }) => position);
  };
  for (const priority of [0, 1, 3, 3, 9, 0]) publish(priority);
  const [first, second] = [0, LEVEL_SPAN];
  t.strictSame(await positionsTaken(4), [first, first + 1, first + 2, 2 * second]);
  world.act(() => world.settle(world.unsettled, 'acknowledge'));
  await world.flush();
  await world.close();
  world = await StoreWorld.open(disk.crash({ mode: 'drop' }), LIMITS, history, world.model.survivor());
  for (const priority of [3, 1, 0, 2]) publish(priority);
  // The world compares with its model what was redelivered, too.
  const third = 3 * second;
  t.strictSame(await positionsTaken(7), [first + 3, second, 2 * second + 1, third, third + 1, third + 2]);
  await world.close();
});

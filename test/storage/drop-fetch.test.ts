// Messages that are on disk alone leave their queue wherever they stand, and copies of them are read: while they are written, read,
// moved, and across a restart.
import t, { type Test } from 'tap';
import type { PlacedMessages } from '../../lib/core/message-store.ts';
import type { Queue } from '../../lib/core/queue.ts';
import type { DiskQueue } from '../../lib/storage/disk-queue.ts';
import { afterClose, afterCrash, checkDrained, outcomesOf, type Scene, sceneOf } from '../helper/store-crash.ts';
import { assertHealthy, profileOf } from '../helper/store-workload.ts';
import { StoreWorld } from '../helper/store-world.ts';

const MESSAGE = { exchange: '', routingKey: 'q', bodyBytes: 100, persistent: true, expiresAtMs: 0, confirm: true };
const PROFILE = { ...profileOf(1), segmentBytes: 1_000_000, budgetBytes: 1 };
const ALL = Array.from({ length: 40 }, (_, i) => i);

interface Stage {
  readonly scene: Scene;
  readonly world: StoreWorld;
  readonly queue: Queue;
  readonly store: DiskQueue;
  /** The number of the message at each position. */
  readonly ids: readonly number[];
}

/** A queue with messages, of which every fourth is transient. */
async function stageOf(options: Partial<typeof MESSAGE> = {}, profile = PROFILE, count = 40): Promise<Stage> {
  const scene = sceneOf(1, profile);
  const world = await StoreWorld.open(scene.disk, profile, scene.history, scene.model);
  const host = world.virtualHost('/');
  const ids: number[] = [];
  world.act(() => world.declareQueue(host, 'q', { durable: true, exclusive: false, autoDelete: false }));
  world.act(() => {
    for (let i = 0; i < count; i++) ids.push(world.publish(host, { ...MESSAGE, persistent: i % 4 !== 3, ...options }));
  });
  const [queue] = world.queues;
  return { scene, world, queue, store: world.life.queueStore(queue), ids };
}

/** As above, when all are in pages. */
async function pagedStage(options: Partial<typeof MESSAGE> = {}, profile = PROFILE, count = 40): Promise<Stage> {
  const stage = await stageOf(options, profile, count);
  await stage.world.flush();
  await stage.world.life.quiet();
  if (stage.store.pagedCount !== count) throw new Error(`${stage.store.pagedCount} messages are on disk alone`);
  return stage;
}

/** As above, when all are being written. */
async function writingStage(): Promise<Stage> {
  const stage = await stageOf();
  await stage.world.life.until(() => stage.store.ranges.some(({ page }) => page === null), 'a page is begun');
  return stage;
}

function drop({ world, queue, ids }: Stage, positions: readonly number[]): void {
  world.act(() => {
    for (const position of positions) world.drop(queue, position, ids[position]);
  });
}

/** Takes out what is left, and checks that nothing of the rest is anywhere; before and after a restart. */
async function checkLeft(t: Test, stage: Stage, left: readonly number[]): Promise<void> {
  const { scene, world, queue, ids } = stage;
  await world.flush();
  await world.life.quiet();
  t.equal(queue.messageCount + queue.unacknowledgedCount, left.length);
  for (let i = 0; i < left.length + 1; i++) world.act(() => world.get(queue, false));
  await world.flush();
  t.strictSame(
    world.unsettled.map(({ id }) => id),
    left.map((position) => ids[position]),
  );
  world.leave(true);
  await world.flush();
  await world.close();
  assertHealthy(world);
  await checkDrained(await afterClose({ ...scene, world, crashedAt: null, isTearable: false }));
}

const EVEN = ALL.filter((position) => position % 2 === 0);
const ODD = ALL.filter((position) => position % 2 === 1);

t.test('dropped from a page', async (t) => {
  const stage = await pagedStage();
  t.ok(stage.store.isPagedOut(7));
  t.notOk(stage.store.isPagedOut(40));
  drop(stage, EVEN);
  t.notOk(stage.store.isPagedOut(8));
  t.throws(() => stage.store.drop(8), /no message at 8/);
  await checkLeft(t, stage, ODD);
});

t.test('dropped while they are written', async (t) => {
  const stage = await writingStage();
  drop(stage, EVEN);
  await checkLeft(t, stage, ODD);
});

t.test('dropped while they are written, and the rest is wanted back', async (t) => {
  const stage = await writingStage();
  stage.world.act(() => stage.world.get(stage.queue, false));
  drop(stage, EVEN);
  await checkLeft(t, stage, ODD);
});

t.test('dropped while they are read', async (t) => {
  const stage = await pagedStage();
  stage.world.act(() => stage.world.get(stage.queue, false));
  drop(stage, EVEN);
  await checkLeft(t, stage, ODD);
});

t.test('all are dropped: nothing is left to be read, and who waits is told', async (t) => {
  for (const [name, begin] of Object.entries({ pagedStage, writingStage })) {
    for (const waits of [true, false]) {
      const stage = await begin();
      const { world, queue, store } = stage;
      if (waits) world.act(() => world.get(queue, false));
      drop(stage, ALL);
      t.equal(store.pagedCount, 0);
      t.equal(store.nextPaged, Infinity);
      await world.life.until(() => world.waitingGets === 0, 'an answer to get');
      t.equal(world.waitingGets, 0, name);
      await checkLeft(t, stage, []);
    }
  }
});

t.test('dropped one by one from the front', async (t) => {
  const stage = await pagedStage();
  for (const position of ALL.slice(0, 30)) {
    drop(stage, [position]);
    t.ok(stage.store.nextPaged <= position + 1);
  }
  await checkLeft(t, stage, ALL.slice(30));
});

t.test('a crash brings back all of what was dropped in one go, or nothing', async (t) => {
  let brought = 0;
  let gone = 0;
  for (let turns = 0; turns < 12; turns++) {
    for (const outcome of ['drop', 'keep', 'random 1', 'random 2']) {
      const stage = await pagedStage();
      const { world, scene } = stage;
      drop(stage, EVEN);
      for (let turn = 0; turn < turns; turn++) await world.life.turn();
      await world.life.kill();
      const ending = { ...scene, world, crashedAt: null, isTearable: false };
      const chosen = outcomesOf(ending, 0).find(({ name }) => name === outcome);
      if (chosen === undefined) throw new Error(`no outcome ${outcome}`);
      // Throws when it was never so.
      const after = await afterCrash(ending, chosen);
      const left = after.model.live.queues.values().next().value?.messages.length;
      if (left === 30) brought++;
      else gone++;
    }
  }
  t.ok(brought > 0 && gone > 0, `${brought} times back, ${gone} times gone`);
});

t.test('what was dropped and flushed stays away after a crash', async (t) => {
  const stage = await pagedStage();
  const { world, scene } = stage;
  drop(stage, EVEN);
  await world.flush();
  await world.life.kill();
  const ending = { ...scene, world, crashedAt: null, isTearable: false };
  const [outcome] = outcomesOf(ending, 0);
  const { model } = await afterCrash(ending, outcome);
  t.equal(model.live.queues.values().next().value?.messages.length, 10, 'odd ones that are persistent');
});

/** Fetches, and gives the result when it is there; null when it does not come. */
async function fetched({ world, store }: Stage, positions: readonly number[], meanwhile = (): void => {}) {
  const results: PlacedMessages[] = [];
  store.fetch(positions, (placed) => results.push(placed));
  t.equal(results.length, 0, 'later');
  meanwhile();
  await world.life.quiet();
  if (results.length > 1) throw new Error('called more than once');
  return results[0] ?? null;
}

function check(t: Test, { world, ids }: Stage, placed: PlacedMessages | null, expected: readonly number[]): void {
  t.strictSame(placed?.positions, expected);
  t.strictSame(
    placed?.messages.map((message) => world.history.recognize(message)),
    expected.map((position) => ids[position]),
  );
  for (const message of placed?.messages ?? []) world.life.memory.release(message);
}

t.test('copies of what is in pages, and of what is being written', async (t) => {
  for (const begin of [pagedStage, writingStage]) {
    const stage = await begin();
    const { store } = stage;
    check(t, stage, await fetched(stage, [3, 4, 39]), [3, 4, 39]);
    check(t, stage, await fetched(stage, []), []);
    check(t, stage, await fetched(stage, [0, 41, 1000]), [0]);
    t.equal(store.pagedCount, 40);
    await checkLeft(t, stage, ALL);
  }
});

t.test('what is loaded, dropped or purged meanwhile is left out', async (t) => {
  const stage = await pagedStage();
  const { world, queue } = stage;
  check(t, stage, await fetched(stage, ALL, () => drop(stage, EVEN)), ODD);
  check(t, stage, await fetched(stage, ODD, () => world.act(() => world.get(queue, true))), []);
  const again = await pagedStage();
  check(t, again, await fetched(again, ALL, () => again.world.act(() => again.world.purge(again.queue))), []);
  await checkLeft(t, again, []);
  const last = await pagedStage();
  const used = last.world.life.memory.usedBytes;
  const host = last.world.virtualHost('/');
  const result = await fetched(last, ALL, () => last.world.act(() => last.world.deleteQueue(host, last.queue)));
  t.equal(result, null, 'nobody is told when the queue is gone');
  t.equal(last.world.life.memory.usedBytes, used);
});

t.test('a few of many: only their blocks are read, and little is kept of them', async (t) => {
  const profile = { ...PROFILE, segmentBytes: 100_000_000 };
  const stage = await pagedStage({ bodyBytes: 1000, persistent: true }, profile, 4000);
  let reads = 0;
  stage.scene.trap.onEach = ({ kind }) => {
    if (kind === 'read') reads++;
  };
  const placed = await fetched(stage, [5, 6, 3990]);
  for (const { bodyBuffer } of placed?.messages ?? []) t.ok(bodyBuffer.length < 20_000, `${bodyBuffer.length} bytes`);
  check(t, stage, placed, [5, 6, 3990]);
  // Of about 16 blocks: the headers on the way, and two times what stands around the messages.
  t.ok(reads < 22, `${reads} reads`);
  const some = ALL.map((i) => i * 100);
  check(t, stage, await fetched(stage, some), some);
  await stage.world.close();
});

t.test('of much that is asked for, some is given, and the rest when it is asked for again', async (t) => {
  const stage = await pagedStage({ bodyBytes: 1024 * 1024 });
  const first = await fetched(stage, ALL);
  const count = first?.positions.length ?? 0;
  t.ok(count >= 25 && count <= 33, `${count} messages of a megabyte`);
  check(t, stage, first, ALL.slice(0, count));
  check(t, stage, await fetched(stage, ALL.slice(38)), [38, 39]);
  await stage.world.close();
});

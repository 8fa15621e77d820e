// Backlogs that do not fit into memory: many messages, large ones, few that stay for long; and that nothing is left on the disk of
// what was taken.
import t from 'tap';
import { checkDrained, sceneOf } from '../helper/store-crash.ts';
import { FOLDER } from '../helper/store-life.ts';
import { lives } from '../helper/store-points.ts';
import { assertHealthy, largeMessages, manyMessages, profileOf } from '../helper/store-workload.ts';
import { StoreWorld } from '../helper/store-world.ts';

const SCALE = Number(process.env.STORE_SCALE ?? 1);
t.setTimeout(SCALE * 110_000);

const MESSAGE = { exchange: '', routingKey: 'q', bodyBytes: 100, persistent: true, expiresAtMs: 0, confirm: true };

t.test('thousands of small messages', async (t) => {
  for (let seed = 1; seed <= 2 * SCALE; seed++) await lives(seed, 5, manyMessages(seed));
  t.pass();
});

t.test('messages of which one is larger than what is read at once', async (t) => {
  for (let seed = 1; seed <= 3 * SCALE; seed++) await lives(seed, 6, largeMessages(seed));
  t.pass();
});

t.test('few messages that stay for long do not keep what went, and are not moved for ever', async (t) => {
  let pages = 0;
  const scene = sceneOf(1, { ...profileOf(1), segmentBytes: 8192, budgetBytes: 1_000_000 });
  scene.trap.onEach = ({ kind, path }) => {
    if (kind === 'create' && path.startsWith(`${FOLDER}/pages/`)) pages++;
  };
  const world = await StoreWorld.open(scene.disk, scene.profile, scene.history, scene.model);
  const { life } = world;
  const host = world.virtualHost('/');
  const [queue] = world.queues;
  t.equal(queue, undefined);
  world.act(() => world.declareQueue(host, 'q', { durable: true, exclusive: false, autoDelete: false }));
  world.act(() => world.consume(world.queues[0], 0, false));
  for (let round = 0; round < 60; round++) {
    world.act(() => {
      for (let i = 0; i < 56; i++) world.publish(host, MESSAGE);
    });
    await world.flush();
    world.act(() => {
      const settled = world.unsettled.filter(({ id }) => id % 37 !== 0);
      world.settle(settled, 'acknowledge');
    });
    await world.flush();
  }
  for (let i = 0; i < 5; i++) {
    life.clock.advance(2000);
    await life.quiet();
  }
  assertHealthy(world);
  const before = pages;
  t.ok(before > 0 && before < 200, `${before} pages were written for ${world.unsettled.length} messages`);
  let bytes = 0;
  for (const folder of ['log', 'pages']) {
    for (const name of await scene.disk.list(`${FOLDER}/${folder}`)) {
      bytes += scene.disk.peek(`${FOLDER}/${folder}/${name}`)?.length ?? 0;
    }
  }
  // Four segments and one that is being filled, and as much again that is not worth a merge.
  t.ok(bytes < 10 * 8192, `${bytes} bytes on disk`);
  world.leave(true);
  await world.flush();
  await world.close();
  await checkDrained({ ...scene, model: scene.model.survivor() });
});

t.test('a backlog that was taken leaves nothing', async (t) => {
  for (const budgetBytes of [4096, 65_536]) {
    const scene = sceneOf(2, { ...profileOf(2), segmentBytes: 4096, budgetBytes });
    const world = await StoreWorld.open(scene.disk, scene.profile, scene.history, scene.model);
    const host = world.virtualHost('/');
    world.act(() => world.declareQueue(host, 'q', { durable: true, exclusive: false, autoDelete: false }));
    for (let round = 0; round < 100; round++) {
      world.act(() => {
        for (let i = 0; i < 5; i++) world.publish(host, { ...MESSAGE, persistent: i > 0 });
      });
      await world.life.turn();
    }
    await world.flush();
    t.equal(world.queues[0].messageCount, 500);
    await world.close();
    await checkDrained({ ...scene, model: scene.model.survivor() });
  }
});

t.test('messages are read while they are moved to another page', async (t) => {
  let reads = 0;
  for (let delay = 0; delay < 60; delay++) {
    const scene = sceneOf(delay, { ...profileOf(3), segmentBytes: 4096, budgetBytes: 512 });
    let isCheckpointed = false;
    let isMoving = false;
    let readsMeanwhile = 0;
    scene.trap.onEach = ({ kind, path }) => {
      if (kind === 'rename') isCheckpointed = true;
      if (!path.startsWith(`${FOLDER}/pages`)) return;
      // The first page after the checkpoint is the one that others are copied to.
      if (isCheckpointed && kind === 'create') isMoving = true;
      if (kind === 'syncDirectory') isMoving = false;
      if (kind === 'read' && isMoving) readsMeanwhile++;
    };
    const world = await StoreWorld.open(scene.disk, scene.profile, scene.history, scene.model);
    const { life } = world;
    const host = world.virtualHost('/');
    world.act(() => {
      for (const name of ['q', 'r']) {
        world.declareQueue(host, name, { durable: true, exclusive: false, autoDelete: false });
      }
      for (let i = 0; i < 56; i++) world.publish(host, { ...MESSAGE, routingKey: i % 8 === 0 ? 'r' : 'q' });
    });
    await world.flush();
    await life.quiet();
    const [q, r] = world.queues;
    world.act(() => world.purge(q));
    // What is mostly dead is copied after a checkpoint, which comes with what else happens.
    isCheckpointed = false;
    while (!isCheckpointed) {
      world.act(() => {
        for (let i = 0; i < 3; i++) world.publish(host, MESSAGE);
      });
      world.ask();
      for (let turn = 0; turn < 12 && !isCheckpointed; turn++) await life.turn();
      if (!isCheckpointed) world.act(() => world.purge(q));
    }
    for (let turn = 0; turn < delay; turn++) await life.turn();
    for (let i = 0; i < 8; i++) world.act(() => world.get(r, false));
    await world.flush();
    await life.quiet();
    assertHealthy(world);
    if (world.unsettled.length !== 7) t.fail(`${world.unsettled.length} messages after ${delay} turns`);
    world.leave(true);
    await world.flush();
    await world.close();
    await checkDrained({ ...scene, model: scene.model.survivor() });
    if (readsMeanwhile > 1) reads++;
  }
  t.ok(reads > 3, `${reads} times`);
});

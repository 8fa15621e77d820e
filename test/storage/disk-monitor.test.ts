// The disk alarm, on a disk and by a clock that the test owns.
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import type { Timer } from '../../lib/core/ports.ts';
import { DiskMonitor } from '../../lib/storage/disk-monitor.ts';

const LIMIT = 1000;

/** One timer at a time, which the test sets off. */
class OneTimer {
  delayMs: number | undefined;
  #task: () => void = () => {};

  after(delayMs: number, task: () => void): Timer {
    t.equal(this.delayMs, undefined, 'no timer beside this one');
    this.delayMs = delayMs;
    this.#task = task;
    return {
      cancel: () => {
        if (this.#task === task) this.delayMs = undefined;
      },
    };
  }

  /** Sets the timer off and waits for what follows from it. */
  async fire(): Promise<void> {
    t.not(this.delayMs, undefined, 'a timer waits');
    this.delayMs = undefined;
    this.#task();
    await nextTurn();
  }
}

/** A monitor, the free space that it finds, and what it tells. */
function setUp(free: number | Error | Promise<number>, limitBytes = LIMIT) {
  const clock = new OneTimer();
  const disk = { free, checks: 0 };
  const changes: boolean[] = [];
  const warnings: unknown[] = [];
  const monitor = new DiskMonitor({
    fileSystem: {
      freeBytes: async (directory) => {
        t.equal(directory, '/data');
        disk.checks++;
        if (disk.free instanceof Error) throw disk.free;
        return disk.free;
      },
    },
    directory: '/data',
    limitBytes,
    clock,
    listener: (raised) => changes.push(raised),
    warn: (error) => warnings.push(error),
  });
  return { monitor, clock, disk, changes, warnings };
}

t.test('it looks every ten seconds, and every second near the limit and during the alarm', async (t) => {
  const { monitor, clock, disk, changes } = setUp(4 * LIMIT);
  t.equal(monitor.freeBytes, undefined);
  await monitor.start();
  t.equal(monitor.freeBytes, 4 * LIMIT);
  t.equal(clock.delayMs, 10_000);
  disk.free = 4 * LIMIT - 1;
  await clock.fire();
  t.equal(clock.delayMs, 1000);
  disk.free = LIMIT;
  await clock.fire();
  t.same(changes, [], 'the limit itself is enough');
  disk.free = LIMIT - 1;
  await clock.fire();
  t.same(changes, [true]);
  await clock.fire();
  t.same(changes, [true], 'it is told once');
  t.equal(clock.delayMs, 1000);
  disk.free = LIMIT;
  await clock.fire();
  t.same(changes, [true, false]);
  disk.free = 4 * LIMIT;
  await clock.fire();
  t.equal(clock.delayMs, 10_000);
  t.equal(disk.checks, 7);
});

t.test('a disk that is low from the start raises the alarm before start resolves', async (t) => {
  const { monitor, changes } = setUp(LIMIT - 1);
  await monitor.start();
  t.same(changes, [true]);
});

t.test('a full disk raises the alarm at once, until there is room and writing works', async (t) => {
  const { monitor, clock, disk, changes } = setUp(10 * LIMIT);
  await monitor.start();
  monitor.full();
  t.same(changes, [true], 'whatever the check said');
  t.equal(clock.delayMs, 1000);
  monitor.full();
  await clock.fire();
  t.same(changes, [true], 'room alone does not clear it');
  disk.free = LIMIT - 1;
  monitor.recovered();
  await nextTurn();
  t.same(changes, [true], 'nor does writing alone');
  disk.free = LIMIT;
  await clock.fire();
  t.same(changes, [true, false]);

  await t.test('a write that works clears it without waiting for the timer', async (t) => {
    monitor.full();
    monitor.recovered();
    t.same(changes, [true, false, true]);
    await nextTurn();
    t.same(changes, [true, false, true, false]);
    t.equal(clock.delayMs, 1000, 'one timer, as near the limit');
  });

  await t.test('writing that works when it was never said not to changes nothing', async (t) => {
    const { checks } = disk;
    monitor.recovered();
    await nextTurn();
    t.equal(disk.checks, checks);
  });
});

t.test('what happens during a check is not lost', async (t) => {
  let answer: (free: number) => void = () => {};
  const ask = (): Promise<number> =>
    new Promise((resolve) => {
      answer = resolve;
    });
  const { monitor, clock, disk, changes } = setUp(ask());
  const started = monitor.start();
  monitor.full();
  answer(10 * LIMIT);
  await started;
  t.same(changes, [true], 'full while it was asked');
  disk.free = ask();
  await clock.fire();
  monitor.recovered();
  t.equal(disk.checks, 2, 'no two checks at a time');
  answer(10 * LIMIT);
  await nextTurn();
  t.same(changes, [true, false]);
  t.equal(clock.delayMs, 10_000);
});

t.test('without a limit only a full disk raises the alarm', async (t) => {
  const { monitor, changes } = setUp(0, 0);
  await monitor.start();
  t.same(changes, []);
  monitor.full();
  monitor.recovered();
  await nextTurn();
  t.same(changes, [true, false]);
});

t.test('a disk that does not tell is reported once, and changes no alarm', async (t) => {
  const { monitor, clock, disk, changes, warnings } = setUp(LIMIT - 1);
  await monitor.start();
  const error = new Error('EIO');
  disk.free = error;
  await clock.fire();
  await clock.fire();
  t.same(warnings, [error]);
  t.same(changes, [true], 'the alarm stays as it was');
  t.equal(monitor.freeBytes, undefined);
  disk.free = LIMIT;
  await clock.fire();
  t.same(changes, [true, false]);
  disk.free = error;
  await clock.fire();
  t.same(warnings, [error, error], 'it worked in between');
  t.equal(clock.delayMs, 10_000);

  await t.test('and does not keep the alarm up once writing works', async (t) => {
    monitor.full();
    monitor.recovered();
    await nextTurn();
    t.same(changes, [true, false, true, false]);
  });
});

t.test('once closed it looks and tells no more', async (t) => {
  const { monitor, clock, changes } = setUp(10 * LIMIT);
  await monitor.start();
  monitor.close();
  t.equal(clock.delayMs, undefined);
  monitor.full();
  monitor.recovered();
  await monitor.start();
  t.same(changes, []);

  for (const [what, free] of [
    ['an answer', LIMIT - 1],
    ['an error', new Error('EIO')],
  ] as const) {
    await t.test(`nor when ${what} comes too late`, async (t) => {
      const { monitor, clock, changes, warnings } = setUp(free);
      const started = monitor.start();
      monitor.close();
      await started;
      t.same([changes, warnings, clock.delayMs], [[], [], undefined]);
    });
  }
});

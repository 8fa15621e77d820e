// The event loop is kept awake while requests follow each other at once, and only then.
import t from 'tap';
import { Linger } from '../lib/linger.ts';

/** Time and looks at the input in the test's hands. */
function setUp() {
  let nowMs = 0;
  let next: (() => void) | undefined;
  const linger = new Linger({
    now: () => nowMs,
    endOfTurn: (task) => {
      if (next !== undefined) throw new Error('polls twice');
      next = task;
    },
  });
  return {
    linger,
    /** Lets time go by while nothing comes; returns how often it looked. */
    quiet: (ms: number): number => {
      let looks = 0;
      const untilMs = nowMs + ms;
      for (; nowMs < untilMs; nowMs += 0.01) {
        const look = next;
        next = undefined;
        if (look === undefined) continue;
        looks++;
        look();
      }
      return looks;
    },
  };
}

/** Turns that come after so many milliseconds each; returns how often it looked for input between them. */
function turns({ linger, quiet }: ReturnType<typeof setUp>, count: number, gapMs: number): number {
  let looks = 0;
  for (let i = 0; i < count; i++) {
    linger.turnEnded();
    looks += quiet(gapMs);
  }
  return looks;
}

t.test('while turns follow each other at once it looks all the time', async (t) => {
  const world = setUp();
  turns(world, 300, 0.02);
  t.ok(turns(world, 100, 0.02) >= 200);
  t.ok(world.quiet(1) < 10, 'and stops when nothing more comes');
  t.equal(world.quiet(1000), 0);
});

t.test('when they come apart it hardly tries', async (t) => {
  const world = setUp();
  t.ok(turns(world, 10_000, 0.2) < 10_000 / 20);
});

t.test('what does not pay any more is given up', async (t) => {
  const world = setUp();
  turns(world, 300, 0.02);
  turns(world, 3, 0.2);
  t.equal(turns(world, 200, 0.2), 0);
});

// Work at the end of the turn.
import t from 'tap';
import { TurnScheduler, type TurnTask } from '../../lib/core/turn.ts';
import { TestClock } from './helper.ts';

function task(endTurn: () => unknown, failures: unknown[] = []): TurnTask {
  return { endTurn, turnFailed: (error) => failures.push(error) };
}

t.test('a task that fails hears of it, and the others run', async (t) => {
  const clock = new TestClock();
  const turn = new TurnScheduler(clock);
  const failures: unknown[] = [];
  const ran: string[] = [];
  const defect = new Error('a defect');
  turn.add(
    task(() => {
      throw defect;
    }, failures),
  );
  turn.add(task(() => ran.push('other'), failures));
  clock.endTurn();
  t.same(ran, ['other']);
  t.equal(failures[0], defect);
  t.equal(failures.length, 1);
});

t.test('tasks run once, in order, at the end of the turn in which they were added', async (t) => {
  const clock = new TestClock();
  const turn = new TurnScheduler(clock);
  const ran: string[] = [];
  for (const name of ['a', 'b']) turn.add(task(() => ran.push(name)));
  t.same(ran, []);
  t.equal(clock.pendingTasks, 1, 'the clock is asked once');
  clock.endTurn();
  clock.endTurn();
  t.same(ran, ['a', 'b']);
});

t.test('a task that is added while a turn ends runs at the end of the next', async (t) => {
  const clock = new TestClock();
  const turn = new TurnScheduler(clock);
  const ran: string[] = [];
  const again = task(() => ran.push('again'));
  turn.add(
    task(() => {
      ran.push('first');
      turn.add(again);
    }),
  );
  clock.endTurn();
  t.same(ran, ['first']);
  clock.endTurn();
  t.same(ran, ['first', 'again']);
});

t.test('nothing to do asks nothing of the clock', async (t) => {
  const clock = new TestClock();
  const turn = new TurnScheduler(clock);
  turn.add(task(() => undefined));
  clock.endTurn();
  t.equal(clock.pendingTasks, 0);
});

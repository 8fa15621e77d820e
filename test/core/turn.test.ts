// Work at the end of the turn.
import t from 'tap';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { TestClock } from './helper.ts';

t.test('tasks run once, in order, at the end of the turn in which they were added', async (t) => {
  const clock = new TestClock();
  const turn = new TurnScheduler(clock);
  const ran: string[] = [];
  for (const name of ['a', 'b']) turn.add({ endTurn: () => ran.push(name) });
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
  const again = { endTurn: () => ran.push('again') };
  turn.add({
    endTurn: () => {
      ran.push('first');
      turn.add(again);
    },
  });
  clock.endTurn();
  t.same(ran, ['first']);
  clock.endTurn();
  t.same(ran, ['first', 'again']);
});

t.test('nothing to do asks nothing of the clock', async (t) => {
  const clock = new TestClock();
  const turn = new TurnScheduler(clock);
  turn.add({ endTurn: () => undefined });
  clock.endTurn();
  t.equal(clock.pendingTasks, 0);
});

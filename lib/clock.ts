// The clock of the real world. Its timers don't keep the process alive.
import type { Clock, Timer } from './core/ports.ts';

export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  after: (delayMs, task) => timer(setTimeout(task, delayMs)),
  every: (periodMs, task) => timer(setInterval(task, periodMs)),
  endOfTurn: (task) => {
    setImmediate(task);
  },
};

function timer(handle: NodeJS.Timeout): Timer {
  handle.unref();
  return { cancel: () => clearTimeout(handle) };
}

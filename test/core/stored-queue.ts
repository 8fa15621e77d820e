// A durable queue on a disk of the tests' own.
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { QueueSettings } from '../../lib/core/queue.ts';
import { queueSettings, TestClock } from './helper.ts';
import { NaiveStore } from './naive-store.ts';
import { queueContext } from './queue-helper.ts';

export function storedQueue(settings: Partial<QueueSettings> = {}) {
  const clock = new TestClock();
  const memory = new MemoryAccount(2 ** 40, 2 ** 40);
  let store: NaiveStore | undefined;
  const context = queueContext(clock, {
    memory,
    createStore: (host) => {
      store = new NaiveStore(host, memory);
      return store;
    },
  });
  const queue = new ClassicQueue(queueSettings({ durable: true, ...settings }), context);
  if (store === undefined) throw new Error('a queue that asked for no store');
  return { clock, memory, context, queue, store };
}

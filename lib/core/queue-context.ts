// What a queue needs from its virtual host.
import type { DeadLetterer } from './dead-letterer.ts';
import type { Deadlines } from './deadlines.ts';
import type { MemoryAccount } from './memory-account.ts';
import type { QueueStore, StoredQueue } from './message-store.ts';
import type { Clock } from './ports.ts';
import type { Queue, QueueSettings } from './queue.ts';
import type { QueueFeatures } from './queue-features.ts';
import type { RetentionSlab } from './retention-slab.ts';
import type { TurnScheduler } from './turn.ts';

export interface QueueContext {
  readonly virtualHost: string;
  readonly memory: MemoryAccount;
  readonly turn: TurnScheduler;
  readonly slab: RetentionSlab;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly deadLetters: DeadLetterer;
  /** What a queue does now, by its arguments and by policies; `Queue.applyFeatures` tells of changes. */
  features(settings: QueueSettings): QueueFeatures;
  /** Logs a defect of ours. */
  defect(error: unknown): void;
  /** The last consumer left an auto-delete queue, or nobody used a queue for as long as it says. */
  queueUnused(queue: Queue): void;
  /** Room on disk for a queue that comes into being; null where there is no disk. */
  createStore(queue: StoredQueue): QueueStore | null;
}

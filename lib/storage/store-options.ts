// What a store is opened with.
import type { MemoryAccount } from '../core/memory-account.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { PublishFlow } from '../core/publish-flow.ts';
import type { TurnScheduler } from '../core/turn.ts';
import type { FileSystem } from './file-system.ts';
import type { DiskRoom } from './log-files.ts';
import type { Preparing } from './prepared-space.ts';
import type { SyncMode } from './write-ahead-log.ts';

export interface StoreOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly fsync: SyncMode;
  readonly segmentBytes: number;
  /** When the log prepares space; tests let it do so with less. */
  readonly preparing?: Preparing;
  readonly budgetBytes: number;
  readonly clock: Clock;
  readonly turn: TurnScheduler;
  readonly memory: MemoryAccount;
  readonly flow: PublishFlow;
  readonly logger: Logger;
  readonly room: DiskRoom;
  /** Logs a defect of ours. */
  readonly defect: (error: unknown) => void;
  /** The store can keep nothing safe any more. Called once. */
  readonly failed: (error: Error) => void;
}

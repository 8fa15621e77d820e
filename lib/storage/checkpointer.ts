// Writes checkpoints: a snapshot of topology, queues and pages, taken between two records of the log. When one is durable, what
// only older ones needed is removed.
import type { StoredParameter } from '../core/message-store.ts';
import { levelOf } from '../core/positions.ts';
import { type CheckpointPage, type CheckpointQueue, encodeCheckpoint } from './checkpoint-format.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { FileSystem } from './file-system.ts';
import { type DiskRoom, type LogFiles, whenThereIsRoom } from './log-files.ts';
import type { PageFiles } from './page-files.ts';
import type { BindingEntry, ExchangeEntry, UserEntry } from './topology-entries.ts';
import type { WriteAheadLog } from './write-ahead-log.ts';

/** What is durable beside queues and their messages. */
export interface TopologySnapshot {
  readonly vhosts: Iterable<string>;
  readonly users: Iterable<UserEntry>;
  readonly parameters: Iterable<StoredParameter>;
  readonly exchanges: Iterable<ExchangeEntry>;
  readonly bindings: Iterable<BindingEntry>;
}

export interface CheckpointerOptions {
  readonly fs: FileSystem;
  readonly directory: string;
  readonly log: WriteAheadLog;
  readonly files: LogFiles;
  readonly pages: PageFiles;
  readonly queues: Iterable<DiskQueue>;
  readonly room: DiskRoom;
  readonly nextQueueId: () => number;
  readonly topology: () => TopologySnapshot;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #running: Promise<void> | null = null;
  /** Bytes of the last one. */
  bytes = 0;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  get isBusy(): boolean {
    return this.#running !== null;
  }

  /**
   * Writes a checkpoint, unless one is being written: then resolves when that is. Rejects with errors of the file system.
   * @param isClean nothing comes after it
   */
  run(isClean = false): Promise<void> {
    this.#running ??= this.#write(isClean).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #write(isClean: boolean): Promise<void> {
    const { fs, directory, log, files, pages, room } = this.#options;
    let chunks: readonly Buffer[] = [];
    let firstSegment = 0;
    const garbage = pages.takeGarbage();
    await log.snapshot((sequence) => {
      // What ended since it was asked for is not named either, so it may go as well.
      garbage.push(...pages.takeGarbage());
      pages.unnamedBytes = 0;
      firstSegment = firstNeeded(files);
      chunks = this.#encode(firstSegment, sequence, isClean);
    });
    this.bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    const path = `${directory}/checkpoint`;
    await whenThereIsRoom(room, async () => {
      const file = await fs.open(`${path}.new`, 'create');
      try {
        await file.write(chunks, 0);
        await file.dataSync();
      } finally {
        await file.close();
      }
      await fs.rename(`${path}.new`, path);
      await fs.syncDirectory(directory);
    });
    // Some file systems need room to remove something.
    await whenThereIsRoom(room, () => files.removeBefore(firstSegment));
    await whenThereIsRoom(room, () => pages.removeGarbage(garbage));
  }

  #encode(firstSegment: number, sequence: number, isClean: boolean): readonly Buffer[] {
    const { pages, queues, nextQueueId, topology } = this.#options;
    const { vhosts, users, parameters, exchanges, bindings } = topology();
    return encodeCheckpoint({
      firstSegment,
      sequence,
      isClean,
      nextQueueId: nextQueueId(),
      nextPage: pages.nextNumber,
      vhosts,
      users,
      parameters,
      exchanges,
      bindings,
      queues: queueStates(queues),
      pages: pageStates(pages),
    });
  }
}

/** The oldest segment with something that only it keeps safe, or the newest. */
export function firstNeeded({ segments }: LogFiles): number {
  const needed = segments.find(({ live }) => live > 0) ?? segments.at(-1);
  return needed?.number ?? 1;
}

function* queueStates(queues: Iterable<DiskQueue>): Generator<CheckpointQueue> {
  for (const queue of queues) {
    if (!queue.isLogged || queue.deleted) continue;
    const { settings, levels, deliveryCounts } = queue.host;
    yield {
      queueId: queue.id,
      vhost: queue.virtualHost,
      name: settings.name,
      autoDelete: settings.autoDelete,
      arguments: settings.arguments,
      levels,
      deliveryCounts: [...deliveryCounts],
    };
  }
}

function* pageStates({ pages }: PageFiles): Generator<CheckpointPage> {
  for (const { number, bytes, isTransient, ranges } of pages) {
    if (isTransient) continue;
    yield {
      number,
      bytes,
      ranges: [...ranges].map((range) => ({
        queueId: range.queue.id,
        level: levelOf(range.first),
        first: range.first,
        last: range.last,
        count: range.count,
        firstDeadlineMs: range.firstDeadlineMs,
        offset: range.offset,
        bytes: range.bytes,
        dead: range.deadAfterRestart(),
      })),
    };
  }
}

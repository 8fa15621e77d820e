// The write-ahead log: gathers what is to be durable, writes it in group commits, and tells those who wait. While one commit is
// on its way to the disk the next one gathers, so a slow disk makes larger commits, not longer queues.
import type { Clock, Timer } from '../core/ports.ts';
import { CONGESTED_BY_LOG, type PublishFlow } from '../core/publish-flow.ts';
import type { TurnScheduler, TurnTask } from '../core/turn.ts';
import { Batch, BatchBuffers } from './batch.ts';
import { ByteWriter } from './byte-writer.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { LogEntry } from './log-entry.ts';
import type { LogFiles } from './log-files.ts';

/** Acknowledgements wait so long for something urgent to be written with: nobody waits for them. */
const LAZY_MS = 5;
/** With `fsync: interval`, how often. */
const SYNC_INTERVAL_MS = 1000;
/** More than this waiting for the disk, and publishers are not read from. */
const CONGESTED_BYTES = 32 * 1024 * 1024;
/** What stays allocated for entries between commits. */
const KEPT_ENTRY_BYTES = 1024 * 1024;

export type SyncMode = 'always' | 'interval' | 'never';

export interface LogOptions {
  readonly files: LogFiles;
  readonly fsync: SyncMode;
  readonly clock: Clock;
  readonly turn: TurnScheduler;
  readonly flow: PublishFlow;
  /** The sequence of the last record that is there. */
  readonly sequence: number;
  /** The log has stopped for good. */
  readonly failed: (error: Error) => void;
  /** Logs a defect of ours. */
  readonly defect: (error: unknown) => void;
  /** A commit is durable: what it freed can be cleaned up. */
  readonly committed: () => void;
}

/** Asks to look at things right when a record is cut: behind what stands in it, before what comes. */
interface Snapshot {
  readonly take: (sequence: number) => void;
  readonly done: () => void;
}

export class WriteAheadLog implements TurnTask {
  readonly #options: LogOptions;
  readonly #buffers = new BatchBuffers();
  #entries: LogEntry[] = [];
  /** Encoded changes of the topology. */
  #topology = new ByteWriter();
  #dirtyQueues: DiskQueue[] = [];
  #waiters: (() => void)[] = [];
  #snapshots: Snapshot[] = [];
  #pendingBytes = 0;
  #writingBytes = 0;
  #scheduled = false;
  #lazy: Timer | null = null;
  #running: Promise<void> | null = null;
  #wanted = false;
  #failed = false;
  #recordSequence: number;
  #unsynced = false;
  readonly #syncTimer: Timer | null;
  #syncing = false;

  /** Moves with everything that is to become durable; see `Durability`. Queues move it for what they only note. */
  sequence = 0;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#recordSequence = options.sequence;
    const { fsync, clock } = options;
    this.#syncTimer = fsync === 'interval' ? clock.every(SYNC_INTERVAL_MS, () => void this.#syncNow()) : null;
  }

  get hasFailed(): boolean {
    return this.#failed;
  }

  /** Takes a message that is to be written. */
  append(entry: LogEntry, bytes: number): void {
    this.sequence++;
    this.#entries.push(entry);
    this.#pendingBytes += bytes;
    if (this.#pendingBytes + this.#writingBytes > CONGESTED_BYTES) this.#options.flow.hold(CONGESTED_BY_LOG);
    if (!this.#scheduled) this.#schedule();
  }

  /** Takes a change of the topology: `write` encodes its entry. */
  change(write: (writer: ByteWriter) => void): void {
    this.sequence++;
    write(this.#topology);
    if (!this.#scheduled) this.#schedule();
  }

  /** A queue has something to write that nobody waits for. */
  touch(queue: DiskQueue): void {
    this.#dirtyQueues.push(queue);
    this.#lazy ??= this.#options.clock.after(LAZY_MS, () => {
      this.#lazy = null;
      this.#commitSoon();
    });
  }

  whenDurable(done: () => void): void {
    if (this.#failed) return;
    if (this.#isIdle()) {
      done();
      return;
    }
    this.#waiters.push(done);
    this.#schedule();
  }

  /** Resolves when everything up to now is durable; never when the log fails. */
  flush(): Promise<void> {
    return new Promise((resolve) => this.whenDurable(resolve));
  }

  /**
   * Calls `take` between two records, with the sequence of the first, when all that was done until then stands in that record or
   * before. Resolves when it is durable.
   */
  snapshot(take: (sequence: number) => void): Promise<void> {
    return new Promise((resolve) => {
      this.#snapshots.push({ take, done: resolve });
      this.#schedule();
    });
  }

  endTurn(): void {
    this.#scheduled = false;
    this.#commitSoon();
  }

  turnFailed(error: unknown): void {
    this.#fail(error instanceof Error ? error : new Error(String(error)));
  }

  /** Stops for good: what follows is not written, and nobody is told anything. */
  stop(): void {
    this.#failed = true;
    this.#waiters = [];
    this.#snapshots = [];
    this.#syncTimer?.cancel();
    this.#lazy?.cancel();
  }

  /** Writes what is left and ends. Resolves when it is durable or the log has failed. */
  async close(): Promise<void> {
    this.#syncTimer?.cancel();
    while (!this.#failed && !this.#isIdle()) {
      this.#commitSoon();
      await this.#running;
    }
    await this.#running;
    this.#lazy?.cancel();
    if (!this.#failed) await this.#syncNow();
    if (!this.#failed) await this.#options.files.end().catch((error: Error) => this.#fail(error));
  }

  /** Everything handed over is durable. */
  #isIdle(): boolean {
    if (this.#running !== null) return false;
    return (
      this.#entries.length === 0 &&
      this.#topology.length === 0 &&
      this.#dirtyQueues.length === 0 &&
      this.#snapshots.length === 0
    );
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.turn.add(this);
  }

  #commitSoon(): void {
    if (this.#failed) return;
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (this.#wanted && !this.#failed) {
        this.#wanted = false;
        await this.#commit();
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    this.#running = null;
    // A waiter that came while the last commit was being told about.
    if (this.#wanted && !this.#failed) this.#commitSoon();
  }

  async #commit(): Promise<void> {
    const { files, fsync, flow } = this.#options;
    // First, since from the moment that a message is in the record nobody may take it for unwritten. Even where there is one, all
    // that is done at the end of the turn comes before what follows, and into the record.
    const segment = await files.segmentFor();
    const batch = new Batch(this.#buffers);
    const written: LogEntry[] = [];
    const unwritten = this.#fill(batch, (entry) => {
      segment.add(entry);
      written.push(entry);
    });
    const waiters = this.#waiters;
    const snapshots = this.#snapshots;
    this.#waiters = [];
    this.#snapshots = [];
    const isEmpty = !batch.finish(this.#recordSequence + 1);
    if (!isEmpty) this.#recordSequence++;
    for (const { take } of snapshots) take(this.#recordSequence);
    this.#writingBytes = this.#pendingBytes;
    this.#pendingBytes = 0;
    if (!isEmpty) {
      await files.append(batch.chunks, batch.bytes);
      this.#unsynced = fsync !== 'always';
    }
    // Whoever takes a snapshot relies on the record, whatever the mode.
    if (snapshots.length > 0 && (this.#unsynced || this.#syncing)) {
      this.#unsynced = false;
      await files.sync();
    }
    // Something else may have failed meanwhile: from then on nobody is told anything.
    if (this.#failed) return;
    batch.release();
    this.#writingBytes = 0;
    if (this.#pendingBytes <= CONGESTED_BYTES) flow.release(CONGESTED_BY_LOG);
    for (const entry of written) this.#tell(() => entry.confirm());
    for (const entry of unwritten) this.#tell(() => entry.confirm());
    for (const done of waiters) this.#tell(done);
    for (const { done } of snapshots) done();
    this.#options.committed();
  }

  /** What goes wrong in those who are told is a defect of theirs, and no failure of the log. */
  #tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.defect(error);
    }
  }

  /** @returns what is not written, since it was deleted with its queue, but has publishers that wait for the deletion */
  #fill(batch: Batch, written: (entry: LogEntry) => void): LogEntry[] {
    const topology = this.#topology;
    // Before the messages, since recovery must know what was acknowledged when it meets them.
    const queues = this.#dirtyQueues;
    this.#dirtyQueues = [];
    for (const queue of queues) queue.writeState(topology);
    batch.raw(topology.buffer, topology.length);
    this.#resetTopology();
    const entries = this.#entries;
    this.#entries = [];
    batch.messages(entries, written);
    this.#lazy?.cancel();
    this.#lazy = null;
    return entries.filter((entry) => entry.message !== null && !entry.isAlive);
  }

  #resetTopology(): void {
    if (this.#topology.buffer.length > KEPT_ENTRY_BYTES) this.#topology = new ByteWriter();
    else this.#topology.reset();
  }

  async #syncNow(): Promise<void> {
    if (!this.#unsynced || this.#syncing || this.#options.fsync === 'never') return;
    this.#syncing = true;
    this.#unsynced = false;
    try {
      await this.#options.files.sync();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    this.#syncing = false;
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.stop();
    this.#options.failed(error);
  }
}

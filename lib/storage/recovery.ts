// Brings a data folder back after a stop or a crash: the checkpoint, then the log from where the checkpoint says. Removes what a
// crash left half done, and refuses to go on where something is damaged that no crash explains.
import type { Logger } from '../core/ports.ts';
import { RetentionSlab } from '../core/retention-slab.ts';
import { FormatError } from './byte-reader.ts';
import { type CheckpointState, decodeCheckpoint } from './checkpoint-format.ts';
import type { DiskQueue } from './disk-queue.ts';
import type { FileSystem } from './file-system.ts';
import { LogReplay } from './log-replay.ts';
import { Page, PageRange } from './page.ts';
import type { RouteTable } from './route-table.ts';
import { numberedName, numberInName, Segment } from './segment.ts';
import { readSegment, type Segment as SegmentRead, UnfinishedSegmentError } from './segment-reader.ts';
import { damaged } from './storage-error.ts';
import { TopologyState } from './topology-state.ts';

/** A recovery that takes longer than this tells of its progress. */
const QUIET_MS = 2000;

export interface RecoveryOptions {
  readonly fs: FileSystem;
  readonly directory: string;
  readonly routes: RouteTable;
  readonly logger: Logger;
  /** Milliseconds that never go backwards. */
  readonly now: () => number;
  readonly createQueue: (id: number) => DiskQueue;
}

/** What was found. */
export interface Recovered {
  readonly topology: TopologyState;
  readonly replay: LogReplay;
  readonly segments: Segment[];
  readonly pages: Page[];
  /** Of the last record. */
  readonly sequence: number;
  /** The broker before had stopped in order, so everything is known that happened. */
  readonly wasClean: boolean;
  readonly nextQueueId: number;
  readonly nextPage: number;
}

const NO_CHECKPOINT: CheckpointState = {
  firstSegment: 1,
  sequence: 0,
  isClean: true,
  nextQueueId: 1,
  nextPage: 1,
  vhosts: [],
  users: [],
  parameters: [],
  exchanges: [],
  queues: [],
  bindings: [],
  pages: [],
};

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #startedAt: number;
  #toldAt = 0;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#startedAt = this.#toldAt = options.now();
  }

  /** @throws {StorageError} when the folder is damaged; {Error} of the file system */
  async run(): Promise<Recovered> {
    const { fs, directory, routes, createQueue } = this.#options;
    await fs.makeDirectory(`${directory}/log`);
    await fs.makeDirectory(`${directory}/pages`);
    await fs.syncDirectory(directory);
    await fs.remove(`${directory}/checkpoint.new`);
    const checkpoint = await this.#readCheckpoint();
    const replay = new LogReplay(checkpoint.sequence, routes, createQueue);
    const pages = await this.#readPages(checkpoint, replay);
    const { segments, sequence } = await this.#readLog(checkpoint, replay);
    const topology = topologyOf(checkpoint);
    replay.applyChanges(topology);
    let nextQueueId = checkpoint.nextQueueId;
    for (const { queue } of replay.queues) nextQueueId = Math.max(nextQueueId, queue.id + 1);
    for (const id of topology.queues.keys()) nextQueueId = Math.max(nextQueueId, id + 1);
    const numbers = await this.#pageNumbers();
    const nextPage = Math.max(checkpoint.nextPage, ...numbers.map((number) => number + 1));
    const wasClean = checkpoint.isClean && sequence === checkpoint.sequence;
    return { topology, replay, segments, pages, sequence, wasClean, nextQueueId, nextPage };
  }

  async #readCheckpoint(): Promise<CheckpointState> {
    const { fs, directory } = this.#options;
    if (!(await fs.list(directory)).includes('checkpoint')) return NO_CHECKPOINT;
    const path = `${directory}/checkpoint`;
    const file = await fs.open(path, 'read');
    try {
      const buffer = Buffer.allocUnsafeSlow(await file.size());
      const read = await file.read(buffer, 0, buffer.length, 0);
      return decodeCheckpoint(buffer.subarray(0, read));
    } catch (error) {
      if (error instanceof FormatError) throw damaged(directory, path, error.offset, error.reason);
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Takes the pages of the checkpoint and removes the others: nothing relies on them. */
  async #readPages(checkpoint: CheckpointState, replay: LogReplay): Promise<Page[]> {
    const { fs, directory } = this.#options;
    const folder = `${directory}/pages`;
    const names = new Set(await fs.list(folder));
    const pages: Page[] = [];
    for (const { number, bytes, ranges } of checkpoint.pages) {
      const name = numberedName(number, 'page');
      if (!names.delete(name)) throw damaged(directory, `${folder}/${name}`, -1, 'the file is missing');
      const size = await this.#sizeOf(`${folder}/${name}`);
      if (size !== bytes) throw damaged(directory, `${folder}/${name}`, -1, `it has ${size} bytes, not ${bytes}`);
      const page = new Page(number, `${folder}/${name}`, bytes, false);
      for (const range of ranges) addRange(page, range, replay);
      pages.push(page);
    }
    for (const name of names) {
      if (numberInName(name, 'page') !== null || numberInName(name, 'transient') !== null) {
        await fs.remove(`${folder}/${name}`);
      }
    }
    if (names.size > 0) await fs.syncDirectory(folder);
    for (const { queueId, levels, deliveryCounts } of checkpoint.queues) {
      const known = replay.queueOf(queueId);
      for (const { nextPosition, deliveredTo } of levels) known.reached(nextPosition, deliveredTo);
      for (const [position, count] of deliveryCounts) known.deliveryCounts.set(position, count);
    }
    return pages;
  }

  async #sizeOf(path: string): Promise<number> {
    const file = await this.#options.fs.open(path, 'read');
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  }

  async #pageNumbers(): Promise<number[]> {
    const names = await this.#options.fs.list(`${this.#options.directory}/pages`);
    return names.flatMap((name) => numberInName(name, 'page') ?? numberInName(name, 'transient') ?? []);
  }

  /** Reads the segments, the newest first, and removes those that the checkpoint does not need. */
  async #readLog(checkpoint: CheckpointState, replay: LogReplay): Promise<{ segments: Segment[]; sequence: number }> {
    const { fs, directory } = this.#options;
    const folder = `${directory}/log`;
    const numbers = (await fs.list(folder)).flatMap((name) => numberInName(name, 'log') ?? []).sort((a, b) => a - b);
    const segments: Segment[] = [];
    let sequence: number | null = null;
    /** What the next older segment must end with. */
    let expectedEnd: number | null = null;
    let buffer: Buffer | undefined;
    for (const [index, number] of [...numbers.entries()].reverse()) {
      const path = `${folder}/${numberedName(number, 'log')}`;
      if (number < checkpoint.firstSegment) {
        await fs.remove(path);
        continue;
      }
      const isNewest = index === numbers.length - 1;
      if (index > 0 && numbers[index - 1] !== number - 1 && number > checkpoint.firstSegment) {
        throw damaged(directory, `${folder}/${numberedName(number - 1, 'log')}`, -1, 'the file is missing');
      }
      const read = await this.#readSegment(path, isNewest, buffer);
      if (read === null) continue;
      if (read.number !== number)
        throw damaged(directory, path, 16, `its header says that it is segment ${read.number}`);
      buffer = read.buffer;
      const { records } = read;
      const last = records.at(-1)?.sequence ?? null;
      if (expectedEnd !== null && last !== null && last !== expectedEnd) {
        throw damaged(
          directory,
          path,
          read.end,
          `it ends with record ${last}, but the next segment goes on after ${expectedEnd}`,
        );
      }
      if (records.length > 0) {
        expectedEnd = records[0].sequence - 1;
      } else if (segments.length > 0 && segments[0].isLazy === read.lazy) {
        // Only another sync mode makes the log go on in a new segment when nothing is in the old one.
        throw damaged(directory, path, read.end, 'it holds no record, though the log goes on in the next segment');
      }
      sequence ??= last;
      const segment = new Segment(number, path, null, read.end);
      segment.isLazy = read.lazy;
      segment.fileBytes = read.size;
      segments.unshift(segment);
      for (const { sequence: of, start, end } of records.reverse())
        this.#replay(replay, segment, of, read.buffer, start, end);
      if (!copyOut(segment, read.buffer)) buffer = undefined;
      this.#tell(numbers.length - index, numbers.length);
    }
    this.#checkBeginning(checkpoint, numbers, expectedEnd);
    if (sequence !== null && sequence < checkpoint.sequence) {
      const path = segments.at(-1)?.path ?? folder;
      throw damaged(
        directory,
        path,
        -1,
        `it ends with record ${sequence}, before the checkpoint's ${checkpoint.sequence}`,
      );
    }
    const newest = segments.at(-1);
    if (newest !== undefined) {
      newest.file = await fs.open(newest.path, 'update', !newest.isLazy);
      // A process that was killed may have left it unsynced, and everything relies on it from now on.
      await newest.file.dataSync();
    }
    await fs.syncDirectory(folder);
    return { segments, sequence: sequence ?? checkpoint.sequence };
  }

  /** The log must reach back to the checkpoint. */
  #checkBeginning(checkpoint: CheckpointState, numbers: readonly number[], before: number | null): void {
    const { directory } = this.#options;
    const needed = numbers.filter((number) => number >= checkpoint.firstSegment);
    const first = `${directory}/log/${numberedName(checkpoint.firstSegment, 'log')}`;
    const isMissing = needed.length === 0 ? checkpoint.sequence > 0 : needed[0] !== checkpoint.firstSegment;
    if (isMissing) throw damaged(directory, first, -1, 'the file is missing');
    if (before !== null && before > checkpoint.sequence) {
      throw damaged(directory, first, -1, `records ${checkpoint.sequence + 1} to ${before} are missing`);
    }
  }

  /** Reads one segment and cuts what a crash left at the end of the newest. Null for one that was only begun. */
  async #readSegment(path: string, isNewest: boolean, into: Buffer | undefined): Promise<SegmentRead | null> {
    const { fs, directory, logger } = this.#options;
    try {
      const read = await readSegment(fs, path, into);
      const { problem, laterSequence, lazy, end, size } = read;
      if (problem === null) return read;
      if (!isNewest) throw damaged(directory, path, problem.offset, problem.reason);
      if (laterSequence !== null && !lazy) {
        const reason = `${problem.reason}, but record ${laterSequence} behind it is sound`;
        throw damaged(directory, path, problem.offset, reason);
      }
      logger.warn(
        { path, offset: end, bytes: size - end, reason: problem.reason },
        'a record that a crash cut short is removed: nothing in it was confirmed',
      );
      const file = await fs.open(path, 'update');
      await file.truncate(end);
      await file.dataSync();
      await file.close();
      return { ...read, size: end };
    } catch (error) {
      if (error instanceof UnfinishedSegmentError && isNewest) {
        logger.warn({ path }, 'a segment of the log that a crash left unfinished is removed');
        await fs.remove(path);
        await fs.syncDirectory(`${directory}/log`);
        return null;
      }
      if (error instanceof FormatError) throw damaged(directory, path, error.offset, error.reason);
      throw error;
    }
  }

  #replay(replay: LogReplay, segment: Segment, sequence: number, buffer: Buffer, start: number, end: number): void {
    try {
      replay.record(segment, sequence, buffer, start, end);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw damaged(this.#options.directory, segment.path, error.offset, error.reason);
    }
  }

  #tell(read: number, all: number): void {
    const now = this.#options.now();
    if (now - this.#toldAt < QUIET_MS) return;
    this.#toldAt = now;
    const seconds = Math.round((now - this.#startedAt) / 1000);
    this.#options.logger.info({ segments: read, of: all, seconds }, 'reading the log');
  }
}

function addRange(page: Page, spec: CheckpointState['pages'][number]['ranges'][number], replay: LogReplay): void {
  const { queue } = replay.queueOf(spec.queueId);
  const range = new PageRange(queue, spec.first, spec.last, spec.dead);
  range.placeIn(page, { ...spec, transient: null });
  range.hidesDeadlines = spec.firstDeadlineMs > 0;
  range.leaveMemory(range.dead.nextGap(spec.first), spec.offset, range.live);
  queue.addRange(range);
}

function topologyOf(checkpoint: CheckpointState): TopologyState {
  const state = new TopologyState();
  for (const name of checkpoint.vhosts) state.virtualHost(name);
  for (const user of checkpoint.users) state.user(user);
  for (const parameter of checkpoint.parameters) state.parameter(parameter);
  for (const exchange of checkpoint.exchanges) state.exchange(exchange);
  for (const queue of checkpoint.queues) state.queue(queue);
  for (const binding of checkpoint.bindings) state.binding(binding);
  return state;
}

/** Copies messages out of the buffer that they were read into; false when one is still in it, since it is most of it. */
function copyOut({ entries }: Segment, buffer: Buffer): boolean {
  const slab = new RetentionSlab();
  const messages = entries.flatMap(({ message }) => message ?? []);
  slab.begin(messages.reduce((bytes, message) => bytes + message.bytesToIsolate, 0));
  for (const message of messages) message.isolate(slab);
  return messages.every(({ bodyBuffer }) => bodyBuffer !== buffer);
}

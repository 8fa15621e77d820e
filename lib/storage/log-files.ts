// The files of the write-ahead log: appends to the newest segment, begins another when that is full, writes again what did not
// fit on the disk, and prepares space for what comes next. Knows nothing of what it writes.
import { encodeFileHeader, FILE_HEADER_BYTES } from './file-header.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { PreparedSpace, type Preparing } from './prepared-space.ts';
import { numberedName, Segment } from './segment.ts';

/** What happens when the disk is full: told, and asked when to try again. */
export interface DiskRoom {
  /** A write did not fit. Resolves when it is worth another try; rejects when there is no point in waiting. */
  full(error: Error): Promise<void>;
  /** A write that did not fit before did now. */
  recovered(): void;
}

/** Errors that pass: the disk or the quota is full, or the process has too many files open. */
const PASSING_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE']);

/** Runs `task` until it does not fail for want of room. Any other error is passed on. */
export async function whenThereIsRoom<T>(room: DiskRoom, task: () => Promise<T>): Promise<T> {
  for (let isRetry = false; ; isRetry = true) {
    try {
      const result = await task();
      if (isRetry) room.recovered();
      return result;
    } catch (error) {
      if (!isPassing(error)) throw error;
      await room.full(error);
    }
  }
}

function isPassing(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && PASSING_ERRORS.has(String(error.code));
}

/** A segment that is written to. */
type OpenSegment = Segment & { readonly file: OpenFile };

export class LogFiles {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #room: DiskRoom;
  /** Whether what is written may be synced later than it is confirmed; see `encodeFileHeader`. Otherwise each write is durable. */
  readonly #isLazy: boolean;
  readonly #prepared: PreparedSpace;
  /** Oldest first; the last one is appended to. */
  readonly segments: Segment[];

  /**
   * @param directory holds the segments
   * @param segments those that are there, oldest first; the last one is gone on with
   */
  constructor(
    fs: FileSystem,
    directory: string,
    segmentBytes: number,
    isLazy: boolean,
    room: DiskRoom,
    segments: Segment[],
    preparing: Preparing,
  ) {
    this.#fs = fs;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#isLazy = isLazy;
    this.#room = room;
    this.segments = segments;
    this.#prepared = new PreparedSpace(preparing, segmentBytes);
  }

  /** Bytes of all segments, without what is prepared. */
  get bytes(): number {
    return this.segments.reduce((sum, { size }) => sum + size, 0);
  }

  /** The segment that the next record goes to: begins one when there is none or the newest is full. */
  async segmentFor(): Promise<Segment> {
    const newest = this.segments.at(-1);
    const hasRoom = newest !== undefined && newest.size < this.#segmentBytes && newest.file !== null;
    // A segment says how its end may look after a power loss, so none is gone on with in another mode.
    if (hasRoom && newest.isLazy === this.#isLazy) return newest;
    await this.#cut();
    // What comes later must not be durable before what came earlier.
    if (newest?.file != null) await newest.file.dataSync();
    const segment = await whenThereIsRoom(this.#room, () => this.#begin((newest?.number ?? 0) + 1));
    this.segments.push(segment);
    if (newest !== undefined) {
      const { file } = newest;
      // Before it is closed, so that nobody syncs it any more.
      newest.file = null;
      await file?.close();
    }
    return segment;
  }

  /**
   * Appends bytes to the newest segment; when the disk is full, as soon as there is room. They are durable then, unless the log is
   * lazy. An error is final: nobody can know what is on the disk then.
   */
  async append(chunks: readonly Buffer[], bytes: number): Promise<void> {
    const segment = this.#newest();
    const { file, size } = segment;
    const zeros = this.#isLazy ? null : this.#prepared.behind(segment, bytes);
    if (zeros === null || !(await this.#appendAndPrepare(segment, chunks, bytes, zeros))) {
      // A write that failed may be made again, since it writes all that the failed one should have.
      await whenThereIsRoom(this.#room, () => file.write(chunks, size));
    }
    segment.size += bytes;
    segment.fileBytes = Math.max(segment.fileBytes, segment.size);
  }

  /** Makes durable what was appended to a lazy log. An error is final. */
  async sync(): Promise<void> {
    const newest = this.segments.at(-1);
    if (newest?.file != null) await newest.file.dataSync();
  }

  /** Removes segments from the oldest on, up to one that is still needed. */
  async removeBefore(number: number): Promise<void> {
    let removed = false;
    while (this.segments.length > 1 && this.segments[0].number < number) {
      const [segment] = this.segments;
      await this.#fs.remove(segment.path);
      this.segments.shift();
      removed = true;
    }
    if (removed) await this.#fs.syncDirectory(this.#directory);
  }

  /** Nothing is appended any more: gives back what is prepared. */
  async end(): Promise<void> {
    if (await this.#cut()) await this.sync();
  }

  async close(): Promise<void> {
    const newest = this.segments.at(-1);
    await newest?.file?.close();
    if (newest !== undefined) newest.file = null;
  }

  async #begin(number: number): Promise<Segment> {
    const path = `${this.#directory}/${numberedName(number, 'log')}`;
    const file = await this.#fs.open(path, 'create', !this.#isLazy);
    try {
      await file.write([encodeFileHeader('log', number, this.#isLazy)], 0);
      if (this.#isLazy) await file.dataSync();
      await this.#fs.syncDirectory(this.#directory);
    } catch (error) {
      await file.close();
      throw error;
    }
    const segment = new Segment(number, path, file, FILE_HEADER_BYTES);
    segment.isLazy = this.#isLazy;
    return segment;
  }

  /** Writes a record, and prepares space behind it; false when there was no room for both. */
  async #appendAndPrepare(
    segment: OpenSegment,
    chunks: readonly Buffer[],
    bytes: number,
    zeros: Buffer,
  ): Promise<boolean> {
    segment.fileBytes = segment.size + bytes + zeros.length;
    try {
      await segment.file.write([...chunks, zeros], segment.size);
      return true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.#prepared.noRoom(segment);
      // What was written of the zeros is room that others need.
      await this.#cut();
      return false;
    }
  }

  /** Cuts the newest segment to its records; returns whether there was something to cut, and it could be done. */
  async #cut(): Promise<boolean> {
    const newest = this.segments.at(-1);
    if (newest?.file == null || newest.fileBytes <= newest.size) return false;
    try {
      await newest.file.truncate(newest.size);
    } catch (error) {
      // Some file systems need room for it. Zeros do no harm.
      if (isPassing(error)) return false;
      throw error;
    }
    newest.fileBytes = newest.size;
    return true;
  }

  #newest(): OpenSegment {
    const newest = this.segments.at(-1);
    if (newest === undefined || newest.file === null) throw new Error('the log has no segment to append to');
    // Narrowed by the line before; the compiler does not see that it is the same object.
    return newest as OpenSegment;
  }
}

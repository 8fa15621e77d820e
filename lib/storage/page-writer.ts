// Writes pages: the messages that several queues give up, queue after queue, block after block, then the index.
import type { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import { levelOf } from '../core/positions.ts';
import { encodeFileHeader } from './file-header.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { BlockBuilder } from './page-block.ts';
import { encodePageFooter, encodePageIndex, type PageRun } from './page-index.ts';
import { PositionSet } from './position-set.ts';

/** A block ends when it has so many bytes. */
const BLOCK_BYTES = 256 * 1024;
/** So many bytes are written at once. */
const WRITE_BYTES = 1024 * 1024;

/** What is known of messages that are copied as they stand. */
export interface EncodedRun {
  readonly positions: number[];
  readonly transient: PositionSet;
  firstDeadlineMs: number;
}

/** Writes one page from its beginning to its end. */
export class PageWriter {
  readonly #file: OpenFile;
  readonly #number: number;
  readonly #builder = new BlockBuilder();
  readonly #runs: PageRun[] = [];
  #chunk = Buffer.allocUnsafeSlow(WRITE_BYTES);
  #chunkBytes = 0;
  #written = 0;
  /** Bytes that were encoded since others had their turn. */
  #sinceBreath = 0;
  #isClosed = false;

  private constructor(file: OpenFile, number: number) {
    this.#file = file;
    this.#number = number;
  }

  /** Begins a page. @throws {Error} of the file system */
  static async create(fs: FileSystem, path: string, number: number, isTransient: boolean): Promise<PageWriter> {
    const writer = new PageWriter(await fs.open(path, 'create'), number);
    writer.#put(encodeFileHeader('page', number, isTransient));
    return writer;
  }

  /**
   * Adds messages of one level of a queue and tells where they stand.
   * @param breathe lets other work have its turn; called after every block's worth
   */
  async addRun(
    queueId: number,
    { messages, positions }: PlacedMessages,
    breathe: () => Promise<void>,
  ): Promise<PageRun> {
    const offset = this.#written + this.#chunkBytes;
    const builder = this.#builder;
    for (let i = 0; i < messages.length; ) {
      builder.begin(queueId);
      do builder.add(messages[i], positions[i++]);
      while (i < messages.length && builder.bytes < BLOCK_BYTES);
      await this.#add(builder.finish());
      this.#sinceBreath += builder.bytes;
      if (this.#sinceBreath < BLOCK_BYTES) continue;
      this.#sinceBreath = 0;
      await breathe();
    }
    let firstDeadlineMs = 0;
    for (const { expiresAtMs } of messages) firstDeadlineMs = earlierDeadline(firstDeadlineMs, expiresAtMs);
    return this.#endRun(queueId, offset, positions, transientPositions(messages, positions), firstDeadlineMs);
  }

  /**
   * As `addRun`, of messages that stand encoded in other pages.
   * @param run filled by `fill`, which puts messages into the builder, and has the block ended when it is large enough
   * @returns null when there were none
   */
  async addEncodedRun(
    queueId: number,
    run: EncodedRun,
    fill: (builder: BlockBuilder, addBlock: () => Promise<void>) => Promise<void>,
  ): Promise<PageRun | null> {
    const offset = this.#written + this.#chunkBytes;
    const builder = this.#builder;
    builder.begin(queueId);
    await fill(builder, async () => {
      if (builder.count > 0) await this.#add(builder.finish());
      builder.begin(queueId);
    });
    if (builder.count > 0) await this.#add(builder.finish());
    const { positions, transient, firstDeadlineMs } = run;
    if (positions.length === 0) return null;
    return this.#endRun(queueId, offset, positions, transient.isEmpty ? null : transient, firstDeadlineMs);
  }

  /** Completes the page and returns its size; `sync` makes it durable before that. */
  async finish(sync: boolean): Promise<number> {
    const indexOffset = this.#written + this.#chunkBytes;
    const index = encodePageIndex(this.#runs);
    await this.#add(index);
    await this.#add(encodePageFooter(indexOffset, index, this.#number));
    await this.#flush();
    if (sync) await this.#file.dataSync();
    this.#isClosed = true;
    await this.#file.close();
    return this.#written;
  }

  /** Gives up: the file is of no use. */
  async abandon(): Promise<void> {
    if (!this.#isClosed) await this.#file.close();
  }

  #endRun(
    queueId: number,
    offset: number,
    positions: readonly number[],
    transient: PositionSet | null,
    firstDeadlineMs: number,
  ): PageRun {
    const run = {
      queueId,
      level: levelOf(positions[0]),
      first: positions[0],
      last: positions[positions.length - 1],
      count: positions.length,
      firstDeadlineMs,
      offset,
      bytes: this.#written + this.#chunkBytes - offset,
      gaps: gapsBetween(positions),
      transient,
    };
    this.#runs.push(run);
    return run;
  }

  async #add(bytes: Buffer): Promise<void> {
    if (this.#chunkBytes + bytes.length > this.#chunk.length) await this.#flush();
    if (bytes.length <= this.#chunk.length) {
      this.#put(bytes);
      return;
    }
    await this.#file.write([bytes], this.#written);
    this.#written += bytes.length;
  }

  #put(bytes: Buffer): void {
    bytes.copy(this.#chunk, this.#chunkBytes);
    this.#chunkBytes += bytes.length;
  }

  async #flush(): Promise<void> {
    if (this.#chunkBytes === 0) return;
    await this.#file.write([this.#chunk.subarray(0, this.#chunkBytes)], this.#written);
    this.#written += this.#chunkBytes;
    this.#chunkBytes = 0;
  }
}

/** The earlier of two deadlines, where 0 is none. */
export function earlierDeadline(a: number, b: number): number {
  return a === 0 || (b !== 0 && b < a) ? b : a;
}

/** The positions that are missing in a rising row; null when none is. */
export function gapsBetween(positions: readonly number[]): PositionSet | null {
  const first = positions[0];
  if (positions[positions.length - 1] - first + 1 === positions.length) return null;
  const gaps = new PositionSet();
  for (let i = 1; i < positions.length; i++) {
    if (positions[i] > positions[i - 1] + 1) gaps.addRange(positions[i - 1] + 1, positions[i] - 1);
  }
  return gaps;
}

function transientPositions(messages: readonly Message[], positions: readonly number[]): PositionSet | null {
  let transient: PositionSet | null = null;
  for (let i = 0; i < messages.length; i++) {
    if (messages[i].persistent) continue;
    transient ??= new PositionSet();
    transient.add(positions[i]);
  }
  return transient;
}

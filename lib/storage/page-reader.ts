// Reads what queues have in pages: some blocks at a time, from few open files.
import { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import { FormatError } from './byte-reader.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import type { Page, PageRange } from './page.ts';
import { type BlockSink, decodeBlock } from './page-block.ts';
import { BlockHeader, checkBlock, PAGE_BLOCK_HEADER_BYTES, readBlockHeader } from './page-format.ts';
import type { RouteTable } from './route-table.ts';
import { damaged } from './storage-error.ts';

/** So much is read at once: about two blocks. */
const READ_BYTES = 512 * 1024;
/** As many files stay open. */
const OPEN_FILES = 16;

/** What was read of a range, and where to go on. */
export interface RangeRead extends PlacedMessages {
  readonly nextOffset: number;
  /** Infinity when nothing is left. */
  readonly nextPosition: number;
}

/** An open page, and how many reads use it now. */
interface OpenPage {
  readonly file: Promise<OpenFile>;
  readers: number;
  isEvicted: boolean;
}

export class PageReader {
  readonly #fs: FileSystem;
  /** The data folder. */
  readonly #directory: string;
  readonly #routes: RouteTable;
  /** By use: the one that was used longest ago comes first. */
  readonly #open = new Map<Page, OpenPage>();

  constructor(fs: FileSystem, directory: string, routes: RouteTable) {
    this.#fs = fs;
    this.#directory = directory;
    this.#routes = routes;
  }

  /**
   * Reads what comes next in a range, which is for the caller to note. What is dead is left out, so there may be none.
   * @throws {StorageError} naming file and offset; {Error} of the file system
   */
  async read(range: PageRange): Promise<RangeRead> {
    const { page, nextOffset } = range;
    if (page === null) throw new Error('a range that is in no page yet');
    const end = range.offset + range.bytes;
    const buffer = await this.blocks(page, nextOffset, end);
    const sink = new MessageSink(buffer, range, this.#routes);
    const behind = nextOffset + this.decode(page, nextOffset, buffer, sink);
    const { messages, positions } = sink;
    return { messages, positions, nextOffset: behind, nextPosition: behind < end ? sink.nextPosition : Infinity };
  }

  /** Counts the bytes of the bodies that are alive in a range. */
  async bodyBytes(range: PageRange): Promise<number> {
    const { page, offset, bytes, dead } = range;
    if (page === null) throw new Error('a range that is in no page yet');
    let count = 0;
    const sink: BlockSink = {
      message: (position, _routeStart, _routeEnd, _propertiesStart, _propertiesEnd, _bodyStart, bodySize) => {
        if (!dead.has(position)) count += bodySize;
      },
    };
    const end = offset + bytes;
    for (let at = offset; at < end; ) {
      const buffer = await this.blocks(page, at, end);
      at += this.decode(page, at, buffer, sink);
    }
    return count;
  }

  /** Reads whole blocks from an offset on: about `READ_BYTES` of them, at least one, none from `end` on. */
  async blocks(page: Page, offset: number, end: number): Promise<Buffer> {
    const open = this.#use(page);
    try {
      const file = await open.file;
      const wanted = Math.min(READ_BYTES, end - offset);
      const buffer = Buffer.allocUnsafeSlow(wanted);
      await this.#fill(buffer, 0, file, offset, page);
      const first = PAGE_BLOCK_HEADER_BYTES + this.#payloadBytes(buffer, page, offset);
      if (first <= wanted) return buffer;
      if (offset + first > end) throw this.#damage(page, offset, 'a block goes on behind its range');
      const larger = Buffer.allocUnsafeSlow(first);
      buffer.copy(larger);
      await this.#fill(larger, wanted, file, offset + wanted, page);
      return larger;
    } finally {
      open.readers--;
      if (open.isEvicted && open.readers === 0) void closeQuietly(open);
    }
  }

  /** A page is about to be removed. */
  forget(page: Page): void {
    const open = this.#open.get(page);
    if (open === undefined) return;
    this.#open.delete(page);
    open.isEvicted = true;
    if (open.readers === 0) void closeQuietly(open);
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map((open) => closeQuietly(open)));
  }

  #use(page: Page): OpenPage {
    const known = this.#open.get(page);
    this.#open.delete(page);
    const open = known ?? { file: this.#fs.open(page.path, 'read'), readers: 0, isEvicted: false };
    // A file that can't be opened is told to whoever reads now, and tried again by the next.
    if (known === undefined) open.file.catch(() => this.#open.delete(page));
    this.#open.set(page, open);
    open.readers++;
    for (const [oldest, entry] of this.#open) {
      if (this.#open.size <= OPEN_FILES) break;
      if (entry.readers === 0) this.forget(oldest);
    }
    return open;
  }

  /**
   * Checks the whole blocks in a buffer, and tells the sink of their messages; returns how many bytes they have.
   * @param base where in the page the buffer begins
   */
  decode(page: Page, base: number, buffer: Buffer, sink: BlockSink): number {
    let at = 0;
    try {
      return eachBlock(buffer, (offset) => {
        at = offset;
        checkBlock(buffer, offset);
        decodeBlock(buffer, offset, sink);
      });
    } catch (error) {
      if (error instanceof FormatError) throw this.#damage(page, base + at, error.reason);
      throw error;
    }
  }

  #damage(page: Page, offset: number, reason: string): Error {
    return damaged(this.#directory, page.path, offset, reason);
  }

  async #fill(buffer: Buffer, start: number, file: OpenFile, offset: number, page: Page): Promise<void> {
    const wanted = buffer.length - start;
    const read = await file.read(buffer, start, wanted, offset);
    if (read < wanted) throw this.#damage(page, offset + read, 'the file ends here');
  }

  #payloadBytes(buffer: Buffer, page: Page, offset: number): number {
    try {
      return readBlockHeader(buffer, 0, header).payloadBytes;
    } catch (error) {
      if (error instanceof FormatError) throw this.#damage(page, offset, error.reason);
      throw error;
    }
  }
}

/** Makes messages of what stands in blocks, but for what is dead or in memory already. */
class MessageSink implements BlockSink, PlacedMessages {
  readonly messages: Message[] = [];
  readonly positions: number[] = [];
  /** Behind the last position that was met. */
  nextPosition: number;
  readonly #buffer: Buffer;
  readonly #range: PageRange;
  readonly #routes: RouteTable;

  constructor(buffer: Buffer, range: PageRange, routes: RouteTable) {
    this.#buffer = buffer;
    this.#range = range;
    this.#routes = routes;
    this.nextPosition = range.nextPosition;
  }

  message(
    position: number,
    routeStart: number,
    routeEnd: number,
    propertiesStart: number,
    propertiesEnd: number,
    bodyStart: number,
    bodySize: number,
    expiresAtMs: number,
    transient: boolean,
  ): void {
    const range = this.#range;
    this.nextPosition = position + 1;
    if (!range.dead.isEmpty && range.dead.has(position)) return;
    const buffer = this.#buffer;
    const route = this.#routes.find(buffer, routeStart, routeEnd);
    const message = new Message(route, buffer, propertiesStart, propertiesEnd, buffer, bodyStart, bodySize, null);
    message.persistent = !transient;
    message.expiresAtMs = expiresAtMs;
    this.messages.push(message);
    this.positions.push(position);
  }
}

const header = new BlockHeader();

/** Visits the whole blocks in a buffer; returns how many bytes they have. */
function eachBlock(buffer: Buffer, visit: (offset: number) => void): number {
  let offset = 0;
  while (buffer.length - offset >= PAGE_BLOCK_HEADER_BYTES) {
    const { payloadBytes } = readBlockHeader(buffer, offset, header);
    const end = offset + PAGE_BLOCK_HEADER_BYTES + payloadBytes;
    if (end > buffer.length) break;
    visit(offset);
    offset = end;
  }
  return offset;
}

async function closeQuietly(open: OpenPage): Promise<void> {
  try {
    await (await open.file).close();
  } catch {
    // It was read only: nothing depends on it any more.
  }
}

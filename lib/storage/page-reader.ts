// Reads what queues have in pages: some blocks at a time, from few open files.
import { Message } from '../core/message.ts';
import type { PlacedMessages } from '../core/message-store.ts';
import { RetentionSlab } from '../core/retention-slab.ts';
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

  /**
   * Reads the messages at some rising positions of a range that are not in memory. Blocks without any of them are passed over.
   * @throws as `read` does
   */
  async fetch(range: PageRange, positions: readonly number[]): Promise<PlacedMessages> {
    const { page } = range;
    if (page === null) throw new Error('a range that is in no page yet');
    const picked: PickedMessages = { messages: [], positions: [], next: 0 };
    const end = range.offset + range.bytes;
    for (let at = range.nextOffset; at < end && picked.next < positions.length; ) {
      const { last, bytes } = await this.#block(page, at);
      if (last < positions[picked.next]) {
        at += bytes;
        continue;
      }
      const buffer = await this.blocks(page, at, end);
      const first = picked.messages.length;
      at += this.decode(page, at, buffer, pickerOf(buffer, positions, picked, this.#routes));
      // The buffer is not kept for the few messages that are wanted of it.
      const messages = picked.messages.slice(first);
      const slab = new RetentionSlab();
      slab.begin(messages.reduce((sum, { bytesToIsolate }) => sum + bytesToIsolate, 0));
      for (const message of messages) message.isolate(slab);
    }
    return picked;
  }

  /** Counts the bytes of the bodies that are alive in a range. */
  async bodyBytes(range: PageRange): Promise<number> {
    const { dead } = range;
    let count = 0;
    const sink: BlockSink = {
      message: (position, _routeStart, _routeEnd, _propsStart, _propsEnd, _bodyStart, bodySize) => {
        if (!dead.has(position)) count += bodySize;
      },
    };
    await this.eachMessage(range, sink, () => true);
    return count;
  }

  /**
   * Tells a sink of all messages of a range, dead ones included.
   * @param goesOn asked each time that some have been told
   */
  async eachMessage(range: PageRange, sink: BlockSink, goesOn: () => boolean): Promise<void> {
    const { page, offset, bytes } = range;
    if (page === null) throw new Error('a range that is in no page yet');
    const end = offset + bytes;
    for (let at = offset; at < end; ) {
      const buffer = await this.blocks(page, at, end);
      at += this.decode(page, at, buffer, sink);
      if (!goesOn()) return;
    }
  }

  /** The position of the last message of a block, and the block's bytes. */
  async #block(page: Page, offset: number): Promise<{ last: number; bytes: number }> {
    const buffer = Buffer.allocUnsafe(PAGE_BLOCK_HEADER_BYTES);
    await this.#using(page, (file) => this.#fill(buffer, 0, file, offset, page));
    const bytes = PAGE_BLOCK_HEADER_BYTES + this.#payloadBytes(buffer, page, offset);
    return { last: header.last, bytes };
  }

  /** Reads whole blocks from an offset on: about `READ_BYTES` of them, at least one, none from `end` on. */
  async blocks(page: Page, offset: number, end: number): Promise<Buffer> {
    return this.#using(page, async (file) => {
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
    });
  }

  async #using<T>(page: Page, task: (file: OpenFile) => Promise<T>): Promise<T> {
    const open = this.#use(page);
    try {
      return await task(await open.file);
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

/** What was found of some positions, and the index of the next to be looked for. */
interface PickedMessages {
  readonly messages: Message[];
  readonly positions: number[];
  next: number;
}

/** Makes messages of those that stand at some positions. */
function pickerOf(buffer: Buffer, wanted: readonly number[], picked: PickedMessages, routes: RouteTable): BlockSink {
  return {
    message: (position, routeStart, routeEnd, propsStart, propsEnd, bodyStart, bodySize, expiresAtMs, transient) => {
      while (wanted[picked.next] < position) picked.next++;
      if (wanted[picked.next] !== position) return;
      const route = routes.find(buffer, routeStart, routeEnd);
      const message = new Message(route, buffer, propsStart, propsEnd, buffer, bodyStart, bodySize, null);
      message.persistent = !transient;
      message.expiresAtMs = expiresAtMs;
      picked.messages.push(message);
      picked.positions.push(position);
      picked.next++;
    },
  };
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

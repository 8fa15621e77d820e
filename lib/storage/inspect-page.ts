// Reads a page from its beginning to its end without holding more of it in memory than a few blocks.
import { FormatError } from './byte-reader.ts';
import { decodeFileHeader, FILE_HEADER_BYTES } from './file-header.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { BlockHeader, checkBlock, PAGE_BLOCK_HEADER_BYTES, readBlockHeader } from './page-format.ts';
import { decodePageFooter, decodePageIndex, PAGE_FOOTER_BYTES, type PageRun } from './page-index.ts';

const WINDOW_BYTES = 4 * 1024 * 1024;

/** A part of the file in memory: it moves on as more is asked for. */
class Window {
  readonly #file: OpenFile;
  readonly #size: number;
  #start = 0;
  #end = 0;
  buffer = Buffer.alloc(0);

  constructor(file: OpenFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** Where bytes of the file stand in `buffer`, which may be another one after this. */
  async at(offset: number, bytes: number): Promise<number> {
    if (offset < this.#start || offset + bytes > this.#end) await this.#move(offset, bytes);
    if (offset + bytes > this.#end) throw new FormatError('the file ends here', this.#end);
    return offset - this.#start;
  }

  async #move(offset: number, bytes: number): Promise<void> {
    const wanted = Math.min(Math.max(bytes, WINDOW_BYTES), this.#size - offset);
    // Larger than needed only as long as a large message stands in it.
    if (this.buffer.length < wanted || this.buffer.length > Math.max(wanted, WINDOW_BYTES)) {
      this.buffer = Buffer.allocUnsafeSlow(wanted);
    }
    this.#start = this.#end = offset;
    while (this.#end < offset + wanted) {
      const at = this.#end - offset;
      const read = await this.#file.read(this.buffer, at, wanted - at, this.#end);
      if (read === 0) break;
      this.#end += read;
    }
  }
}

/** An open page whose header, footer and index are sound. */
export class InspectedPage {
  readonly #file: OpenFile;
  readonly #window: Window;
  readonly size: number;
  /** By their place in the file. */
  readonly runs: readonly PageRun[];
  readonly transient: boolean;

  private constructor(file: OpenFile, window: Window, size: number, runs: readonly PageRun[], transient: boolean) {
    this.#file = file;
    this.#window = window;
    this.size = size;
    this.runs = runs;
    this.transient = transient;
  }

  /**
   * @throws {FormatError} when its header, footer or index is bad, or is not that of the page of this number
   * @throws {Error} of the file system
   */
  static async open(fs: FileSystem, path: string, number: number): Promise<InspectedPage> {
    const file = await fs.open(path, 'read');
    try {
      const size = await file.size();
      const window = new Window(file, size);
      const transient = await checkHeader(window, size, number);
      const runs = await readRuns(window, size, number);
      return new InspectedPage(file, window, size, runs, transient);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /**
   * Calls `visit` with each block of a run, checked, at `at` of a buffer that is used again afterwards.
   * @throws {FormatError} whose offset is that in the file, at the first block that is bad
   */
  async eachBlock(
    run: PageRun,
    visit: (buffer: Buffer, at: number, header: BlockHeader) => void | Promise<void>,
  ): Promise<void> {
    const header = new BlockHeader();
    const end = run.offset + run.bytes;
    for (let offset = run.offset; offset < end; ) {
      const bytes = await this.#blockBytes(offset, end, header);
      const at = await this.#window.at(offset, bytes);
      const { buffer } = this.#window;
      try {
        checkBlock(buffer, at);
        await visit(buffer, at, header);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        throw new FormatError(error.reason, offset + Math.max(0, error.offset - at));
      }
      offset += bytes;
    }
  }

  /** Bytes of the block at an offset, which has to end where its run does, or before. */
  async #blockBytes(offset: number, end: number, header: BlockHeader): Promise<number> {
    if (end - offset < PAGE_BLOCK_HEADER_BYTES) throw new FormatError('a run does not end with a block', offset);
    const at = await this.#window.at(offset, PAGE_BLOCK_HEADER_BYTES);
    try {
      readBlockHeader(this.#window.buffer, at, header);
    } catch (error) {
      throw error instanceof FormatError ? new FormatError(error.reason, offset) : error;
    }
    const bytes = PAGE_BLOCK_HEADER_BYTES + header.payloadBytes;
    if (bytes > end - offset) throw new FormatError('a block reaches beyond its run', offset);
    return bytes;
  }
}

async function checkHeader(window: Window, size: number, number: number): Promise<boolean> {
  const bytes = Math.min(size, FILE_HEADER_BYTES);
  const at = await window.at(0, bytes);
  const header = decodeFileHeader(window.buffer.subarray(at, at + bytes), 'page');
  if (header.number !== number) throw new FormatError(`the header is that of page ${header.number}`, 16);
  return header.transient;
}

async function readRuns(window: Window, size: number, number: number): Promise<PageRun[]> {
  const footerOffset = size - PAGE_FOOTER_BYTES;
  if (footerOffset < FILE_HEADER_BYTES) throw new FormatError('the file is too short to have a footer', size);
  const footerAt = await window.at(footerOffset, PAGE_FOOTER_BYTES);
  const footer = inFile(footerOffset, () =>
    decodePageFooter(window.buffer.subarray(footerAt, footerAt + PAGE_FOOTER_BYTES)),
  );
  const { indexOffset, indexBytes, pageNumber } = footer;
  if (pageNumber !== number) throw new FormatError(`the footer is that of page ${pageNumber}`, footerOffset);
  if (indexOffset < FILE_HEADER_BYTES || indexOffset + indexBytes !== footerOffset) {
    throw new FormatError('the index is not where the footer says', footerOffset);
  }
  const indexAt = await window.at(indexOffset, indexBytes);
  const runs = inFile(indexOffset, () =>
    decodePageIndex(window.buffer.subarray(indexAt, indexAt + indexBytes), footer),
  );
  runs.sort((a, b) => a.offset - b.offset);
  let end = FILE_HEADER_BYTES;
  for (const run of runs) {
    if (run.offset !== end) throw new FormatError(`the runs do not stand side by side at ${end}`, indexOffset);
    end += run.bytes;
  }
  if (end !== indexOffset) throw new FormatError(`the runs end at ${end}, not where the index begins`, indexOffset);
  return runs;
}

/** What is read from a part of the file tells offsets in that part. */
function inFile<T>(offset: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof FormatError ? new FormatError(error.reason, offset + Math.max(0, error.offset)) : error;
  }
}

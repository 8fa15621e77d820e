// Blocks of a page: successive messages of one queue, put in one after the other and taken out all at once.
import type { Message } from '../core/message.ts';
import { Cursor, checkRoute, FormatError, readVarint } from './byte-reader.ts';
import { copyBytes, putVarint } from './byte-writer.ts';
import { putMessageContent } from './entries.ts';
import {
  BLOCK_EXPIRES,
  BLOCK_GAP,
  BLOCK_ROUTE,
  BLOCK_TRANSIENT,
  BlockHeader,
  PAGE_BLOCK_HEADER_BYTES,
  putBlockHeader,
  readBlockHeader,
} from './page-format.ts';

const FIRST_CAPACITY = 320 * 1024;
/** A buffer that one message made larger than this is not kept for the next block. */
const MOST_KEPT_BYTES = 1024 * 1024;
/** Flags, gap, length of the route, lengths, deadline: one byte and five integers of at most eight. */
const MOST_HEAD_BYTES = 41;

/** Told of the messages of a block. Offsets are those of the buffer that is decoded. */
export interface BlockSink {
  /** The route's bytes are exchange and routing key as short strings; the same offsets as long as it does not change. */
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
  ): void;
}

/** Gathers the messages of one block after the other. */
export class BlockBuilder {
  #buffer = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
  #length = PAGE_BLOCK_HEADER_BYTES;
  readonly #header = new BlockHeader();
  /** Where in our buffer the route stands that messages have until another one is written; -1 when there is none. */
  #routeStart = -1;
  #routeEnd = -1;
  /** The bytes that it was copied from, which are compared in a moment. */
  #routeBytes: Buffer | null = null;

  /** Bytes of the block so far, with its header. */
  get bytes(): number {
    return this.#length;
  }

  get count(): number {
    return this.#header.count;
  }

  /** Position of the first message; there has to be one. */
  get first(): number {
    return this.#header.first;
  }

  /** Position of the last message; there has to be one. */
  get last(): number {
    return this.#header.last;
  }

  /** Starts an empty block. What `finish` returned before is overwritten from now on. */
  begin(queueId: number): void {
    if (this.#buffer.length > MOST_KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
    this.#length = PAGE_BLOCK_HEADER_BYTES;
    this.#header.queueId = queueId;
    this.#header.count = 0;
    this.#routeStart = this.#routeEnd = -1;
    this.#routeBytes = null;
  }

  /** Copies a message into the block. Positions rise. */
  add(message: Message, position: number): void {
    const { bytes } = message.route;
    const { expiresAtMs, bodySize } = message;
    const propertiesBytes = message.propertiesEnd - message.propertiesStart;
    this.#reserve(MOST_HEAD_BYTES + bytes.length + propertiesBytes + bodySize);
    const sameRoute = bytes === this.#routeBytes || this.#isRoute(bytes, 0, bytes.length);
    const flags = (expiresAtMs === 0 ? 0 : BLOCK_EXPIRES) | (message.persistent ? 0 : BLOCK_TRANSIENT);
    let at = this.#putPlace(flags, position, sameRoute ? 0 : BLOCK_ROUTE);
    if (!sameRoute) {
      at = this.#putRoute(at, bytes, 0, bytes.length);
      this.#routeBytes = bytes;
    }
    at = this.#putLengths(at, propertiesBytes, bodySize, expiresAtMs);
    this.#length = putMessageContent(this.#buffer, at, message);
  }

  /** Copies a message from elsewhere, which a sink was told of, into the block. Positions rise. */
  addRaw(
    source: Buffer,
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
    const propertiesBytes = propertiesEnd - propertiesStart;
    this.#reserve(MOST_HEAD_BYTES + routeEnd - routeStart + propertiesBytes + bodySize);
    const sameRoute = this.#isRoute(source, routeStart, routeEnd);
    const flags = (expiresAtMs === 0 ? 0 : BLOCK_EXPIRES) | (transient ? BLOCK_TRANSIENT : 0);
    let at = this.#putPlace(flags, position, sameRoute ? 0 : BLOCK_ROUTE);
    if (!sameRoute) {
      at = this.#putRoute(at, source, routeStart, routeEnd);
      this.#routeBytes = null;
    }
    at = this.#putLengths(at, propertiesBytes, bodySize, expiresAtMs);
    at = copyBytes(this.#buffer, at, source, propertiesStart, propertiesEnd);
    this.#length = copyBytes(this.#buffer, at, source, bodyStart, bodyStart + bodySize);
  }

  /** The block with its header, in the builder's own buffer: good until `begin`. */
  finish(): Buffer {
    this.#header.payloadBytes = this.#length - PAGE_BLOCK_HEADER_BYTES;
    putBlockHeader(this.#buffer, 0, this.#header);
    return this.#buffer.subarray(0, this.#length);
  }

  /** Writes flags and gap, and counts the message. */
  #putPlace(flags: number, position: number, routeFlag: number): number {
    const header = this.#header;
    const gap = header.count === 0 ? 0 : position - header.last - 1;
    if (gap < 0) throw new Error(`position ${position} follows ${header.last} in a block of queue ${header.queueId}`);
    if (header.count === 0) header.first = position;
    header.last = position;
    header.count++;
    const at = this.#length;
    this.#buffer[at] = flags | routeFlag | (gap === 0 ? 0 : BLOCK_GAP);
    return gap === 0 ? at + 1 : putVarint(this.#buffer, at + 1, gap);
  }

  #putRoute(offset: number, source: Buffer, start: number, end: number): number {
    this.#routeStart = putVarint(this.#buffer, offset, end - start);
    this.#routeEnd = copyBytes(this.#buffer, this.#routeStart, source, start, end);
    return this.#routeEnd;
  }

  #putLengths(offset: number, propertiesBytes: number, bodySize: number, expiresAtMs: number): number {
    const at = putVarint(this.#buffer, putVarint(this.#buffer, offset, propertiesBytes), bodySize);
    return expiresAtMs === 0 ? at : putVarint(this.#buffer, at, expiresAtMs);
  }

  #isRoute(source: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (this.#routeEnd - this.#routeStart !== length) return false;
    const buffer = this.#buffer;
    const from = this.#routeStart;
    for (let i = 0; i < length; i++) {
      if (buffer[from + i] !== source[start + i]) return false;
    }
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** How far an integer, or a block, was read. Asked right after that, so a sink may decode blocks of its own. */
const cursor = new Cursor();

/**
 * Tells the sink of all messages of the block at an offset, which `checkBlock` found to be sound.
 * @throws FormatError when its payload is not what the header says, after the sink was told of what stands before that
 */
export function decodeBlock(buffer: Buffer, offset: number, sink: BlockSink): void {
  const { payloadBytes, first, last, count } = readBlockHeader(buffer, offset);
  const start = offset + PAGE_BLOCK_HEADER_BYTES;
  const end = start + payloadBytes;
  const position = decodeMessages(buffer, start, end, first, count, sink);
  if (cursor.offset !== end) {
    throw new FormatError(`${end - cursor.offset} bytes are left behind the messages of a block`, cursor.offset);
  }
  if (position !== last) throw new FormatError(`a block ends at position ${position}, not at ${last}`, offset);
}

/**
 * Returns the position of the last message; its end is then in the cursor. Nothing is done behind the loop: V8 has no
 * experience with what is there when it optimizes the loop, and would leave its code at the end of each block.
 */
function decodeMessages(
  buffer: Buffer,
  offset: number,
  end: number,
  first: number,
  count: number,
  sink: BlockSink,
): number {
  let at = offset;
  let position = first - 1;
  cursor.offset = at;
  let routeStart = -1;
  let routeEnd = -1;
  for (let i = 0; i < count; i++) {
    const start = at;
    const flags = start < end ? buffer[start] : -1;
    at = start + 1;
    position++;
    if ((flags & BLOCK_GAP) !== 0) {
      position += readVarint(buffer, at, cursor);
      at = cursor.offset;
    }
    if ((flags & BLOCK_ROUTE) !== 0) {
      const routeBytes = readVarint(buffer, at, cursor);
      routeStart = cursor.offset;
      routeEnd = at = routeStart + routeBytes;
      if (routeEnd > end) throw badMessage(flags, start);
      checkRoute(buffer, routeStart, routeEnd);
    }
    const propertiesBytes = readVarint(buffer, at, cursor);
    const bodySize = readVarint(buffer, cursor.offset, cursor);
    const expiresAtMs = (flags & BLOCK_EXPIRES) === 0 ? 0 : readVarint(buffer, cursor.offset, cursor);
    const propertiesStart = cursor.offset;
    const bodyStart = propertiesStart + propertiesBytes;
    at = bodyStart + bodySize;
    if (at > end || flags >> 4 !== 0 || routeStart < 0) throw badMessage(flags, start);
    sink.message(
      position,
      routeStart,
      routeEnd,
      propertiesStart,
      bodyStart,
      bodyStart,
      bodySize,
      expiresAtMs,
      (flags & BLOCK_TRANSIENT) !== 0,
    );
    cursor.offset = at;
  }
  return position;
}

function badMessage(flags: number, at: number): FormatError {
  if (flags >> 4 > 0) return new FormatError(`a message has unknown flags ${flags}`, at);
  return new FormatError('a message is cut short, or has no route', at);
}

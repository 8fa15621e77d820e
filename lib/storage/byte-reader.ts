// Reads what ByteWriter writes, never past an end. Everything that is wrong with bytes of a file is a FormatError. The plain
// functions are for hot loops, which keep their own offset and check their own end.
import { crc32 } from 'node:zlib';
import { decodeFieldTable, emptyFieldTable, type FieldTable } from '../../codec/field-table.ts';
import { joinSafeUInt64 } from '../../codec/integers.ts';
import { decodeString } from '../../codec/strings.ts';
import { PositionSet } from './position-set.ts';

const VARINT_MAX_BYTES = 8;
/** Up to this many bytes a loop beats zlib's CRC, whose call costs more than the bytes do (measured on Node 20). */
const CRC_LOOP_MAX = 160;

/** Bytes of a file that are not what the format says. */
export class FormatError extends Error {
  /** What is wrong, without the place. */
  readonly reason: string;
  /** Where in the buffer that was read; -1 when the buffer is small and the place would say nothing. */
  readonly offset: number;

  constructor(reason: string, offset = -1) {
    super(offset < 0 ? reason : `${reason} (offset ${offset})`);
    this.name = new.target.name;
    this.reason = reason;
    this.offset = offset;
  }
}

/** Where a plain function tells how far it has read. */
export class Cursor {
  offset = 0;
}

/**
 * Reads a LEB128 integer at `offset`; the offset behind it is then in the cursor. Does not know where the caller's bytes end:
 * compare the cursor with that before the value is trusted.
 * @throws FormatError over 2^53 - 1, over 8 bytes, or past the buffer
 */
export function readVarint(buffer: Buffer, offset: number, cursor: Cursor): number {
  let byte = buffer[offset];
  if (byte < 0x80) {
    cursor.offset = offset + 1;
    return byte;
  }
  let value = byte & 0x7f;
  byte = buffer[offset + 1];
  if (byte < 0x80) {
    cursor.offset = offset + 2;
    return value | (byte << 7);
  }
  value |= (byte & 0x7f) << 7;
  byte = buffer[offset + 2];
  if (byte < 0x80) {
    cursor.offset = offset + 3;
    return value | (byte << 14);
  }
  value |= (byte & 0x7f) << 14;
  byte = buffer[offset + 3];
  if (byte < 0x80) {
    cursor.offset = offset + 4;
    return value | (byte << 21);
  }
  return readLongVarint(buffer, offset, cursor);
}

function readLongVarint(buffer: Buffer, offset: number, cursor: Cursor): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < VARINT_MAX_BYTES; i++) {
    const byte = buffer[offset + i];
    if (byte === undefined) throw new FormatError('an integer is cut short', offset);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (value > Number.MAX_SAFE_INTEGER) throw new FormatError('an integer is above 2^53 - 1', offset);
      cursor.offset = offset + i + 1;
      return value;
    }
    scale *= 128;
  }
  throw new FormatError('an integer has more than 8 bytes', offset);
}

/** Little-endian; the bytes are there. */
export function readU32(buffer: Buffer, offset: number): number {
  return (buffer[offset] | (buffer[offset + 1] << 8) | (buffer[offset + 2] << 16) | (buffer[offset + 3] << 24)) >>> 0;
}

/** Little-endian; the bytes are there. -1 when it is above 2^53 - 1. */
export function readSafeU64(buffer: Buffer, offset: number): number {
  return joinSafeUInt64(readU32(buffer, offset + 4), readU32(buffer, offset));
}

/** Little-endian; the bytes are there. @throws FormatError over 2^53 - 1 */
export function readU64(buffer: Buffer, offset: number): number {
  const value = readSafeU64(buffer, offset);
  if (value < 0) throw new FormatError('an integer is above 2^53 - 1', offset);
  return value;
}

/** A route's exchange and key have to fill its bytes exactly, or whoever decodes it would read what is not there. */
export function checkRoute(buffer: Buffer, start: number, end: number): void {
  const keyAt = start + 1 + (start < end ? buffer[start] : 0);
  if (keyAt >= end || keyAt + 1 + buffer[keyAt] !== end) {
    throw new FormatError('a route is not two short strings', start);
  }
}

/** CRC-32 of bytes `start` to `end`, going on from `seed`, the CRC of what stands before them. */
export function crcOfRange(buffer: Buffer, start: number, end: number, seed = 0): number {
  if (end - start > CRC_LOOP_MAX) return crc32(buffer.subarray(start, end), seed);
  let crc = ~seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    crc ^= buffer[at] | (buffer[at + 1] << 8) | (buffer[at + 2] << 16) | (buffer[at + 3] << 24);
    crc =
      CRC_TABLE[768 + (crc & 0xff)] ^
      CRC_TABLE[512 + ((crc >>> 8) & 0xff)] ^
      CRC_TABLE[256 + ((crc >>> 16) & 0xff)] ^
      CRC_TABLE[crc >>> 24];
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ buffer[at]) & 0xff];
  return ~crc >>> 0;
}

/** Four tables of 256, for the four bytes of a step. */
const CRC_TABLE = makeCrcTable();

function makeCrcTable(): Int32Array {
  const table = new Int32Array(1024);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    table[byte] = crc;
  }
  for (let i = 256; i < 1024; i++) table[i] = (table[i - 256] >>> 8) ^ table[table[i - 256] & 0xff];
  return table;
}

export class ByteReader {
  readonly buffer: Buffer;
  offset: number;
  end: number;
  /** Where the bytes stand that `skipBytes` went over. */
  start = 0;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.offset = start;
    this.end = end;
  }

  u8(): number {
    return this.buffer[this.take(1)];
  }

  u16(): number {
    const at = this.take(2);
    return this.buffer[at] | (this.buffer[at + 1] << 8);
  }

  u32(): number {
    return readU32(this.buffer, this.take(4));
  }

  u64(): number {
    return readU64(this.buffer, this.take(8));
  }

  varint(): number {
    const start = this.offset;
    let value = 0;
    let scale = 1;
    for (let at = start; at < this.end; at++) {
      const byte = this.buffer[at];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new FormatError('an integer is above 2^53 - 1', start);
        this.offset = at + 1;
        return value;
      }
      if (at === start + VARINT_MAX_BYTES - 1) throw new FormatError('an integer has more than 8 bytes', start);
      scale *= 128;
    }
    throw new FormatError('an integer is cut short', start);
  }

  /** Goes over a length and so many bytes; these stand from `start` on. Returns how many they are. */
  skipBytes(): number {
    const length = this.varint();
    this.start = this.take(length);
    return length;
  }

  /** As `skipBytes`, and checks that they are a route. */
  skipRoute(): void {
    this.skipBytes();
    checkRoute(this.buffer, this.start, this.offset);
  }

  /** A copy. */
  bytes(): Buffer {
    this.skipBytes();
    return Buffer.from(this.buffer.subarray(this.start, this.offset));
  }

  string(): string {
    this.skipBytes();
    return decodeString(this.buffer, this.start, this.offset);
  }

  positions(): PositionSet {
    const set = new PositionSet();
    // The most common one by far, where a checkpoint has hundreds of thousands.
    if (this.buffer[this.offset] === 0 && this.offset < this.end) this.offset++;
    else this.eachInterval((first, last) => set.addRange(first, last));
    return set;
  }

  /** Reads a set of positions without making one. */
  eachInterval(visit: (first: number, last: number) => void): void {
    const count = this.varint();
    let end = 0;
    for (let i = 0; i < count; i++) {
      const at = this.offset;
      const first = end + this.varint();
      end = first + this.varint() + 1;
      if (end > Number.MAX_SAFE_INTEGER) throw new FormatError('a position is above 2^53 - 2', at);
      visit(first, end - 1);
    }
  }

  table(): FieldTable {
    const length = this.skipBytes();
    if (length === 4 && readU32(this.buffer, this.start) === 0) return emptyFieldTable;
    try {
      return decodeFieldTable(this.buffer, this.start, this.offset);
    } catch (error) {
      // A CodecError, which is for peers.
      throw new FormatError(error instanceof Error ? error.message : `${error}`, this.start);
    }
  }

  /** Moves over so many bytes; returns where they start. */
  take(bytes: number): number {
    const start = this.offset;
    if (bytes > this.end - start) {
      throw new FormatError(`${bytes} bytes are needed where ${this.end - start} are left`, start);
    }
    this.offset = start + bytes;
    return start;
  }
}

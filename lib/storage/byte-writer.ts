// Writes the integers, strings, tables and position sets of the storage formats into a buffer that grows. The plain functions
// are for hot loops, which keep their own offset.
import { encodedFieldTableSize, encodeFieldTable, type FieldTable } from '../../codec/field-table.ts';
import { upperHalf } from '../../codec/integers.ts';
import { encodedStringSize, encodeString } from '../../codec/strings.ts';
import type { PositionSet } from './position-set.ts';

const LEAST_BYTES = 256;
/** Up to this many bytes a loop beats Buffer's `copy`, which makes a view (measured on Node 20). */
const COPY_LOOP_MAX = 40;

/** Bytes that `putVarint` writes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  return 4 + varintSize(Math.floor(value / 0x1000_0000));
}

/** Writes a non-negative safe integer as LEB128, unchecked; returns the offset behind it. */
export function putVarint(buffer: Buffer, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  // Bitwise operators see 32 bits only.
  while (rest >= 0x8000_0000) {
    buffer[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at] = rest;
  return at + 1;
}

/** Little-endian; the value is below 2^32, unchecked. Returns the offset behind it, as all of these do. */
export function putU32(buffer: Buffer, offset: number, value: number): number {
  buffer[offset] = value;
  buffer[offset + 1] = value >>> 8;
  buffer[offset + 2] = value >>> 16;
  buffer[offset + 3] = value >>> 24;
  return offset + 4;
}

/** Little-endian; the value is a safe integer, unchecked. */
export function putU64(buffer: Buffer, offset: number, value: number): number {
  return putU32(buffer, putU32(buffer, offset, value >>> 0), upperHalf(value));
}

/** Copies bytes `start` to `end` of a buffer to `offset` of the target, where there is room. */
export function copyBytes(target: Buffer, offset: number, source: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length > COPY_LOOP_MAX) source.copy(target, offset, start, end);
  else for (let i = 0; i < length; i++) target[offset + i] = source[start + i];
  return offset + length;
}

export class ByteWriter {
  /** What was written stands in its first `length` bytes. Another one after a call that needed more room. */
  buffer: Buffer;
  length = 0;

  constructor(capacity = 4096) {
    this.buffer = Buffer.allocUnsafeSlow(Math.max(capacity, LEAST_BYTES));
  }

  /** Forgets what was written; the buffer stays, and what `view` returned before is overwritten. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for so many bytes behind `length`. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.buffer[this.length++] = value;
    this.buffer[this.length++] = value >>> 8;
  }

  u32(value: number): void {
    this.reserve(4);
    this.length = putU32(this.buffer, this.length, value);
  }

  u64(value: number): void {
    this.reserve(8);
    this.length = putU64(this.buffer, this.length, value);
  }

  varint(value: number): void {
    this.reserve(8);
    this.length = putVarint(this.buffer, this.length, value);
  }

  /** With their length in front. */
  bytes(source: Buffer, start = 0, end = source.length): void {
    this.varint(end - start);
    this.raw(source, start, end);
  }

  raw(source: Buffer, start = 0, end = source.length): void {
    this.reserve(end - start);
    this.length = copyBytes(this.buffer, this.length, source, start, end);
  }

  /** Names of the broker are bytes, mostly UTF-8: whatever they hold comes back as it was. */
  string(value: string): void {
    const size = encodedStringSize(value);
    this.varint(size);
    this.reserve(size);
    this.length = encodeString(value, size, this.buffer, this.length);
  }

  positions(set: PositionSet): void {
    const count = set.intervalCount;
    this.varint(count);
    let end = 0;
    for (let i = 0; i < count; i++) {
      const first = set.intervalFirst(i);
      const last = set.intervalLast(i);
      this.reserve(16);
      this.length = putVarint(this.buffer, putVarint(this.buffer, this.length, first - end), last - first);
      end = last + 1;
    }
  }

  table(table: FieldTable): void {
    const size = encodedFieldTableSize(table);
    this.varint(size);
    this.reserve(size);
    this.length = encodeFieldTable(table, this.buffer, this.length);
  }

  /** What was written, until the next call. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

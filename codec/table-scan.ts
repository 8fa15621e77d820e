// Walks the bytes of a field table without decoding its values: is it well-formed, where is a key.
// Accepts exactly what field-table.ts decodes.
import { FIELD_TABLE_DEPTH_MAX } from './field-table.ts';
import { readUInt32 } from './integers.ts';
import { decodeString } from './strings.ts';

const NOT_A_VALUE = -1;

/** Whether the table whose 32-bit length is at `start` is well-formed and ends at `end`. */
export function checkTable(buffer: Buffer, start: number, end: number): boolean {
  return start + 4 <= end && start + 4 + readUInt32(buffer, start) === end && checkFields(buffer, start + 4, end, 1);
}

/**
 * Offset of the type letter of the first value under `key`, -1 when there is none; for `decodeFieldValue`.
 * The table, whose 32-bit length is at `tableStart`, has passed `checkTable` or `validateProperties`.
 */
export function findKey(buffer: Buffer, tableStart: number, key: string): number {
  const end = tableStart + 4 + readUInt32(buffer, tableStart);
  let at = tableStart + 4;
  while (at < end) {
    const keyEnd = at + 1 + buffer[at];
    if (sameKey(buffer, at + 1, keyEnd, key)) return keyEnd;
    at = skipValue(buffer, keyEnd, end);
    if (at === NOT_A_VALUE) return -1;
  }
  return -1;
}

function sameKey(buffer: Buffer, start: number, end: number, key: string): boolean {
  // A key of n units has n bytes or more, and exactly n when it is ASCII.
  if (end - start < key.length) return false;
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    if (unit >= 0x80) return decodeString(buffer, start, end) === key;
    if (buffer[start + i] !== unit) return false;
  }
  return end - start === key.length;
}

function checkFields(buffer: Buffer, start: number, end: number, depth: number): boolean {
  if (depth > FIELD_TABLE_DEPTH_MAX) return false;
  let at = start;
  while (at < end) {
    at = checkValue(buffer, at + 1 + buffer[at], end, depth);
    if (at === NOT_A_VALUE) return false;
  }
  return true;
}

function checkItems(buffer: Buffer, start: number, end: number, depth: number): boolean {
  if (depth > FIELD_TABLE_DEPTH_MAX) return false;
  let at = start;
  while (at < end) {
    at = checkValue(buffer, at, end, depth);
    if (at === NOT_A_VALUE) return false;
  }
  return true;
}

/** Offset after the value whose type letter is at `at`, after a look into nested ones; NOT_A_VALUE when malformed. */
function checkValue(buffer: Buffer, at: number, end: number, depth: number): number {
  const after = skipValue(buffer, at, end);
  if (after === NOT_A_VALUE) return NOT_A_VALUE;
  switch (buffer[at]) {
    case 0x46: // F
      return checkFields(buffer, at + 5, after, depth + 1) ? after : NOT_A_VALUE;
    case 0x41: // A
      return checkItems(buffer, at + 5, after, depth + 1) ? after : NOT_A_VALUE;
    case 0x64: // d
    case 0x66: // f
      return isFiniteFloat(buffer, at) ? after : NOT_A_VALUE;
    default:
      return after;
  }
}

function skipValue(buffer: Buffer, at: number, end: number): number {
  if (at >= end) return NOT_A_VALUE;
  const size = valueSize(buffer, at, end);
  return size > 0 && at + size <= end ? at + size : NOT_A_VALUE;
}

/** Bytes of the value with its type letter; 0 when the letter is unknown or its length cut short. */
function valueSize(buffer: Buffer, at: number, end: number): number {
  switch (buffer[at]) {
    case 0x53: // S
    case 0x78: // x
    case 0x41: // A
    case 0x46: // F
      return at + 5 <= end ? 5 + readUInt32(buffer, at + 1) : 0;
    case 0x6c: // l
    case 0x4c: // L
    case 0x54: // T
    case 0x64: // d
      return 9;
    case 0x44: // D
      return 6;
    case 0x49: // I
    case 0x69: // i
    case 0x66: // f
      return 5;
    case 0x73: // s
    case 0x75: // u
      return 3;
    case 0x74: // t
    case 0x62: // b
    case 0x42: // B
      return 2;
    case 0x56: // V
      return 1;
    default:
      return 0;
  }
}

/** A float that is not finite has all exponent bits set. */
function isFiniteFloat(buffer: Buffer, at: number): boolean {
  const [first, second] = [buffer[at + 1] & 0x7f, buffer[at + 2]];
  return first !== 0x7f || second < (buffer[at] === 0x64 ? 0xf0 : 0x80);
}

// Field tables: bytes to and from typed values, every type letter of RabbitMQ's, letter kept. Where RabbitMQ and the
// specification disagree about a letter, it is RabbitMQ's meaning: s is a 16-bit integer, l and L are both signed.
// https://www.rabbitmq.com/amqp-0-9-1-errata, section 3. Knows nothing of methods, properties or what a key means.
import { CodecError } from './errors.ts';
import { INTERNAL_ERROR, SYNTAX_ERROR } from './generated/constants.ts';
import {
  outOfRange,
  readInt64,
  readUInt16,
  readUInt32,
  readUInt64,
  writeInt8,
  writeInt16,
  writeInt32,
  writeInt64,
  writeUInt8,
  writeUInt16,
  writeUInt32,
  writeUInt64,
} from './integers.ts';
import { decodeString, encodeLongString, encodeShortString, longStringSize, shortStringSize } from './strings.ts';

/** One value with its type letter. */
export type FieldValue =
  | { readonly type: 't'; readonly value: boolean }
  /** Signed integers of 8, 16 and 32 bits: b, s, I. Unsigned: B, u, i. */
  | { readonly type: 'b' | 'B' | 's' | 'u' | 'I' | 'i'; readonly value: number }
  /** 64 bits, l and L signed, T (seconds since 1970) unsigned. A number when it is a safe integer, a bigint otherwise. */
  | { readonly type: 'l' | 'L' | 'T'; readonly value: number | bigint }
  /** Finite; f has 32 bits, and encoding rounds to them. */
  | { readonly type: 'f' | 'd'; readonly value: number }
  /** unscaled / 10 ** scale; both unsigned, of 32 and 8 bits. */
  | { readonly type: 'D'; readonly value: Decimal }
  | { readonly type: 'S'; readonly value: string }
  | { readonly type: 'x'; readonly value: Buffer }
  | { readonly type: 'A'; readonly value: readonly FieldValue[] }
  | { readonly type: 'F'; readonly value: FieldTable }
  | { readonly type: 'V'; readonly value: null };

export interface Decimal {
  readonly scale: number;
  readonly unscaled: number;
}

/** In the order of the wire. To change one, copy it: `new Map(table)`. */
export type FieldTable = ReadonlyMap<string, FieldValue>;

export const emptyFieldTable: FieldTable = new Map();

/** Tables and arrays within one another, the outermost table included; deeper ones are an error. RabbitMQ has no limit. */
export const FIELD_TABLE_DEPTH_MAX = 256;

/**
 * Decodes the table whose 32-bit length is at `start` and which ends at `end`. Of two fields with one key the first counts,
 * as in RabbitMQ's lookups.
 * @throws CodecError 502 naming the key when the table is malformed, nested too deeply, or not over at `end`.
 */
export function decodeFieldTable(buffer: Buffer, start: number, end: number): FieldTable {
  if (start + 4 > end || start + 4 + readUInt32(buffer, start) !== end) throw malformed('table', 'length does not fit');
  return decodeTableBody(buffer, start + 4, end, 1);
}

/** Decodes one value: `start` is at its type letter, `end` anywhere after it. See `findKey` for how to get there. */
export function decodeFieldValue(buffer: Buffer, start: number, end: number): FieldValue {
  return new ValueReader(buffer, start, end).read('value', 1);
}

/**
 * Bytes of the table with its 32-bit length.
 * @throws CodecError naming the key that is too long, or when nested too deeply.
 */
export function encodedFieldTableSize(table: FieldTable): number {
  return table.size === 0 ? 4 : tableSize(table, 1);
}

/**
 * Writes length and fields; returns the offset after them.
 * @throws CodecError naming the key whose value is out of its type's range.
 */
export function encodeFieldTable(table: FieldTable, buffer: Buffer, offset: number): number {
  let at = offset + 4;
  for (const [key, value] of table) {
    at = encodeShortString(key, buffer, at);
    try {
      at = encodeValue(value, buffer, at);
    } catch (error) {
      throw withKey(error, key);
    }
  }
  writeUInt32(at - offset - 4, buffer, offset);
  return at;
}

function decodeTableBody(buffer: Buffer, start: number, end: number, depth: number): FieldTable {
  if (depth > FIELD_TABLE_DEPTH_MAX) throw malformed('table', `nested deeper than ${FIELD_TABLE_DEPTH_MAX}`);
  const table = new Map<string, FieldValue>();
  const reader = new ValueReader(buffer, start, end);
  while (reader.at < end) {
    const key = reader.readKey();
    const value = reader.read(key, depth);
    if (!table.has(key)) table.set(key, value);
  }
  return table;
}

function decodeArrayBody(buffer: Buffer, start: number, end: number, key: string, depth: number): FieldValue[] {
  if (depth > FIELD_TABLE_DEPTH_MAX) throw malformed(key, `nested deeper than ${FIELD_TABLE_DEPTH_MAX}`);
  const items: FieldValue[] = [];
  const reader = new ValueReader(buffer, start, end);
  while (reader.at < end) items.push(reader.read(key, depth));
  return items;
}

/** Reads values one after the other, never past `end`. */
class ValueReader {
  at: number;
  readonly #buffer: Buffer;
  readonly #end: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.at = start;
    this.#end = end;
  }

  readKey(): string {
    const lengthAt = this.#take(1, 'table');
    const start = this.#take(this.#buffer[lengthAt], 'table');
    return decodeString(this.#buffer, start, this.at);
  }

  read(key: string, depth: number): FieldValue {
    const buffer = this.#buffer;
    const letter = buffer[this.#take(1, key)];
    switch (letter) {
      case 0x53: // S
        return { type: 'S', value: decodeString(buffer, this.#takeSized(key), this.at) };
      case 0x49: // I
        return { type: 'I', value: buffer.readInt32BE(this.#take(4, key)) };
      case 0x69: // i
        return { type: 'i', value: readUInt32(buffer, this.#take(4, key)) };
      case 0x6c: // l
        return { type: 'l', value: readInt64(buffer, this.#take(8, key)) };
      case 0x4c: // L
        return { type: 'L', value: readInt64(buffer, this.#take(8, key)) };
      case 0x54: // T
        return { type: 'T', value: readUInt64(buffer, this.#take(8, key)) };
      case 0x74: // t
        return { type: 't', value: buffer[this.#take(1, key)] !== 0 };
      case 0x62: // b
        return { type: 'b', value: buffer.readInt8(this.#take(1, key)) };
      case 0x42: // B
        return { type: 'B', value: buffer[this.#take(1, key)] };
      case 0x73: // s
        return { type: 's', value: buffer.readInt16BE(this.#take(2, key)) };
      case 0x75: // u
        return { type: 'u', value: readUInt16(buffer, this.#take(2, key)) };
      case 0x66: // f
        return { type: 'f', value: finite(buffer.readFloatBE(this.#take(4, key)), key) };
      case 0x64: // d
        return { type: 'd', value: finite(buffer.readDoubleBE(this.#take(8, key)), key) };
      case 0x44: {
        // D
        const start = this.#take(5, key);
        return { type: 'D', value: { scale: buffer[start], unscaled: readUInt32(buffer, start + 1) } };
      }
      case 0x78: // x: copied, or it would pin the chunk that it came in
        return { type: 'x', value: Buffer.from(buffer.subarray(this.#takeSized(key), this.at)) };
      case 0x41: // A
        return { type: 'A', value: decodeArrayBody(buffer, this.#takeSized(key), this.at, key, depth + 1) };
      case 0x46: // F
        return { type: 'F', value: decodeTableBody(buffer, this.#takeSized(key), this.at, depth + 1) };
      case 0x56: // V
        return { type: 'V', value: null };
      default:
        throw malformed(key, `unknown type 0x${letter.toString(16).padStart(2, '0')}`);
    }
  }

  /** Moves over `size` bytes; returns where they start. */
  #take(size: number, key: string): number {
    const start = this.at;
    if (start + size > this.#end) throw malformed(key, 'cut short');
    this.at = start + size;
    return start;
  }

  /** Moves over a 32-bit length and that many bytes; returns where those start. */
  #takeSized(key: string): number {
    const lengthAt = this.#take(4, key);
    return this.#take(readUInt32(this.#buffer, lengthAt), key);
  }
}

function tableSize(table: FieldTable, depth: number): number {
  if (depth > FIELD_TABLE_DEPTH_MAX) throw unencodable(`nested deeper than ${FIELD_TABLE_DEPTH_MAX}`);
  let size = 4;
  for (const [key, value] of table) {
    try {
      size += shortStringSize(key) + valueSize(value, depth);
    } catch (error) {
      throw withKey(error, key);
    }
  }
  return size;
}

/** With the type letter. */
function valueSize(field: FieldValue, depth: number): number {
  switch (field.type) {
    case 'V':
      return 1;
    case 't':
    case 'b':
    case 'B':
      return 2;
    case 's':
    case 'u':
      return 3;
    case 'I':
    case 'i':
    case 'f':
      return 5;
    case 'D':
      return 6;
    case 'l':
    case 'L':
    case 'T':
    case 'd':
      return 9;
    case 'S':
      return 1 + longStringSize(field.value);
    case 'x':
      return 5 + field.value.length;
    case 'F':
      return 1 + tableSize(field.value, depth + 1);
    case 'A': {
      if (depth >= FIELD_TABLE_DEPTH_MAX) throw unencodable(`nested deeper than ${FIELD_TABLE_DEPTH_MAX}`);
      let size = 5;
      for (const item of field.value) size += valueSize(item, depth + 1);
      return size;
    }
  }
}

function encodeValue(field: FieldValue, buffer: Buffer, offset: number): number {
  const at = offset + 1;
  buffer[offset] = field.type.charCodeAt(0);
  switch (field.type) {
    case 'V':
      return at;
    case 't':
      return writeUInt8(field.value ? 1 : 0, buffer, at);
    case 'b':
      return writeInt8(field.value, buffer, at);
    case 'B':
      return writeUInt8(field.value, buffer, at);
    case 's':
      return writeInt16(field.value, buffer, at);
    case 'u':
      return writeUInt16(field.value, buffer, at);
    case 'I':
      return writeInt32(field.value, buffer, at);
    case 'i':
      return writeUInt32(field.value, buffer, at);
    case 'l':
    case 'L':
      return writeInt64(field.value, buffer, at);
    case 'T':
      return writeUInt64(field.value, buffer, at);
    case 'f':
      if (!Number.isFinite(Math.fround(field.value))) throw outOfRange(field.value, 'a finite 32-bit float');
      return buffer.writeFloatBE(field.value, at);
    case 'd':
      if (!Number.isFinite(field.value)) throw outOfRange(field.value, 'a finite 64-bit float');
      return buffer.writeDoubleBE(field.value, at);
    case 'D':
      return writeUInt32(field.value.unscaled, buffer, writeUInt8(field.value.scale, buffer, at));
    case 'S':
      return encodeLongString(field.value, buffer, at);
    case 'x':
      buffer.set(field.value, at + 4);
      return writeUInt32(field.value.length, buffer, at) + field.value.length;
    case 'F':
      return encodeFieldTable(field.value, buffer, at);
    case 'A': {
      let after = at + 4;
      for (const item of field.value) after = encodeValue(item, buffer, after);
      writeUInt32(after - at - 4, buffer, at);
      return after;
    }
  }
}

function finite(value: number, key: string): number {
  // Erlang has no other floats, so RabbitMQ can't decode them either.
  if (!Number.isFinite(value)) throw malformed(key, 'float is not finite');
  return value;
}

function malformed(key: string, what: string): CodecError {
  return new CodecError(SYNTAX_ERROR, `malformed field table: '${key}': ${what}`);
}

function unencodable(what: string): CodecError {
  return new CodecError(INTERNAL_ERROR, what);
}

function withKey(error: unknown, key: string): unknown {
  if (!(error instanceof CodecError)) return error;
  return new CodecError(error.replyCode, `field '${key}': ${error.message}`);
}

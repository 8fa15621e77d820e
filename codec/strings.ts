// AMQP strings are bytes. Here they become JavaScript strings and go back without loss: valid UTF-8 decodes as usual, a byte
// that is not part of valid UTF-8 becomes a lone surrogate U+DC80..U+DCFF (0xDC00 + byte), and encoding turns it back.
// Knows nothing of methods, tables or frames.
import { isUtf8 } from 'node:buffer';
import { CodecError } from './errors.ts';
import { INTERNAL_ERROR } from './generated/constants.ts';

/** Longest short string in bytes (AMQP 0-9-1, 4.2.5.3). */
export const SHORT_STRING_MAX = 255;

// Up to this many bytes a loop of our own beats the call into Buffer's native code.
const DECODE_LOOP_MAX = 10;
const ENCODE_LOOP_MAX = 32;
const ESCAPE = 0xdc00;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Decodes bytes [start, end) without loss. Never throws. */
export function decodeString(buffer: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if (buffer[i] >= 0x80) return decodeNonAscii(buffer, start, end);
  }
  return decodeAscii(buffer, start, end);
}

/** Decodes bytes [start, end), or returns undefined when they are not valid UTF-8. */
export function decodeUtf8(buffer: Buffer, start: number, end: number): string | undefined {
  for (let i = start; i < end; i++) {
    if (buffer[i] < 0x80) continue;
    return isUtf8(buffer.subarray(start, end)) ? buffer.toString('utf8', start, end) : undefined;
  }
  return decodeAscii(buffer, start, end);
}

/**
 * Bytes that `value` takes on the wire, without any length prefix.
 * @throws CodecError when it holds a lone surrogate outside U+DC80..U+DCFF, which stands for no byte.
 */
export function encodedStringSize(value: string): number {
  const length = value.length;
  let size = length;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) size++;
    else if (unit < 0xd800 || unit > 0xdfff) size += 2;
    else if (isPair(value, i)) {
      size += 2;
      i++;
    } else if (!isEscape(unit)) throw unencodable(unit);
  }
  return size;
}

/** Writes `value`, whose size is known from `encodedStringSize`, and returns the offset after it. */
export function encodeString(value: string, size: number, buffer: Buffer, offset: number): number {
  if (size === value.length) {
    // One byte a unit: ASCII and escapes only, and an escape's byte is the low half of its unit.
    if (size > ENCODE_LOOP_MAX) return offset + buffer.write(value, offset, 'latin1');
    for (let i = 0; i < size; i++) buffer[offset + i] = value.charCodeAt(i);
    return offset + size;
  }
  if (!LONE_SURROGATE.test(value)) return offset + buffer.write(value, offset, 'utf8');
  return encodeEscaped(value, buffer, offset);
}

/**
 * Bytes of a short string with its length octet.
 * @throws CodecError when the string takes more than 255 bytes.
 */
export function shortStringSize(value: string): number {
  const size = encodedStringSize(value);
  if (size > SHORT_STRING_MAX) throw tooLong(size);
  return size + 1;
}

/**
 * Writes length octet and bytes; returns the offset after them.
 * @throws CodecError when the string takes more than 255 bytes; nothing is written then.
 */
export function encodeShortString(value: string, buffer: Buffer, offset: number): number {
  const length = value.length;
  if (length <= ENCODE_LOOP_MAX) {
    let i = 0;
    for (; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) break;
      buffer[offset + 1 + i] = unit;
    }
    if (i === length) {
      buffer[offset] = length;
      return offset + 1 + length;
    }
  }
  const size = encodedStringSize(value);
  if (size > SHORT_STRING_MAX) throw tooLong(size);
  buffer[offset] = size;
  return encodeString(value, size, buffer, offset + 1);
}

/** Bytes of a long string with its four length octets. */
export function longStringSize(value: string): number {
  return encodedStringSize(value) + 4;
}

/** Writes four length octets and the bytes; returns the offset after them. */
export function encodeLongString(value: string, buffer: Buffer, offset: number): number {
  const size = encodedStringSize(value);
  buffer.writeUInt32BE(size, offset);
  return encodeString(value, size, buffer, offset + 4);
}

function decodeAscii(buffer: Buffer, start: number, end: number): string {
  if (end - start > DECODE_LOOP_MAX) return buffer.toString('latin1', start, end);
  let text = '';
  let i = start;
  for (; i + 4 <= end; i += 4) text += String.fromCharCode(buffer[i], buffer[i + 1], buffer[i + 2], buffer[i + 3]);
  for (; i < end; i++) text += String.fromCharCode(buffer[i]);
  return text;
}

function decodeNonAscii(buffer: Buffer, start: number, end: number): string {
  if (isUtf8(buffer.subarray(start, end))) return buffer.toString('utf8', start, end);
  let text = '';
  let runStart = start;
  let i = start;
  while (i < end) {
    const size = sequenceSize(buffer, i, end);
    if (size > 0) {
      i += size;
      continue;
    }
    text += buffer.toString('utf8', runStart, i) + String.fromCharCode(ESCAPE + buffer[i]);
    runStart = ++i;
  }
  return text + buffer.toString('utf8', runStart, end);
}

/** Bytes of the valid UTF-8 sequence at `at`, 0 when there is none (Unicode 15, table 3-7). */
function sequenceSize(buffer: Buffer, at: number, end: number): number {
  const lead = buffer[at];
  if (lead < 0x80) return 1;
  const size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  return size > 0 && at + size <= end && isUtf8(buffer.subarray(at, at + size)) ? size : 0;
}

function encodeEscaped(value: string, buffer: Buffer, offset: number): number {
  let at = offset;
  for (let i = 0; i < value.length; i++) {
    // In bounds, so a code point is there.
    const point = value.codePointAt(i) as number;
    if (isEscape(point)) buffer[at++] = point - ESCAPE;
    else if (point < 0x80) buffer[at++] = point;
    else {
      at += buffer.write(String.fromCodePoint(point), at, 'utf8');
      if (point > 0xffff) i++;
    }
  }
  return at;
}

function isPair(value: string, at: number): boolean {
  if (value.charCodeAt(at) >= 0xdc00) return false;
  // NaN past the end of the string compares false.
  const next = value.charCodeAt(at + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

function isEscape(point: number): boolean {
  return point >= 0xdc80 && point <= 0xdcff;
}

function tooLong(size: number): CodecError {
  return new CodecError(INTERNAL_ERROR, `short string of ${size} bytes is longer than ${SHORT_STRING_MAX}`);
}

function unencodable(unit: number): CodecError {
  return new CodecError(INTERNAL_ERROR, `lone surrogate U+${unit.toString(16).toUpperCase()} stands for no bytes`);
}

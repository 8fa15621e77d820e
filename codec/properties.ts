// The basic class's content properties: whole, or one of them looked up in the raw bytes, which is what the hot path does.
// Knows nothing of what a broker does with them.
import { CodecError } from './errors.ts';
import { decodeFieldTable, encodedFieldTableSize, encodeFieldTable, type FieldTable } from './field-table.ts';
import { INTERNAL_ERROR } from './generated/constants.ts';
import { readUInt16, readUInt32, readUInt64, writeUInt8, writeUInt16, writeUInt64 } from './integers.ts';
import { decodeString, encodeShortString, shortStringSize } from './strings.ts';
import { checkTable } from './table-scan.ts';

/** AMQP 0-9-1, 1.8. A property that is not there is undefined; an empty one is there. */
export interface BasicProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: FieldTable;
  /** 1 transient, 2 persistent; RabbitMQ takes any octet. */
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** Milliseconds in decimal, as the publisher wrote them. */
  readonly expiration?: string;
  readonly messageId?: string;
  /** Seconds since 1970, 64 bits unsigned. */
  readonly timestamp?: number | bigint;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
  readonly clusterId?: string;
}

// One bit a property, in wire order. The two lowest bits name no property; the lowest would announce more flags, but the
// class has only fourteen, and RabbitMQ ignores both.
const CONTENT_TYPE = 0x8000;
const CONTENT_ENCODING = 0x4000;
const HEADERS = 0x2000;
const DELIVERY_MODE = 0x1000;
const PRIORITY = 0x0800;
const CORRELATION_ID = 0x0400;
const REPLY_TO = 0x0200;
const EXPIRATION = 0x0100;
const MESSAGE_ID = 0x0080;
const TIMESTAMP = 0x0040;
const TYPE = 0x0020;
const USER_ID = 0x0010;
const APP_ID = 0x0008;
const CLUSTER_ID = 0x0004;
const LAST = CLUSTER_ID;

/**
 * Decodes the properties in [start, end), which begins with the flags.
 * @throws CodecError 541 without a text, which is RabbitMQ's reply to malformed properties.
 */
export function decodeProperties(buffer: Buffer, start: number, end: number): BasicProperties {
  validateProperties(buffer, start, end);
  const flags = readUInt16(buffer, start);
  const properties: { -readonly [K in keyof BasicProperties]: BasicProperties[K] } = {};
  let at = start + 2;
  const shortString = (): string => {
    const from = at + 1;
    at = from + buffer[at];
    return decodeString(buffer, from, at);
  };
  if (flags & CONTENT_TYPE) properties.contentType = shortString();
  if (flags & CONTENT_ENCODING) properties.contentEncoding = shortString();
  if (flags & HEADERS) {
    const from = at;
    at += 4 + readUInt32(buffer, at);
    properties.headers = decodeHeaders(buffer, from, at);
  }
  if (flags & DELIVERY_MODE) properties.deliveryMode = buffer[at++];
  if (flags & PRIORITY) properties.priority = buffer[at++];
  if (flags & CORRELATION_ID) properties.correlationId = shortString();
  if (flags & REPLY_TO) properties.replyTo = shortString();
  if (flags & EXPIRATION) properties.expiration = shortString();
  if (flags & MESSAGE_ID) properties.messageId = shortString();
  if (flags & TIMESTAMP) {
    properties.timestamp = readUInt64(buffer, at);
    at += 8;
  }
  if (flags & TYPE) properties.type = shortString();
  if (flags & USER_ID) properties.userId = shortString();
  if (flags & APP_ID) properties.appId = shortString();
  if (flags & CLUSTER_ID) properties.clusterId = shortString();
  return properties;
}

/**
 * Flags and the properties that are not undefined, in a buffer of their own.
 * @throws CodecError when one does not fit.
 */
export function encodeProperties(properties: BasicProperties): Buffer {
  const { headers, deliveryMode, priority, timestamp } = properties;
  const strings = stringsOf(properties);
  let flags = 0;
  let size = 2;
  for (const [flag, value] of strings) {
    if (value === undefined) continue;
    flags |= flag;
    size += shortStringSize(value);
  }
  if (headers !== undefined) {
    flags |= HEADERS;
    size += encodedFieldTableSize(headers);
  }
  if (deliveryMode !== undefined) {
    flags |= DELIVERY_MODE;
    size += 1;
  }
  if (priority !== undefined) {
    flags |= PRIORITY;
    size += 1;
  }
  if (timestamp !== undefined) {
    flags |= TIMESTAMP;
    size += 8;
  }
  const buffer = Buffer.allocUnsafe(size);
  let at = writeUInt16(flags, buffer, 0);
  for (const [flag, value] of strings) {
    // What is no string has its place before these two.
    if (flag === CORRELATION_ID) {
      if (headers !== undefined) at = encodeFieldTable(headers, buffer, at);
      if (deliveryMode !== undefined) at = writeUInt8(deliveryMode, buffer, at);
      if (priority !== undefined) at = writeUInt8(priority, buffer, at);
    } else if (flag === TYPE && timestamp !== undefined) at = writeUInt64(timestamp, buffer, at);
    if (value !== undefined) at = encodeShortString(value, buffer, at);
  }
  return buffer;
}

/**
 * Checks flags, field bounds and the headers table, without decoding. The functions below rely on it.
 * @throws CodecError 541 without a text, which is RabbitMQ's reply, once the whole message came in.
 */
export function validateProperties(buffer: Buffer, start: number, end: number): void {
  if (start + 2 > end) throw malformed('no flags');
  const flags = readUInt16(buffer, start);
  let at = start + 2;
  for (let flag = CONTENT_TYPE; flag >= LAST; flag >>>= 1) {
    if ((flags & flag) === 0) continue;
    const fits = flag === HEADERS ? at + 4 <= end : at < end;
    const after = fits ? skip(buffer, at, flag) : Number.POSITIVE_INFINITY;
    if (after > end) throw malformed('cut short');
    if (flag === HEADERS && !checkTable(buffer, at, after)) throw malformed('headers');
    at = after;
  }
  if (at !== end) throw malformed('bytes after the last property');
}

/** The delivery mode's octet, 0 when absent. */
export function peekDeliveryMode(buffer: Buffer, start: number, end: number): number {
  const at = locate(buffer, start, end, DELIVERY_MODE);
  return at < 0 ? 0 : buffer[at];
}

/** 0 when the property is absent, which means the same. */
export function peekPriority(buffer: Buffer, start: number, end: number): number {
  const at = locate(buffer, start, end, PRIORITY);
  return at < 0 ? 0 : buffer[at];
}

export function peekReplyTo(buffer: Buffer, start: number, end: number): string | undefined {
  return peekString(buffer, start, end, REPLY_TO);
}

export function peekExpiration(buffer: Buffer, start: number, end: number): string | undefined {
  return peekString(buffer, start, end, EXPIRATION);
}

export function peekUserId(buffer: Buffer, start: number, end: number): string | undefined {
  return peekString(buffer, start, end, USER_ID);
}

export function peekCorrelationId(buffer: Buffer, start: number, end: number): string | undefined {
  return peekString(buffer, start, end, CORRELATION_ID);
}

export function peekMessageId(buffer: Buffer, start: number, end: number): string | undefined {
  return peekString(buffer, start, end, MESSAGE_ID);
}

export function peekTimestamp(buffer: Buffer, start: number, end: number): number | bigint | undefined {
  const at = locate(buffer, start, end, TIMESTAMP);
  return at < 0 ? undefined : readUInt64(buffer, at);
}

/** Offset of the headers table (of its length), -1 when absent. */
export function locateHeaders(buffer: Buffer, start: number, end: number): number {
  return locate(buffer, start, end, HEADERS);
}

/** The same properties with these headers, in a buffer of their own: the bytes of the others are as they were. */
export function withHeaders(buffer: Buffer, start: number, end: number, headers: FieldTable): Buffer {
  const flags = readUInt16(buffer, start);
  let at = start + 2;
  if (flags & CONTENT_TYPE) at = skip(buffer, at, CONTENT_TYPE);
  if (flags & CONTENT_ENCODING) at = skip(buffer, at, CONTENT_ENCODING);
  const after = flags & HEADERS ? skip(buffer, at, HEADERS) : at;
  const result = withGap(buffer, start, at, encodedFieldTableSize(headers), after, end);
  writeUInt16(flags | HEADERS, result, 0);
  encodeFieldTable(headers, result, at - start);
  return result;
}

/** The same properties with this reply-to, in a buffer of their own: the bytes of the others are as they were. They have one. */
export function withReplyTo(buffer: Buffer, start: number, end: number, replyTo: string): Buffer {
  const at = locate(buffer, start, end, REPLY_TO);
  if (at < 0) throw new Error('the properties have no reply-to');
  const result = withGap(buffer, start, at, shortStringSize(replyTo), skip(buffer, at, REPLY_TO), end);
  encodeShortString(replyTo, result, at - start);
  return result;
}

/** The same properties without their expiration, in a buffer of their own: the bytes of the others are as they were. */
export function withoutExpiration(buffer: Buffer, start: number, end: number): Buffer {
  const at = locate(buffer, start, end, EXPIRATION);
  if (at < 0) return Buffer.from(buffer.subarray(start, end));
  const result = withGap(buffer, start, at, 0, skip(buffer, at, EXPIRATION), end);
  writeUInt16(readUInt16(buffer, start) & ~EXPIRATION, result, 0);
  return result;
}

/** The bytes from `start` to `at` and from `after` to `end`, in a buffer of their own, with `size` bytes to be filled between them. */
function withGap(buffer: Buffer, start: number, at: number, size: number, after: number, end: number): Buffer {
  const result = Buffer.allocUnsafe(at - start + size + end - after);
  buffer.copy(result, 0, start, at);
  buffer.copy(result, at - start + size, after, end);
  return result;
}

function peekString(buffer: Buffer, start: number, end: number, wanted: number): string | undefined {
  const at = locate(buffer, start, end, wanted);
  return at < 0 ? undefined : decodeString(buffer, at + 1, at + 1 + buffer[at]);
}

/** Offset of a property's value, -1 when it is absent. The bytes are valid. */
function locate(buffer: Buffer, start: number, end: number, wanted: number): number {
  if (end - start < 2) return -1;
  const flags = readUInt16(buffer, start);
  if ((flags & wanted) === 0) return -1;
  let at = start + 2;
  for (let flag = CONTENT_TYPE; flag > wanted; flag >>>= 1) {
    if ((flags & flag) !== 0) at = skip(buffer, at, flag);
  }
  return at;
}

function skip(buffer: Buffer, at: number, flag: number): number {
  switch (flag) {
    case HEADERS:
      return at + 4 + readUInt32(buffer, at);
    case DELIVERY_MODE:
    case PRIORITY:
      return at + 1;
    case TIMESTAMP:
      return at + 8;
    default:
      return at + 1 + buffer[at];
  }
}

function stringsOf(properties: BasicProperties): readonly (readonly [flag: number, value: string | undefined])[] {
  return [
    [CONTENT_TYPE, properties.contentType],
    [CONTENT_ENCODING, properties.contentEncoding],
    [CORRELATION_ID, properties.correlationId],
    [REPLY_TO, properties.replyTo],
    [EXPIRATION, properties.expiration],
    [MESSAGE_ID, properties.messageId],
    [TYPE, properties.type],
    [USER_ID, properties.userId],
    [APP_ID, properties.appId],
    [CLUSTER_ID, properties.clusterId],
  ];
}

function decodeHeaders(buffer: Buffer, start: number, end: number): FieldTable {
  try {
    return decodeFieldTable(buffer, start, end);
  } catch (error) {
    throw error instanceof CodecError ? malformed(error.message) : error;
  }
}

function malformed(what: string): CodecError {
  return new CodecError(INTERNAL_ERROR, '', 0, `malformed properties: ${what}`);
}

// The entries that records are made of: written one by one, or decoded into calls of a visitor. Messages are passed as
// offsets into the buffer, since millions of them go by and few are looked at. Those of the topology are in topology-entries.ts.
import type { Message } from '../core/message.ts';
import { ByteReader, Cursor, FormatError, readVarint } from './byte-reader.ts';
import { type ByteWriter, copyBytes, putVarint, varintSize } from './byte-writer.ts';
import type { PositionSet } from './position-set.ts';
import { decodeTopologyEntry, type TopologyVisitor } from './topology-entries.ts';

export const ENTRY_MESSAGES = 1;
export const ENTRY_SHARED_MESSAGE = 2;
export const ENTRY_ACKNOWLEDGED = 3;
export const ENTRY_DELIVERED = 4;
export const ENTRY_RETURNED = 5;
export const ENTRY_CHECKPOINT = 32;
export const ENTRY_QUEUE_STATE = 33;
export const ENTRY_PAGE = 34;
export const ENTRY_CHECKPOINT_END = 63;

/** Most bytes that `putMessageHeader` writes. */
export const MESSAGE_HEADER_MOST_BYTES = 25;

const MESSAGE_EXPIRES = 1;

/** Told what stands in a record, in its order. Offsets are those of the buffer that is decoded. */
export interface EntryVisitor extends TopologyVisitor {
  /** False passes over all messages. Asked once for each entry. */
  readonly wantsMessages: boolean;
  /** False passes over a run of messages of one queue at successive positions. All are wanted when there is no such method. */
  wantsRun?(queueId: number, position: number, count: number): boolean;
  /**
   * A message of one queue. The route's bytes are exchange and routing key as short strings.
   * @param shared the message goes to several queues, and was passed for another one with the same offsets right before
   */
  message(
    queueId: number,
    position: number,
    routeStart: number,
    routeEnd: number,
    propertiesStart: number,
    propertiesEnd: number,
    bodyStart: number,
    bodySize: number,
    expiresAtMs: number,
    shared: boolean,
  ): void;
  /** Once for each interval of positions. */
  acknowledged(queueId: number, first: number, last: number): void;
  delivered(queueId: number, position: number): void;
  returned(queueId: number, position: number, deliveryCount: number): void;
}

/** Bytes that `putMessageHeader` writes. */
export function messageHeaderSize(message: Message): number {
  const { expiresAtMs } = message;
  const lengths = varintSize(message.propertiesEnd - message.propertiesStart) + varintSize(message.bodySize);
  return 1 + lengths + (expiresAtMs === 0 ? 0 : varintSize(expiresAtMs));
}

/** Bytes of a message in an entry: header, properties and body. */
export function messageSize(message: Message): number {
  return messageHeaderSize(message) + message.size;
}

/** Writes what stands before a message's properties and body; returns the offset behind it. */
export function putMessageHeader(buffer: Buffer, offset: number, message: Message): number {
  const { expiresAtMs } = message;
  buffer[offset] = expiresAtMs === 0 ? 0 : MESSAGE_EXPIRES;
  let at = putVarint(buffer, offset + 1, message.propertiesEnd - message.propertiesStart);
  at = putVarint(buffer, at, message.bodySize);
  return expiresAtMs === 0 ? at : putVarint(buffer, at, expiresAtMs);
}

/** Copies a message's properties and body to where there is room; returns the offset behind them. */
export function putMessageContent(buffer: Buffer, offset: number, message: Message): number {
  const { propertiesBuffer, propertiesStart, propertiesEnd, bodyBuffer, bodyStart, bodySize, pieces } = message;
  if (propertiesBuffer === bodyBuffer && propertiesEnd === bodyStart && pieces === null) {
    return copyBytes(buffer, offset, propertiesBuffer, propertiesStart, bodyStart + bodySize);
  }
  let at = copyBytes(buffer, offset, propertiesBuffer, propertiesStart, propertiesEnd);
  if (pieces === null) return copyBytes(buffer, at, bodyBuffer, bodyStart, bodyStart + bodySize);
  for (const piece of pieces) at = copyBytes(buffer, at, piece, 0, piece.length);
  return at;
}

export function writeAcknowledged(writer: ByteWriter, queueId: number, positions: PositionSet): void {
  writer.u8(ENTRY_ACKNOWLEDGED);
  writer.varint(queueId);
  writer.positions(positions);
}

export function writeDelivered(writer: ByteWriter, queueId: number, position: number): void {
  writer.u8(ENTRY_DELIVERED);
  writer.varint(queueId);
  writer.varint(position);
}

export function writeReturned(writer: ByteWriter, queueId: number, position: number, deliveryCount: number): void {
  writer.u8(ENTRY_RETURNED);
  writer.varint(queueId);
  writer.varint(position);
  writer.varint(deliveryCount);
}

/** @throws FormatError when the bytes are not entries of the log, after the visitor was told of those before */
export function decodeEntries(buffer: Buffer, start: number, end: number, visitor: EntryVisitor): void {
  const reader = new ByteReader(buffer, start, end);
  while (reader.offset < end) decodeEntry(reader, visitor);
}

function decodeEntry(reader: ByteReader, visitor: EntryVisitor): void {
  const at = reader.offset;
  const kind = reader.u8();
  switch (kind) {
    case ENTRY_MESSAGES:
      return decodeMessages(reader, visitor);
    case ENTRY_SHARED_MESSAGE:
      return decodeSharedMessage(reader, visitor);
    case ENTRY_ACKNOWLEDGED: {
      const queueId = reader.varint();
      return reader.eachInterval((first, last) => visitor.acknowledged(queueId, first, last));
    }
    case ENTRY_DELIVERED:
      return visitor.delivered(reader.varint(), reader.varint());
    case ENTRY_RETURNED:
      return visitor.returned(reader.varint(), reader.varint(), reader.varint());
    default:
      if (!decodeTopologyEntry(kind, reader, visitor)) throw new FormatError(`entry ${kind} is none of the log's`, at);
  }
}

/** How far the head of a message was read. */
const cursor = new Cursor();

function decodeMessages(reader: ByteReader, visitor: EntryVisitor): void {
  const { buffer, end } = reader;
  const queueId = reader.varint();
  const position = reader.varint();
  reader.skipRoute();
  const routeStart = reader.start;
  const routeEnd = reader.offset;
  const count = reader.varint();
  const wanted = visitor.wantsMessages && (visitor.wantsRun?.(queueId, position, count) ?? true);
  let at = reader.offset;
  for (let i = 0; i < count; i++) {
    const start = at;
    const flags = start < end ? buffer[start] : -1;
    const propertiesBytes = readVarint(buffer, start + 1, cursor);
    const bodySize = readVarint(buffer, cursor.offset, cursor);
    const expiresAtMs = (flags & MESSAGE_EXPIRES) === 0 ? 0 : readVarint(buffer, cursor.offset, cursor);
    const propertiesStart = cursor.offset;
    const bodyStart = propertiesStart + propertiesBytes;
    at = bodyStart + bodySize;
    if (at > end || flags >> 1 !== 0) throw badMessage(flags, start);
    if (wanted) {
      visitor.message(
        queueId,
        position + i,
        routeStart,
        routeEnd,
        propertiesStart,
        bodyStart,
        bodyStart,
        bodySize,
        expiresAtMs,
        false,
      );
    }
  }
  reader.offset = at;
}

/** One message for several queues. */
function decodeSharedMessage(reader: ByteReader, visitor: EntryVisitor): void {
  const { end } = reader;
  reader.skipRoute();
  const routeStart = reader.start;
  const routeEnd = reader.offset;
  const count = reader.varint();
  const placesStart = reader.offset;
  for (let i = 0; i < 2 * count; i++) reader.varint();
  const start = reader.offset;
  const flags = reader.u8();
  const propertiesBytes = reader.varint();
  const bodySize = reader.varint();
  const expiresAtMs = (flags & MESSAGE_EXPIRES) === 0 ? 0 : reader.varint();
  const propertiesStart = reader.offset;
  const bodyStart = propertiesStart + propertiesBytes;
  const after = bodyStart + bodySize;
  if (after > end || flags >> 1 !== 0) throw badMessage(flags, start);
  if (visitor.wantsMessages) {
    reader.offset = placesStart;
    for (let i = 0; i < count; i++) {
      const queueId = reader.varint();
      const position = reader.varint();
      visitor.message(
        queueId,
        position,
        routeStart,
        routeEnd,
        propertiesStart,
        bodyStart,
        bodyStart,
        bodySize,
        expiresAtMs,
        i > 0,
      );
    }
  }
  reader.offset = after;
}

function badMessage(flags: number, at: number): FormatError {
  return new FormatError(flags < 2 ? 'a message is cut short' : `a message has unknown flags ${flags}`, at);
}

// The entries that records are made of: written one by one, or decoded into calls of a visitor. Messages are passed as
// offsets into the buffer, since millions of them go by and few are looked at.
import type { FieldTable } from '../../codec/field-table.ts';
import type { Message } from '../core/message.ts';
import { ByteReader, Cursor, FormatError, readVarint } from './byte-reader.ts';
import { type ByteWriter, copyBytes, putVarint, varintSize } from './byte-writer.ts';
import type { PositionSet } from './position-set.ts';

export const ENTRY_MESSAGES = 1;
export const ENTRY_SHARED_MESSAGE = 2;
export const ENTRY_ACKNOWLEDGED = 3;
export const ENTRY_DELIVERED = 4;
export const ENTRY_RETURNED = 5;
export const ENTRY_VIRTUAL_HOST = 16;
export const ENTRY_VIRTUAL_HOST_DELETED = 17;
export const ENTRY_USER = 18;
export const ENTRY_USER_DELETED = 19;
export const ENTRY_EXCHANGE = 20;
export const ENTRY_EXCHANGE_DELETED = 21;
export const ENTRY_QUEUE = 22;
export const ENTRY_QUEUE_DELETED = 23;
export const ENTRY_BINDING = 24;
export const ENTRY_BINDING_DELETED = 25;
export const ENTRY_CHECKPOINT = 32;
export const ENTRY_QUEUE_STATE = 33;
export const ENTRY_PAGE = 34;
export const ENTRY_CHECKPOINT_END = 63;

/** Most bytes that `putMessageHeader` writes. */
export const MESSAGE_HEADER_MOST_BYTES = 25;

const MESSAGE_EXPIRES = 1;
const AUTO_DELETE = 1;
const INTERNAL = 2;

export interface UserEntry {
  readonly name: string;
  /** Password hash, tags and permissions. */
  readonly json: Buffer;
}

export interface ExchangeEntry {
  readonly vhost: string;
  readonly name: string;
  readonly type: string;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

export interface QueueEntry {
  readonly queueId: number;
  readonly vhost: string;
  readonly name: string;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

export interface BindingEntry {
  readonly vhost: string;
  readonly source: string;
  readonly destinationKind: 'queue' | 'exchange';
  readonly destination: string;
  readonly bindingKey: string;
  readonly arguments: FieldTable;
}

/** Told what stands in a record, in its order. Offsets are those of the buffer that is decoded. */
export interface EntryVisitor {
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
  virtualHost(name: string): void;
  virtualHostDeleted(name: string): void;
  user(user: UserEntry): void;
  userDeleted(name: string): void;
  exchange(exchange: ExchangeEntry): void;
  exchangeDeleted(vhost: string, name: string): void;
  queue(queue: QueueEntry): void;
  queueDeleted(queueId: number): void;
  binding(binding: BindingEntry): void;
  bindingDeleted(binding: BindingEntry): void;
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

export function writeVirtualHost(writer: ByteWriter, name: string): void {
  writer.u8(ENTRY_VIRTUAL_HOST);
  writer.string(name);
}

export function writeVirtualHostDeleted(writer: ByteWriter, name: string): void {
  writer.u8(ENTRY_VIRTUAL_HOST_DELETED);
  writer.string(name);
}

export function writeUser(writer: ByteWriter, { name, json }: UserEntry): void {
  writer.u8(ENTRY_USER);
  writer.string(name);
  writer.bytes(json);
}

export function writeUserDeleted(writer: ByteWriter, name: string): void {
  writer.u8(ENTRY_USER_DELETED);
  writer.string(name);
}

export function writeExchange(writer: ByteWriter, exchange: ExchangeEntry): void {
  writer.u8(ENTRY_EXCHANGE);
  writer.string(exchange.vhost);
  writer.string(exchange.name);
  writer.string(exchange.type);
  writer.u8((exchange.autoDelete ? AUTO_DELETE : 0) | (exchange.internal ? INTERNAL : 0));
  writer.table(exchange.arguments);
}

export function writeExchangeDeleted(writer: ByteWriter, vhost: string, name: string): void {
  writer.u8(ENTRY_EXCHANGE_DELETED);
  writer.string(vhost);
  writer.string(name);
}

export function writeQueue(writer: ByteWriter, queue: QueueEntry): void {
  writer.u8(ENTRY_QUEUE);
  writer.varint(queue.queueId);
  writer.string(queue.vhost);
  writer.string(queue.name);
  writer.u8(queue.autoDelete ? AUTO_DELETE : 0);
  writer.table(queue.arguments);
}

export function writeQueueDeleted(writer: ByteWriter, queueId: number): void {
  writer.u8(ENTRY_QUEUE_DELETED);
  writer.varint(queueId);
}

export function writeBinding(writer: ByteWriter, binding: BindingEntry): void {
  writeAnyBinding(writer, ENTRY_BINDING, binding);
}

export function writeBindingDeleted(writer: ByteWriter, binding: BindingEntry): void {
  writeAnyBinding(writer, ENTRY_BINDING_DELETED, binding);
}

function writeAnyBinding(writer: ByteWriter, kind: number, binding: BindingEntry): void {
  writer.u8(kind);
  writer.string(binding.vhost);
  writer.string(binding.source);
  writer.u8(binding.destinationKind === 'queue' ? 0 : 1);
  writer.string(binding.destination);
  writer.string(binding.bindingKey);
  writer.table(binding.arguments);
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
    case ENTRY_VIRTUAL_HOST:
      return visitor.virtualHost(reader.string());
    case ENTRY_VIRTUAL_HOST_DELETED:
      return visitor.virtualHostDeleted(reader.string());
    case ENTRY_USER:
      return visitor.user(readUser(reader));
    case ENTRY_USER_DELETED:
      return visitor.userDeleted(reader.string());
    case ENTRY_EXCHANGE:
      return visitor.exchange(readExchange(reader));
    case ENTRY_EXCHANGE_DELETED:
      return visitor.exchangeDeleted(reader.string(), reader.string());
    case ENTRY_QUEUE:
      return visitor.queue(readQueue(reader));
    case ENTRY_QUEUE_DELETED:
      return visitor.queueDeleted(reader.varint());
    case ENTRY_BINDING:
      return visitor.binding(readBinding(reader));
    case ENTRY_BINDING_DELETED:
      return visitor.bindingDeleted(readBinding(reader));
    default:
      throw new FormatError(`entry ${kind} is none of the log's`, at);
  }
}

/** The content of entry 18; so do the others for theirs. */
export function readUser(reader: ByteReader): UserEntry {
  return { name: reader.string(), json: reader.bytes() };
}

export function readExchange(reader: ByteReader): ExchangeEntry {
  const vhost = reader.string();
  const name = reader.string();
  const type = reader.string();
  const flags = readFlags(reader, AUTO_DELETE | INTERNAL);
  return {
    vhost,
    name,
    type,
    autoDelete: (flags & AUTO_DELETE) !== 0,
    internal: (flags & INTERNAL) !== 0,
    arguments: reader.table(),
  };
}

export function readQueue(reader: ByteReader): QueueEntry {
  const queueId = reader.varint();
  const vhost = reader.string();
  const name = reader.string();
  const autoDelete = readFlags(reader, AUTO_DELETE) !== 0;
  return { queueId, vhost, name, autoDelete, arguments: reader.table() };
}

export function readBinding(reader: ByteReader): BindingEntry {
  const vhost = reader.string();
  const source = reader.string();
  const destinationKind = readFlags(reader, 1) === 0 ? 'queue' : 'exchange';
  const destination = reader.string();
  const bindingKey = reader.string();
  return { vhost, source, destinationKind, destination, bindingKey, arguments: reader.table() };
}

function readFlags(reader: ByteReader, known: number): number {
  const at = reader.offset;
  const flags = reader.u8();
  if ((flags & ~known) !== 0) throw new FormatError(`unknown flags ${flags}`, at);
  return flags;
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

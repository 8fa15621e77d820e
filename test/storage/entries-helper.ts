// Writes messages as entries of the log, and notes what a visitor is told of entries.
import assert from 'node:assert/strict';
import type { Message } from '../../lib/core/message.ts';
import { ByteWriter } from '../../lib/storage/byte-writer.ts';
import {
  decodeEntries,
  ENTRY_MESSAGES,
  ENTRY_SHARED_MESSAGE,
  type EntryVisitor,
  MESSAGE_HEADER_MOST_BYTES,
  messageHeaderSize,
  messageSize,
  putMessageContent,
  putMessageHeader,
} from '../../lib/storage/entries.ts';
import { contentAt, contentOf } from './format-helper.ts';

/** Notes all calls, messages by their content. */
export class Recorder implements EntryVisitor {
  wantsMessages = true;
  readonly calls: unknown[][] = [];
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  message(...args: Parameters<EntryVisitor['message']>): void {
    const [queueId, position, routeStart, routeEnd, start, end, bodyStart, bodySize, expiresAtMs, shared] = args;
    // Transience is none of the log's: everything in it is persistent.
    const { transient, ...content } = contentAt(
      this.#buffer,
      routeStart,
      routeEnd,
      start,
      end,
      bodyStart,
      bodySize,
      expiresAtMs,
      false,
    );
    this.calls.push(['message', queueId, position, content, shared]);
  }

  acknowledged = this.#note('acknowledged');
  delivered = this.#note('delivered');
  returned = this.#note('returned');
  virtualHost = this.#note('virtualHost');
  virtualHostDeleted = this.#note('virtualHostDeleted');
  user = this.#note('user');
  userDeleted = this.#note('userDeleted');
  exchange = this.#note('exchange');
  exchangeDeleted = this.#note('exchangeDeleted');
  queue = this.#note('queue');
  queueDeleted = this.#note('queueDeleted');
  binding = this.#note('binding');
  bindingDeleted = this.#note('bindingDeleted');
  parameter = this.#note('parameter');
  parameterDeleted = this.#note('parameterDeleted');

  #note(name: string): (...args: unknown[]) => void {
    return (...args) => this.calls.push([name, ...args]);
  }
}

export function decoded(bytes: Buffer): unknown[][] {
  const recorder = new Recorder(bytes);
  decodeEntries(bytes, 0, bytes.length, recorder);
  return recorder.calls;
}

export function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.from(writer.view());
}

export function writeMessage(writer: ByteWriter, message: Message): void {
  const size = messageSize(message);
  writer.reserve(size);
  const start = writer.length;
  const contentAt = putMessageHeader(writer.buffer, start, message);
  assert.equal(contentAt - start, messageHeaderSize(message));
  assert.ok(contentAt - start <= MESSAGE_HEADER_MOST_BYTES);
  writer.length = putMessageContent(writer.buffer, contentAt, message);
  assert.equal(writer.length - start, size);
}

/** Entry 1: all messages of one route. */
export function writeMessages(
  writer: ByteWriter,
  queueId: number,
  position: number,
  messages: readonly Message[],
): void {
  writer.u8(ENTRY_MESSAGES);
  writer.varint(queueId);
  writer.varint(position);
  writer.bytes(messages[0].route.bytes);
  writer.varint(messages.length);
  for (const message of messages) writeMessage(writer, message);
}

/** Entry 2. */
export function writeShared(
  writer: ByteWriter,
  places: readonly (readonly [number, number])[],
  message: Message,
): void {
  writer.u8(ENTRY_SHARED_MESSAGE);
  writer.bytes(message.route.bytes);
  writer.varint(places.length);
  for (const [queueId, position] of places) {
    writer.varint(queueId);
    writer.varint(position);
  }
  writeMessage(writer, message);
}

export function plain(message: Message): unknown {
  const { transient, ...content } = contentOf(message);
  return content;
}

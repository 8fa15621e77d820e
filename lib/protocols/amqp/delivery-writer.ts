// Writes a message to a connection's output: a method frame, the content header, the body in frames. Property bytes, exchange
// and routing key are copied as they came; only the numbers around them are new.
import { BASIC_CLASS, CONTENT_HEADER_SIZE, FRAME_HEADER_SIZE, FRAME_OVERHEAD } from '../../../codec/frame-writer.ts';
import { FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_METHOD } from '../../../codec/generated/constants.ts';
import { BASIC_DELIVER } from '../../../codec/generated/methods.ts';
import { putUInt32, putUInt64 } from '../../../codec/integers.ts';
import type { Message } from '../../core/message.ts';
import type { Route } from '../../core/route.ts';
import type { OutputBuffer } from './output-buffer.ts';

/** Bodies from this size on go out by reference; below it a copy is cheaper than one more piece in a writev. */
const BY_REFERENCE_BYTES = 16 * 1024;
const NO_BYTES: Buffer = Buffer.alloc(0);
const FRAME_END_BYTES = Buffer.of(FRAME_END);
/** Below this a loop is faster than a call of Buffer.copy, measured on Node 20. */
const LOOP_BYTES = 32;
/** Bytes of a content header frame before the properties. */
const HEADER_BEGINNING = FRAME_HEADER_SIZE + CONTENT_HEADER_SIZE;

/** Copies bytes and returns the offset behind them. */
function copyBytes(source: Buffer, start: number, end: number, target: Buffer, offset: number): number {
  if (end - start > LOOP_BYTES) return offset + source.copy(target, offset, start, end);
  for (let at = start; at < end; at++) target[offset++] = source[at];
  return offset;
}

function putFrameHeader(buffer: Buffer, offset: number, type: number, channel: number, size: number): number {
  buffer[offset] = type;
  buffer[offset + 1] = channel >>> 8;
  buffer[offset + 2] = channel;
  return putUInt32(size, buffer, offset + 3);
}

/**
 * Writes the deliveries of one consumer. What comes along the same route again begins with the same bytes, but for a few numbers: they are
 * kept and copied as a whole, which saves 0.09 of 0.5 µs a message.
 */
export class DeliveryWriter {
  readonly #channel: number;
  readonly #consumerTag: Buffer;
  /** Where the delivery tag stands, from the beginning on. */
  readonly #tagAt: number;
  /** Of the last message. */
  #route: Route | null = null;
  /** How its delivery began: the method frame, and the content header frame up to the properties. Empty until a second one comes. */
  #beginning = NO_BYTES;

  /** @param consumerTag an encoded short string */
  constructor(channel: number, consumerTag: Buffer) {
    this.#channel = channel;
    this.#consumerTag = consumerTag;
    this.#tagAt = FRAME_HEADER_SIZE + 4 + consumerTag.length;
  }

  /** Writes basic.deliver with its content. */
  write(output: OutputBuffer, frameMax: number, deliveryTag: number, redelivered: boolean, message: Message): void {
    const { route } = message;
    const copied = isCopied(message, frameMax);
    const size = this.#tagAt + 9 + route.bytes.length + 1 + contentSize(message, copied);
    const start = output.reserve(size);
    const { buffer } = output;
    if (this.#route === route && this.#beginning.length > 0) {
      buffer.set(this.#beginning, start);
      const at = start + this.#tagAt;
      putUInt64(deliveryTag, buffer, at);
      buffer[at + 8] = redelivered ? 1 : 0;
      const properties = start + this.#beginning.length;
      putUInt32(contentHeaderSize(message), buffer, properties - HEADER_BEGINNING + 3);
      putUInt64(message.bodySize, buffer, properties - 8);
      writeRest(output, properties, this.#channel, frameMax, message, copied);
      return;
    }
    const properties = this.#writeBeginning(buffer, start, deliveryTag, redelivered, message);
    this.#beginning = this.#route === route ? Buffer.from(buffer.subarray(start, properties)) : NO_BYTES;
    this.#route = route;
    writeRest(output, properties, this.#channel, frameMax, message, copied);
  }

  #writeBeginning(buffer: Buffer, start: number, deliveryTag: number, redelivered: boolean, message: Message): number {
    const { bytes } = message.route;
    let at = putFrameHeader(
      buffer,
      start,
      FRAME_METHOD,
      this.#channel,
      this.#tagAt - FRAME_HEADER_SIZE + 9 + bytes.length,
    );
    at = putUInt32(BASIC_DELIVER, buffer, at);
    at = copyBytes(this.#consumerTag, 0, this.#consumerTag.length, buffer, at);
    at = putUInt64(deliveryTag, buffer, at);
    buffer[at++] = redelivered ? 1 : 0;
    at = copyBytes(bytes, 0, bytes.length, buffer, at);
    buffer[at++] = FRAME_END;
    return putContentHeader(buffer, at, this.#channel, message);
  }
}

/** Writes the content header and the body of a message, behind a method that carries content. */
export function writeContent(output: OutputBuffer, channel: number, frameMax: number, message: Message): void {
  const copied = isCopied(message, frameMax);
  const at = output.reserve(contentSize(message, copied));
  writeRest(output, putContentHeader(output.buffer, at, channel, message), channel, frameMax, message, copied);
}

function isCopied(message: Message, frameMax: number): boolean {
  return (
    message.pieces === null && message.bodySize < BY_REFERENCE_BYTES && message.bodySize <= frameMax - FRAME_OVERHEAD
  );
}

/** The payload of the content header frame. */
function contentHeaderSize({ propertiesStart, propertiesEnd }: Message): number {
  return CONTENT_HEADER_SIZE + propertiesEnd - propertiesStart;
}

/** Bytes to reserve for the content: the header frame, and the body frame unless the body goes by reference. */
function contentSize(message: Message, copied: boolean): number {
  const headerSize = FRAME_OVERHEAD + contentHeaderSize(message);
  return copied && message.bodySize > 0 ? headerSize + FRAME_OVERHEAD + message.bodySize : headerSize;
}

/** Writes the content header frame up to the properties and returns the offset behind. */
function putContentHeader(buffer: Buffer, offset: number, channel: number, message: Message): number {
  const at = putFrameHeader(buffer, offset, FRAME_HEADER, channel, contentHeaderSize(message));
  return putUInt64(message.bodySize, buffer, putUInt32(BASIC_CLASS << 16, buffer, at));
}

/** Writes the properties, the end of their frame, and the body. */
function writeRest(
  output: OutputBuffer,
  offset: number,
  channel: number,
  frameMax: number,
  message: Message,
  copied: boolean,
): void {
  const { buffer } = output;
  const { bodySize } = message;
  let at = copyBytes(message.propertiesBuffer, message.propertiesStart, message.propertiesEnd, buffer, offset);
  buffer[at++] = FRAME_END;
  if (bodySize === 0) return;
  if (!copied) {
    appendBody(output, channel, frameMax, message);
    return;
  }
  at = putFrameHeader(buffer, at, FRAME_BODY, channel, bodySize);
  at = copyBytes(message.bodyBuffer, message.bodyStart, message.bodyStart + bodySize, buffer, at);
  buffer[at] = FRAME_END;
}

/** Adds a body by reference, cut into frames of the size that the peer accepts. */
function appendBody(output: OutputBuffer, channel: number, frameMax: number, message: Message): void {
  const pieces = message.pieces ?? [
    message.bodyBuffer.subarray(message.bodyStart, message.bodyStart + message.bodySize),
  ];
  const largest = frameMax - FRAME_OVERHEAD;
  let left = message.bodySize;
  let room = 0;
  for (const piece of pieces) {
    for (let start = 0; start < piece.length; ) {
      if (room === 0) {
        room = Math.min(largest, left);
        const at = output.reserve(FRAME_HEADER_SIZE);
        putFrameHeader(output.buffer, at, FRAME_BODY, channel, room);
      }
      const taken = Math.min(room, piece.length - start);
      output.append(piece.subarray(start, start + taken));
      start += taken;
      room -= taken;
      left -= taken;
      if (room === 0) output.write(FRAME_END_BYTES);
    }
  }
}

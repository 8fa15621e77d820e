// Writes a message to a connection's output: a method frame, the content header, the body in frames. Property bytes, exchange
// and routing key are copied as they came; only the numbers around them are new.
import { BASIC_CLASS, CONTENT_HEADER_SIZE, FRAME_HEADER_SIZE, FRAME_OVERHEAD } from '../../../codec/frame-writer.ts';
import { FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_METHOD } from '../../../codec/generated/constants.ts';
import { BASIC_DELIVER } from '../../../codec/generated/methods.ts';
import { putUInt32 } from '../../../codec/integers.ts';
import type { Message } from '../../core/message.ts';
import type { OutputBuffer } from './output-buffer.ts';

/** Bodies from this size on go out by reference; below it a copy is cheaper than one more piece in a writev. */
const BY_REFERENCE_BYTES = 16 * 1024;
const FRAME_END_BYTES = Buffer.of(FRAME_END);
const TWO_TO_32 = 0x1_0000_0000;
/** Below this a loop is faster than a call of Buffer.copy, measured on Node 20. */
const LOOP_BYTES = 48;

/** Copies bytes and returns the offset behind them. */
function copyBytes(source: Buffer, start: number, end: number, target: Buffer, offset: number): number {
  if (end - start > LOOP_BYTES) return offset + source.copy(target, offset, start, end);
  for (let at = start; at < end; at++) target[offset++] = source[at];
  return offset;
}

function putUint64(buffer: Buffer, offset: number, value: number): number {
  putUInt32(Math.floor(value / TWO_TO_32), buffer, offset);
  return putUInt32(value >>> 0, buffer, offset + 4);
}

function putFrameHeader(buffer: Buffer, offset: number, type: number, channel: number, size: number): number {
  buffer[offset] = type;
  buffer[offset + 1] = channel >>> 8;
  buffer[offset + 2] = channel;
  return putUInt32(size, buffer, offset + 3);
}

/** Writes basic.deliver with its content. `consumerTag` is an encoded short string. */
export function writeDelivery(
  output: OutputBuffer,
  channel: number,
  frameMax: number,
  consumerTag: Buffer,
  deliveryTag: number,
  redelivered: boolean,
  message: Message,
): void {
  const route = message.route.bytes;
  const methodSize = 4 + consumerTag.length + 9 + route.length;
  const contentSize = copiedContentSize(message, frameMax);
  let at = output.reserve(FRAME_OVERHEAD + methodSize + contentSize);
  const { buffer } = output;
  at = putFrameHeader(buffer, at, FRAME_METHOD, channel, methodSize);
  at = putUInt32(BASIC_DELIVER, buffer, at);
  at = copyBytes(consumerTag, 0, consumerTag.length, buffer, at);
  at = putUint64(buffer, at, deliveryTag);
  buffer[at++] = redelivered ? 1 : 0;
  at = copyBytes(route, 0, route.length, buffer, at);
  buffer[at++] = FRAME_END;
  writeContentAt(output, at, channel, frameMax, message);
}

/** Writes the content header and the body of a message, behind a method that carries content. */
export function writeContent(output: OutputBuffer, channel: number, frameMax: number, message: Message): void {
  const at = output.reserve(copiedContentSize(message, frameMax));
  writeContentAt(output, at, channel, frameMax, message);
}

function isCopied(message: Message, frameMax: number): boolean {
  return (
    message.pieces === null && message.bodySize < BY_REFERENCE_BYTES && message.bodySize <= frameMax - FRAME_OVERHEAD
  );
}

/** Bytes that `writeContentAt` writes at its offset: the header, and the body unless it goes by reference. */
function copiedContentSize(message: Message, frameMax: number): number {
  const headerSize = FRAME_OVERHEAD + CONTENT_HEADER_SIZE + message.propertiesEnd - message.propertiesStart;
  if (message.bodySize === 0 || !isCopied(message, frameMax)) return headerSize;
  return headerSize + FRAME_OVERHEAD + message.bodySize;
}

function writeContentAt(
  output: OutputBuffer,
  offset: number,
  channel: number,
  frameMax: number,
  message: Message,
): void {
  const { buffer } = output;
  const { propertiesStart, propertiesEnd, bodySize } = message;
  const headerSize = CONTENT_HEADER_SIZE + propertiesEnd - propertiesStart;
  let at = putFrameHeader(buffer, offset, FRAME_HEADER, channel, headerSize);
  at = putUInt32(BASIC_CLASS << 16, buffer, at);
  at = putUint64(buffer, at, bodySize);
  at = copyBytes(message.propertiesBuffer, propertiesStart, propertiesEnd, buffer, at);
  buffer[at++] = FRAME_END;
  if (bodySize === 0) return;
  if (!isCopied(message, frameMax)) {
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

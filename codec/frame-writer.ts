// Frames to bytes: sized first, written once, refused when a value does not fit. Knows no sockets, and not when to flush.
import { CodecError } from './errors.ts';
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  INTERNAL_ERROR,
} from './generated/constants.ts';
import { encodedMethodSize, encodeMethod, type Method } from './generated/methods.ts';
import { writeUInt8, writeUInt16, writeUInt32, writeUInt64 } from './integers.ts';

/** Type, channel and size before a payload. */
export const FRAME_HEADER_SIZE = 7;
/** What a frame has around its payload. */
export const FRAME_OVERHEAD = 8;
/** Class id, weight and body size of a content header, before the properties. */
export const CONTENT_HEADER_SIZE = 12;

/** The class of all content. */
export const BASIC_CLASS = 60;

/** What a client says first (AMQP 0-9-1, 4.2.2). Shared: not to be written to; so is HEARTBEAT_FRAME. */
export const PROTOCOL_HEADER: Buffer = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');

export const HEARTBEAT_FRAME: Buffer = Buffer.from([FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]);

/** Writes the seven octets before a payload of `size` octets; returns the offset after them. */
export function writeFrameHeader(buffer: Buffer, offset: number, type: number, channel: number, size: number): number {
  return writeUInt32(size, buffer, writeUInt16(channel, buffer, writeUInt8(type, buffer, offset)));
}

/**
 * The frame of a method, in a buffer of its own. It is as long as it is: the caller knows frame-max.
 * @throws CodecError when a value does not fit its field.
 */
export function encodeMethodFrame(channel: number, method: Method): Buffer {
  const size = encodedMethodSize(method);
  const buffer = Buffer.allocUnsafe(size + FRAME_OVERHEAD);
  const end = encodeMethod(method, buffer, writeFrameHeader(buffer, 0, FRAME_METHOD, channel, size));
  buffer[end] = FRAME_END;
  return buffer;
}

/** Payload of a content header; `properties` begins with the property flags. */
export function encodeContentHeaderPayload(bodySize: number, properties: Uint8Array): Buffer {
  const buffer = Buffer.allocUnsafe(CONTENT_HEADER_SIZE + properties.length);
  writeContentHeader(buffer, 0, bodySize, properties);
  return buffer;
}

/**
 * Header frame and body frames of one content, in one buffer; for tests and clients, not for the hot path.
 * @param frameMax largest whole frame, as negotiated; 0 for no limit.
 * @throws CodecError when the properties do not fit one frame.
 */
export function encodeContentFrames(
  channel: number,
  properties: Uint8Array,
  body: Uint8Array,
  frameMax: number,
): Buffer {
  const payloadMax = frameMax === 0 ? 0xffff_ffff : frameMax - FRAME_OVERHEAD;
  const headerSize = CONTENT_HEADER_SIZE + properties.length;
  if (headerSize > payloadMax || payloadMax <= 0) {
    throw new CodecError(INTERNAL_ERROR, `content header of ${headerSize} octets exceeds frame-max ${frameMax}`);
  }
  const frames = 1 + Math.ceil(body.length / payloadMax);
  const buffer = Buffer.allocUnsafe(frames * FRAME_OVERHEAD + headerSize + body.length);
  let at = writeFrameHeader(buffer, 0, FRAME_HEADER, channel, headerSize);
  at = writeContentHeader(buffer, at, body.length, properties);
  buffer[at++] = FRAME_END;
  for (let from = 0; from < body.length; from += payloadMax) {
    const piece = body.subarray(from, from + payloadMax);
    at = writeFrameHeader(buffer, at, FRAME_BODY, channel, piece.length);
    buffer.set(piece, at);
    at += piece.length;
    buffer[at++] = FRAME_END;
  }
  return buffer;
}

/** Returns the offset after the properties. */
function writeContentHeader(buffer: Buffer, offset: number, bodySize: number, properties: Uint8Array): number {
  let at = writeUInt16(BASIC_CLASS, buffer, offset);
  at = writeUInt16(0, buffer, at);
  at = writeUInt64(bodySize, buffer, at);
  buffer.set(properties, at);
  return at + properties.length;
}

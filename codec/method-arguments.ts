// What the generated method decoders share: the arguments that can be refused, and the errors for it with RabbitMQ's codes
// and texts. Knows no single method; those are in generated/methods.ts.
import { formatBinary } from './erlang-term.ts';
import { CodecError } from './errors.ts';
import { decodeFieldTable, emptyFieldTable, type FieldTable } from './field-table.ts';
import { FRAME_ERROR, INTERNAL_ERROR, NOT_IMPLEMENTED, PRECONDITION_FAILED } from './generated/constants.ts';
import { readSafeUInt64, readUInt32 } from './integers.ts';
import { decodeUtf8 } from './strings.ts';

const CONNECTION_CLASS = 10;
// A reply text has at most 255 bytes and a byte takes at least two characters of it.
const QUOTED_BYTES_MAX = 128;

/**
 * Arguments that are cut short, or followed by bytes that belong to none. RabbitMQ replies 501 and quotes them, except on
 * channel 0, where decoding runs inside a handler that answers 541 without a text.
 */
export function undecodable(methodId: number, buffer: Buffer, start: number, end: number): CodecError {
  const text = `cannot decode ${formatBinary(buffer.subarray(start, Math.min(end, start + QUOTED_BYTES_MAX)))}`;
  if (methodId >>> 16 === CONNECTION_CLASS) return new CodecError(INTERNAL_ERROR, '', 0, text);
  return new CodecError(FRAME_ERROR, text, methodId);
}

/** RabbitMQ drops the TCP connection without a reply; 540 is what the specification has for it (1.2, reply codes). */
export function unknownMethod(id: number): CodecError {
  return new CodecError(NOT_IMPLEMENTED, `unknown method {${id >>> 16},${id & 0xffff}}`, id);
}

/** RabbitMQ names the method in this error on channel 0 only. */
export function utf8Argument(buffer: Buffer, start: number, end: number, methodId: number): string {
  const text = decodeUtf8(buffer, start, end);
  if (text !== undefined) return text;
  const reported = methodId >>> 16 === CONNECTION_CLASS ? methodId : 0;
  throw new CodecError(FRAME_ERROR, 'Malformed UTF-8 in shortstr', reported);
}

/**
 * A table whose length is known to fit. For a malformed one RabbitMQ drops the TCP connection without a reply on a channel,
 * and replies 541 on channel 0; here it is 502 with the key at fault.
 */
export function tableArgument(buffer: Buffer, start: number, end: number, methodId: number): FieldTable {
  if (end - start === 4) return emptyFieldTable;
  try {
    return decodeFieldTable(buffer, start, end);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    if (methodId >>> 16 === CONNECTION_CLASS) throw new CodecError(INTERNAL_ERROR, '', 0, error.message);
    throw new CodecError(error.replyCode, error.message, methodId);
  }
}

/** Tags are safe integers. No larger one was ever handed out, so it gets RabbitMQ's reply to an unknown tag. */
export function deliveryTagArgument(buffer: Buffer, at: number, methodId: number): number {
  const tag = readSafeUInt64(buffer, at);
  if (tag >= 0) return tag;
  const text = (BigInt(readUInt32(buffer, at)) << 32n) | BigInt(readUInt32(buffer, at + 4));
  throw new CodecError(PRECONDITION_FAILED, `unknown delivery tag ${text}`, methodId);
}

// The errors of framing, with RabbitMQ's codes and texts down to its quoting of the payload's first octets.
import { appendBinary, appendTuple } from './erlang-term.ts';
import { CodecError } from './errors.ts';
import { FRAME_ERROR, UNEXPECTED_FRAME } from './generated/constants.ts';

/** RabbitMQ quotes no more octets of a payload than these. */
export const SNIPPET_MAX = 16;

/** The payload is bigger than was negotiated; RabbitMQ names the limit without the eight octets around a payload. */
export function frameTooLarge(type: number, size: number, frameMax: number): CodecError {
  return new CodecError(FRAME_ERROR, appendTuple(`${describe(type)}: `, ['frame_too_large', size, frameMax - 8]));
}

/** The octet after the payload is not 206. `snippet`: the payload's first octets, `size` the whole payload's size. */
export function badFrameEnd(type: number, size: number, snippet: Uint8Array, octet: number): CodecError {
  const text = `${describe(type, size, snippet)}: `;
  return new CodecError(FRAME_ERROR, appendTuple(text, ['invalid_frame_end_marker', octet]));
}

/** No such type, a method or header too short for its ids, or a heartbeat with a payload. */
export function unknownFrame(type: number, size: number, snippet: Uint8Array): CodecError {
  return new CodecError(FRAME_ERROR, `${describe(type, size, snippet)}: unknown_frame`);
}

/** A sound frame on a channel that it does not belong on; the connection has it too, for what it does not expect. */
export function unexpectedFrame(type: number, size: number, snippet: Uint8Array): CodecError {
  return new CodecError(UNEXPECTED_FRAME, describe(type, size, snippet));
}

function describe(type: number, size = 0, snippet: Uint8Array = new Uint8Array()): string {
  const quoted = snippet.subarray(0, SNIPPET_MAX);
  return appendBinary(`type ${type}, ${size > SNIPPET_MAX ? `first ${SNIPPET_MAX}` : 'all'} octets = `, quoted);
}

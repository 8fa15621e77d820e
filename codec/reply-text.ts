// The reply text of connection.close and channel.close as RabbitMQ forms it from a code and an explanation.
import { replyName } from './generated/constants.ts';
import { decodeString, encodedStringSize, encodeString, SHORT_STRING_MAX } from './strings.ts';

const ELLIPSIS = '...';

/** `NAME - message`, the bare name when there is no message; over 255 bytes, the first 252 and three dots. */
export function replyText(code: number, message: string): string {
  const text = message === '' ? replyName(code) : `${replyName(code)} - ${message}`;
  const size = encodedStringSize(text);
  if (size <= SHORT_STRING_MAX) return text;
  const bytes = Buffer.allocUnsafe(size);
  encodeString(text, size, bytes, 0);
  return decodeString(bytes, 0, SHORT_STRING_MAX - ELLIPSIS.length) + ELLIPSIS;
}

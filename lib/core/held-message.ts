// What becomes of a message that is held back: what is noted in it meanwhile, and how it goes on.
import type { FieldValue } from '../../codec/field-table.ts';
import { DELAY_HEADER } from '../../exchanges/delayed-message.ts';
import { carbonCopyKeys } from './dead-letter.ts';
import type { Message } from './message.ts';

/** Keys that nobody is to see; the header never leaves the broker, as `BCC` itself does not. */
const BLIND_KEYS = 'BCC';

/** A message that goes on. */
export interface ReleasedMessage {
  readonly message: Message;
  readonly extraKeys: readonly string[];
}

/** The message with its further routing keys: those that its CC header does not have. */
export function withKeys(message: Message, keys: readonly string[]): Message {
  const headers = new Map(message.headers);
  const seen = new Set(carbonCopyKeys(headers));
  const blind = keys.filter((key) => !seen.has(key));
  if (blind.length === 0) return message;
  headers.set(BLIND_KEYS, { type: 'A', value: blind.map((value) => ({ type: 'S', value })) });
  const held = message.withHeaders(headers);
  held.expiresAtMs = message.expiresAtMs;
  return held;
}

/** The message as it goes on: its delay is negated, so it is not held back again, and its expiration begins now. */
export function release(message: Message, nowMs: number): ReleasedMessage {
  const headers = new Map(message.headers);
  const blind = headers.get(BLIND_KEYS);
  const blindKeys = blind?.type === 'A' ? blind.value.flatMap((key) => (key.type === 'S' ? [key.value] : [])) : [];
  const extraKeys = [...carbonCopyKeys(headers), ...blindKeys];
  headers.delete(BLIND_KEYS);
  const delay = headers.get(DELAY_HEADER);
  if (delay !== undefined) headers.set(DELAY_HEADER, negated(delay));
  const released = message.withHeaders(headers);
  released.beginExpiration(nowMs);
  return { message: released, extraKeys };
}

/** As the plug-in does it; a type without negative numbers gives way to one that has them. */
function negated(delay: FieldValue): FieldValue {
  switch (delay.type) {
    case 'b':
    case 's':
    case 'I':
    case 'f':
    case 'd':
      return { type: delay.type, value: -delay.value };
    case 'l':
    case 'L':
      return { type: delay.type, value: -delay.value };
    case 'B':
    case 'u':
    case 'i':
      return { type: 'l', value: -delay.value };
    case 'S':
      return { type: 'l', value: Math.max(-Number(delay.value), Number.MIN_SAFE_INTEGER) };
    default:
      return delay;
  }
}

// A published message as the queues hold it: one object that keeps the received buffer and offsets into it. Property bytes
// and body are carried as they came and decoded only when something asks.

import { decodeFieldTable, type FieldTable } from '../../codec/field-table.ts';
import { readUInt32 } from '../../codec/integers.ts';
import {
  locateHeaders,
  peekCorrelationId,
  peekDeliveryMode,
  peekExpiration,
  peekMessageId,
  peekTimestamp,
  withHeaders,
} from '../../codec/properties.ts';
import type { Routable, RoutableProperty } from '../../exchanges/exchange-type.ts';
import type { RetentionSlab } from './retention-slab.ts';
import type { Route } from './route.ts';

/** The delivery mode of a message that asks to survive a restart. */
const PERSISTENT = 2;

export class Message implements Routable {
  /** Exchange and routing key that it was published with. */
  readonly route: Route;
  /** Holds the encoded properties, from their flags on, at `propertiesStart` to `propertiesEnd`. */
  propertiesBuffer: Buffer;
  propertiesStart: number;
  propertiesEnd: number;
  /** Holds the body at `bodyStart`, unless `pieces` does. */
  bodyBuffer: Buffer;
  bodyStart: number;
  readonly bodySize: number;
  /** A large body in the pieces that it arrived in; null when it stands in `bodyBuffer`. */
  readonly pieces: Buffer[] | null;
  /** How many queues and unacknowledged deliveries hold it; owned by the queues. */
  references = 0;
  /** Asked to survive a restart (delivery mode 2): durable queues keep it on disk. */
  persistent = false;
  /** When it expires, in milliseconds since 1970; 0 when it does not. */
  expiresAtMs = 0;
  /** What the message store notes about it; the store's alone. */
  stored: object | null = null;
  #isolated = false;

  constructor(
    route: Route,
    propertiesBuffer: Buffer,
    propertiesStart: number,
    propertiesEnd: number,
    bodyBuffer: Buffer,
    bodyStart: number,
    bodySize: number,
    pieces: Buffer[] | null,
  ) {
    this.route = route;
    this.propertiesBuffer = propertiesBuffer;
    this.propertiesStart = propertiesStart;
    this.propertiesEnd = propertiesEnd;
    this.bodyBuffer = bodyBuffer;
    this.bodyStart = bodyStart;
    this.bodySize = bodySize;
    this.pieces = pieces;
  }

  get exchange(): string {
    return this.route.exchange;
  }

  get routingKey(): string {
    return this.route.routingKey;
  }

  /** Bytes of properties and body. */
  get size(): number {
    return this.propertiesEnd - this.propertiesStart + this.bodySize;
  }

  /** The decoded `headers` property, or null. Decoded anew at each call. */
  get headers(): FieldTable | null {
    const at = locateHeaders(this.propertiesBuffer, this.propertiesStart, this.propertiesEnd);
    if (at < 0) return null;
    return decodeFieldTable(this.propertiesBuffer, at, at + 4 + readUInt32(this.propertiesBuffer, at));
  }

  property(name: RoutableProperty): string | null {
    const { propertiesBuffer: buffer, propertiesStart: start, propertiesEnd: end } = this;
    if (name === 'correlation_id') return peekCorrelationId(buffer, start, end) ?? null;
    if (name === 'message_id') return peekMessageId(buffer, start, end) ?? null;
    return peekTimestamp(buffer, start, end)?.toString() ?? null;
  }

  /** The same message once more, for who keeps it in another way. They share their bytes. */
  copy(): Message {
    const { route, propertiesBuffer, propertiesStart, propertiesEnd } = this;
    const message = this.#withProperties(route, propertiesBuffer, propertiesStart, propertiesEnd);
    message.persistent = this.persistent;
    message.expiresAtMs = this.expiresAtMs;
    return message;
  }

  /** Its expiration, if it has one, counts from `nowMs` on. */
  beginExpiration(nowMs: number): void {
    const expiration = peekExpiration(this.propertiesBuffer, this.propertiesStart, this.propertiesEnd);
    this.expiresAtMs = expiration === undefined ? 0 : nowMs + Number(expiration);
  }

  /** The message for one more place in a queue, after those that it has or had: the disk notes places on the message itself. */
  forAnotherPlace(): Message {
    return this.stored === null ? this : this.copy();
  }

  /** A message with the same body that goes on along another route, with these encoded properties. It does not expire. */
  republished(route: Route, properties: Buffer): Message {
    const message = this.#withProperties(route, properties, 0, properties.length);
    message.persistent = peekDeliveryMode(properties, 0, properties.length) === PERSISTENT;
    return message;
  }

  /** As `republished`, along the same route, with these headers in place of its own. */
  withHeaders(headers: FieldTable): Message {
    const { propertiesBuffer, propertiesStart, propertiesEnd } = this;
    return this.republished(this.route, withHeaders(propertiesBuffer, propertiesStart, propertiesEnd, headers));
  }

  /** Bytes that `isolate` would copy: none when the message was isolated, or when it is most of what it pins. */
  get bytesToIsolate(): number {
    if (this.#isolated) return 0;
    const bytes = this.propertiesEnd - this.propertiesStart + (this.pieces === null ? this.bodySize : 0);
    const { propertiesBuffer, bodyBuffer } = this;
    const isOne = propertiesBuffer === bodyBuffer;
    if (bodyBuffer.length + (isOne ? 0 : propertiesBuffer.length) >= 2 * bytes) return bytes;
    // A small chunk may be part of a pool. To ask for that costs 0.1 µs, so it is asked last.
    const pinned = bodyBuffer.buffer.byteLength + (isOne ? 0 : propertiesBuffer.buffer.byteLength);
    return pinned < 2 * bytes ? 0 : bytes;
  }

  /**
   * Copies the bytes out of the received chunk when that chunk is much larger than the message: a message that stays
   * behind must not pin it.
   */
  isolate(slab: RetentionSlab): void {
    if (this.#isolated) return;
    const bytes = this.bytesToIsolate;
    this.#isolated = true;
    if (this.pieces !== null) isolatePieces(this.pieces);
    if (bytes === 0) return;
    const at = slab.reserve(bytes);
    const propertiesEnd = at + this.propertiesEnd - this.propertiesStart;
    this.propertiesBuffer.copy(slab.buffer, at, this.propertiesStart, this.propertiesEnd);
    if (this.pieces === null) {
      this.bodyBuffer.copy(slab.buffer, propertiesEnd, this.bodyStart, this.bodyStart + this.bodySize);
    }
    this.propertiesBuffer = this.bodyBuffer = slab.buffer;
    this.propertiesStart = at;
    this.propertiesEnd = this.bodyStart = propertiesEnd;
  }

  #withProperties(route: Route, buffer: Buffer, start: number, end: number): Message {
    const { bodyBuffer, bodyStart, bodySize, pieces } = this;
    const message = new Message(route, buffer, start, end, bodyBuffer, bodyStart, bodySize, pieces);
    message.#isolated = this.#isolated;
    return message;
  }
}

/** Of a body in pieces it is the first and the last that may stand in a chunk with much else. */
function isolatePieces(pieces: Buffer[]): void {
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i].buffer.byteLength > 2 * pieces[i].length) pieces[i] = Buffer.from(pieces[i]);
  }
}

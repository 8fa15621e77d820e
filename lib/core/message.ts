// A published message as the queues hold it: one object that keeps the received buffer and offsets into it. Property bytes
// and body are carried as they came and decoded only when something asks.

import { decodeFieldTable } from '../../codec/field-table.ts';
import { locateHeaders } from '../../codec/properties.ts';
import type { Arguments, Routable } from '../../exchanges/exchange-type.ts';
import type { RetentionSlab } from './retention-slab.ts';
import type { Route } from './route.ts';

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
  readonly pieces: readonly Buffer[] | null;
  /** How many queues and unacknowledged deliveries hold it; owned by the queues. */
  references = 0;
  #isolated = false;

  constructor(
    route: Route,
    propertiesBuffer: Buffer,
    propertiesStart: number,
    propertiesEnd: number,
    bodyBuffer: Buffer,
    bodyStart: number,
    bodySize: number,
    pieces: readonly Buffer[] | null,
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
  get headers(): Arguments | null {
    const at = locateHeaders(this.propertiesBuffer, this.propertiesStart, this.propertiesEnd);
    return at < 0 ? null : decodeFieldTable(this.propertiesBuffer, at, this.propertiesEnd);
  }

  /**
   * Copies the bytes out of the received chunk when that chunk is much larger than the message: a message that stays
   * behind must not pin it.
   */
  isolate(slab: RetentionSlab): void {
    if (this.#isolated) return;
    this.#isolated = true;
    const propertiesSize = this.propertiesEnd - this.propertiesStart;
    const bodySize = this.pieces === null ? this.bodySize : 0;
    const pinned =
      this.propertiesBuffer === this.bodyBuffer
        ? this.bodyBuffer.length
        : this.propertiesBuffer.length + this.bodyBuffer.length;
    if (pinned < 2 * (propertiesSize + bodySize)) return;
    const at = slab.reserve(propertiesSize + bodySize);
    this.propertiesBuffer.copy(slab.buffer, at, this.propertiesStart, this.propertiesEnd);
    this.propertiesBuffer = slab.buffer;
    this.propertiesStart = at;
    this.propertiesEnd = at + propertiesSize;
    if (this.pieces === null) {
      this.bodyBuffer.copy(slab.buffer, this.propertiesEnd, this.bodyStart, this.bodyStart + bodySize);
    }
    this.bodyBuffer = slab.buffer;
    this.bodyStart = this.propertiesEnd;
  }
}

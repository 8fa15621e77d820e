// Messages for tests of the store: each has a number in its properties, and whatever else it consists of follows from that number,
// so that what comes back can be compared byte for byte.
import { type BasicProperties, decodeProperties, encodeProperties } from '../../codec/properties.ts';
import { encodeShortString, shortStringSize } from '../../codec/strings.ts';
import { Message } from '../../lib/core/message.ts';
import type { VirtualHost } from '../../lib/core/virtual-host.ts';

/** What a publisher publishes. */
export interface Content {
  readonly id: number;
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: Buffer;
  readonly body: Buffer;
  readonly persistent: boolean;
  readonly expiresAtMs: number;
  readonly priority: number;
}

export interface ContentOptions {
  readonly exchange: string;
  readonly routingKey: string;
  readonly bodyBytes: number;
  readonly persistent: boolean;
  readonly expiresAtMs: number;
  /** None by default. */
  readonly priority?: number;
}

export function contentOf(id: number, options: ContentOptions): Content {
  const { exchange, routingKey, bodyBytes, persistent, expiresAtMs, priority = 0 } = options;
  const properties: BasicProperties = {
    messageId: String(id),
    deliveryMode: persistent ? 2 : 1,
    headers: id % 3 === 0 ? new Map([['n', { type: 'I', value: id }]]) : undefined,
    priority: priority > 0 ? priority : undefined,
    contentType: id % 5 === 0 ? 'text/plain' : undefined,
  };
  const body = Buffer.alloc(bodyBytes, `<${id}>`);
  return {
    id,
    exchange,
    routingKey,
    properties: encodeProperties(properties),
    body,
    persistent,
    expiresAtMs,
    priority,
  };
}

/** The message as it arrives: in the middle of a chunk, or its body in pieces. */
export function arrive(content: Content, virtualHost: VirtualHost): Message {
  const { id, exchange, routingKey, properties, body } = content;
  const exchangeSize = shortStringSize(exchange);
  const names = Buffer.alloc(exchangeSize + shortStringSize(routingKey));
  encodeShortString(exchange, names, 0);
  encodeShortString(routingKey, names, exchangeSize);
  const route = virtualHost.findRoute(names, 0, names.length);
  const before = id % 4 === 0 ? 700 : 3;
  const isInPieces = body.length > 1000 && id % 2 === 0;
  const chunk = Buffer.concat([Buffer.alloc(before, 0xaa), properties, isInPieces ? Buffer.of() : body]);
  const bodyStart = before + properties.length;
  const middle = body.length >> 1;
  const pieces = isInPieces ? [Buffer.from(body.subarray(0, middle)), Buffer.from(body.subarray(middle))] : null;
  const message = isInPieces
    ? new Message(route, chunk, before, bodyStart, Buffer.of(), 0, body.length, pieces)
    : new Message(route, chunk, before, bodyStart, chunk, bodyStart, body.length, null);
  message.persistent = content.persistent;
  message.expiresAtMs = content.expiresAtMs;
  return message;
}

/** The number of a message; -1 when its properties hold none. */
export function idOf({ propertiesBuffer, propertiesStart, propertiesEnd }: Message): number {
  return Number(decodeProperties(propertiesBuffer, propertiesStart, propertiesEnd).messageId ?? -1);
}

/** What is not as it was published; null when everything is. */
export function differenceTo(content: Content, message: Message): string | null {
  const { propertiesBuffer, propertiesStart, propertiesEnd, bodyBuffer, bodyStart, bodySize, pieces } = message;
  const body = pieces === null ? bodyBuffer.subarray(bodyStart, bodyStart + bodySize) : Buffer.concat(pieces);
  if (!body.equals(content.body)) return 'the body';
  if (!propertiesBuffer.subarray(propertiesStart, propertiesEnd).equals(content.properties)) return 'the properties';
  if (message.exchange !== content.exchange) return `the exchange: ${message.exchange}`;
  if (message.routingKey !== content.routingKey) return `the routing key: ${message.routingKey}`;
  if (message.persistent !== content.persistent) return `persistent: ${message.persistent}`;
  if (message.expiresAtMs !== content.expiresAtMs) return `the deadline: ${message.expiresAtMs}`;
  return null;
}

// The publishing side of a channel: from basic.publish and its content to the queues, with returns and confirms.
import { decodeFieldTable, decodeFieldValue } from '../../../codec/field-table.ts';
import { NO_ROUTE } from '../../../codec/generated/constants.ts';
import { BASIC_ACK, BASIC_NACK, BASIC_RETURN, decodeMethod } from '../../../codec/generated/methods.ts';
import { readUInt16, readUInt32 } from '../../../codec/integers.ts';
import {
  locateHeaders,
  peekDeliveryMode,
  peekExpiration,
  peekReplyTo,
  peekUserId,
  validateProperties,
  withHeaders,
  withReplyTo,
} from '../../../codec/properties.ts';
import { findKey } from '../../../codec/table-scan.ts';
import { BrokerError, describeResource } from '../../core/errors.ts';
import { fieldTypeName } from '../../core/field-values.ts';
import { Message } from '../../core/message.ts';
import { REPLY_TO } from '../../core/names.ts';
import { type ConfirmSink, PublisherConfirms } from '../../core/publisher-confirms.ts';
import type { Confirmation, MessageTarget } from '../../core/queue.ts';
import type { Route } from '../../core/route.ts';
import { requireAccess } from './access.ts';
import { AmqpError } from './amqp-error.ts';
import type { Channel } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import { ContentAssembler } from './content-assembler.ts';
import { writeContent } from './delivery-writer.ts';
import { parseExpiration } from './expiration.ts';

const MANDATORY = 1;
const IMMEDIATE = 2;
const PERSISTENT = 2;
const NEVER = -1;
const NO_KEYS: readonly string[] = [];

/** The flags of the properties that a broker must look at: headers, delivery-mode, reply-to, expiration, user-id. */
const INSPECTED_FLAGS = 0x2000 | 0x1000 | 0x0200 | 0x0100 | 0x0010;

/** A publish that a transaction holds back. */
export interface HeldPublish {
  readonly message: Message;
  /** Where it goes, as decided when it was published; by name, since queues may come and go until the commit. */
  readonly queueNames: readonly string[];
  readonly mandatory: boolean;
  /** Milliseconds until it expires, if it does: no queue has it before the commit, so they count from then on. */
  readonly expirationMs: number;
}

export class Publisher implements ConfirmSink {
  readonly content: ContentAssembler;
  readonly #channel: Channel;
  readonly #host: ChannelHost;
  #route: Route | null = null;
  #bits = 0;
  /** The exchange that the user was found to be allowed to write to last. */
  #allowedExchange: string | null = null;
  #confirms: PublisherConfirms | null = null;
  #confirmsScheduled = false;
  #ended = false;
  /** Of the content that is being published. */
  #persistent = false;
  #expirationMs = NEVER;

  constructor(channel: Channel, host: ChannelHost) {
    this.#channel = channel;
    this.#host = host;
    this.content = new ContentAssembler(host.partialBodies, host.session.maxMessageSizeBytes);
  }

  get confirming(): boolean {
    return this.#confirms !== null;
  }

  /** Starts publisher confirms: the next publish is number 1. */
  selectConfirms(): void {
    this.#confirms ??= new PublisherConfirms();
  }

  /** Takes the arguments of basic.publish without decoding strings: ticket, exchange, routing key, bits. */
  begin(buffer: Buffer, start: number, end: number): void {
    const names = start + 6;
    const routingKey = names + 1 + buffer[names];
    const bits = routingKey + 1 + buffer[routingKey];
    if (bits !== end - 1) {
      // Throws what is wrong with it, in RabbitMQ's words.
      decodeMethod(buffer, start, end);
      throw new Error('basic.publish decodes, but not to its end');
    }
    let route = this.#route;
    if (route === null || !route.isCached || !route.matches(buffer, names, bits)) {
      route = this.#host.session.virtualHost.findRoute(buffer, names, bits);
      this.#route = route;
    }
    this.#bits = buffer[bits];
    this.content.begin();
  }

  /** The content is complete: publishes it. */
  publish(): void {
    const { content } = this;
    const route = this.#route;
    if (route === null) throw new Error('content without basic.publish');
    if ((this.#bits & IMMEDIATE) !== 0) throw new AmqpError('NOT_IMPLEMENTED', 'immediate=true');
    if (content.dropped) this.#refuseSize(content.bodySize);
    this.#checkExchange(route);
    const keys = this.#checkProperties();
    const message = new Message(
      route,
      content.propertiesBuffer,
      content.propertiesStart,
      content.propertiesEnd,
      content.bodyBuffer,
      content.bodyStart,
      content.bodySize,
      content.pieces,
    );
    if (this.#persistent) message.persistent = true;
    const expirationMs = this.#expirationMs;
    if (expirationMs !== NEVER) this.#setExpiration(message, expirationMs);
    const mandatory = (this.#bits & MANDATORY) !== 0;
    const { virtualHost } = this.#host.session;
    const queues = virtualHost.route(message, keys);
    if (route.exchange === '') virtualHost.deliverReplies(message, keys);
    const { transaction } = this.#channel;
    if (transaction !== null) {
      transaction.hold({ message, queueNames: queueNames(route, keys, queues), mandatory, expirationMs });
      return;
    }
    const confirms = this.#confirms;
    if (queues.length === 0) {
      if (mandatory) this.#return(message);
      if (confirms !== null) this.#settle(confirms, confirms.open(), true);
      return;
    }
    const confirmation = confirms === null ? null : this.#confirmation(confirms, confirms.open(), queues.length);
    this.#publish(queues, message, confirmation);
  }

  /** Publishes what a transaction held back. False when a queue refused it. */
  release(held: HeldPublish): boolean {
    const { virtualHost } = this.#host.session;
    const queues = held.queueNames.map((name) => virtualHost.targetNamed(name)).filter((queue) => queue !== undefined);
    if (queues.length === 0 && held.mandatory) this.#return(held.message);
    if (held.expirationMs !== NEVER) this.#setExpiration(held.message, held.expirationMs);
    let accepted = true;
    // A refusal is told at once, and the transaction waits for what is durable by itself.
    const confirmation: Confirmation = {
      settled: (isAccepted) => {
        accepted &&= isAccepted;
      },
    };
    this.#publish(queues, held.message, confirmation);
    return accepted;
  }

  /** Sends the confirms that are due. */
  flushConfirms(): void {
    this.#confirmsScheduled = false;
    this.#confirms?.flush(this);
  }

  /** The channel ends: forgets an incomplete content, and confirms that are settled from now on. */
  end(): void {
    this.#ended = true;
    this.content.reset();
  }

  confirm(tag: number, multiple: boolean): void {
    this.#host.send(this.#channel.number, { id: BASIC_ACK, deliveryTag: tag, multiple });
  }

  refuse(tag: number): void {
    this.#host.send(this.#channel.number, { id: BASIC_NACK, deliveryTag: tag, multiple: false, requeue: true });
  }

  #publish(queues: readonly MessageTarget[], message: Message, confirmation: Confirmation | null): void {
    const { virtualHost, flow } = this.#host.session;
    virtualHost.publish(queues, message, confirmation);
    if (flow.congested && flow.concerns(message, queues)) this.#host.awaitFlow();
  }

  #confirmation(confirms: PublisherConfirms, tag: number, queues: number): Confirmation {
    let left = queues;
    let allAccepted = true;
    return {
      settled: (accepted) => {
        if (!accepted) allAccepted = false;
        if (--left === 0) this.#settle(confirms, tag, allAccepted);
      },
    };
  }

  #settle(confirms: PublisherConfirms, tag: number, accepted: boolean): void {
    // A queue may take its time, and the channel's number may be another's by then.
    if (this.#ended) return;
    confirms.settle(tag, accepted);
    if (this.#confirmsScheduled) return;
    this.#confirmsScheduled = true;
    this.#host.atEndOfTurn(this.#channel);
  }

  #setExpiration(message: Message, expirationMs: number): void {
    message.expiresAtMs = this.#host.session.clock.epochMs() + expirationMs;
  }

  #return(message: Message): void {
    const { number } = this.#channel;
    const { output, session } = this.#host;
    this.#host.send(number, {
      id: BASIC_RETURN,
      replyCode: NO_ROUTE,
      replyText: 'NO_ROUTE',
      exchange: message.exchange,
      routingKey: message.routingKey,
    });
    writeContent(output, number, session.frameMax, message);
  }

  #refuseSize(size: number): never {
    const max = this.#host.session.maxMessageSizeBytes;
    throw new AmqpError('PRECONDITION_FAILED', `message size ${size} is larger than configured max size ${max}`);
  }

  #checkExchange(route: Route): void {
    const { session } = this.#host;
    const { virtualHost } = session;
    if (this.#allowedExchange !== route.exchange) {
      requireAccess(session, 'exchange', route.exchange, 'write');
      this.#allowedExchange = route.exchange;
    }
    const exchange = virtualHost.exchangeOf(route);
    if (exchange.settings.internal) {
      const resource = describeResource('exchange', route.exchange, virtualHost.name);
      throw new BrokerError('ACCESS_REFUSED', `cannot publish to internal ${resource}`);
    }
  }

  /** Checks what the broker must look at, rewrites what it must change, and returns the further routing keys. */
  #checkProperties(): readonly string[] {
    const { propertiesBuffer: buffer, propertiesStart: start, propertiesEnd: end } = this.content;
    validateProperties(buffer, start, end);
    this.#persistent = false;
    this.#expirationMs = NEVER;
    const flags = end - start < 2 ? 0 : readUInt16(buffer, start);
    if ((flags & INSPECTED_FLAGS) === 0) return NO_KEYS;
    const userId = peekUserId(buffer, start, end);
    const { user } = this.#host.session;
    if (userId !== undefined && userId !== user.name) {
      const text = `user_id property set to '${userId}' but authenticated user was '${user.name}'`;
      throw new AmqpError('PRECONDITION_FAILED', text);
    }
    const expiration = peekExpiration(buffer, start, end);
    if (expiration !== undefined) this.#expirationMs = parseExpiration(expiration);
    const deliveryMode = peekDeliveryMode(buffer, start, end);
    if ((flags & 0x1000) !== 0 && deliveryMode !== 1 && deliveryMode !== 2) {
      throw new AmqpError('PRECONDITION_FAILED', `invalid message: {delivery_mode_unknown,${deliveryMode}}`);
    }
    this.#persistent = deliveryMode === PERSISTENT;
    if (peekReplyTo(buffer, start, end) === REPLY_TO) this.#rewriteReplyTo();
    return this.#senderSelectedKeys();
  }

  /** The CC and BCC headers; BCC is removed. See https://www.rabbitmq.com/docs/sender-selected */
  #senderSelectedKeys(): readonly string[] {
    const { content } = this;
    const { propertiesBuffer: buffer, propertiesStart: start, propertiesEnd: end } = content;
    const headers = locateHeaders(buffer, start, end);
    if (headers < 0) return NO_KEYS;
    const cc = keysUnder(buffer, headers, end, 'CC');
    const bcc = keysUnder(buffer, headers, end, 'BCC');
    if (bcc === undefined) return cc ?? NO_KEYS;
    const kept = new Map(decodeFieldTable(buffer, headers, headers + 4 + readUInt32(buffer, headers)));
    kept.delete('BCC');
    this.#replaceProperties(withHeaders(buffer, start, end, kept));
    return [...(cc ?? NO_KEYS), ...bcc];
  }

  #rewriteReplyTo(): void {
    const { propertiesBuffer: buffer, propertiesStart: start, propertiesEnd: end } = this.content;
    const address = this.#channel.deliveries.replyAddress;
    if (address === undefined) throw new AmqpError('PRECONDITION_FAILED', 'fast reply consumer does not exist');
    this.#replaceProperties(withReplyTo(buffer, start, end, address));
  }

  #replaceProperties(bytes: Buffer): void {
    this.content.propertiesBuffer = bytes;
    this.content.propertiesStart = 0;
    this.content.propertiesEnd = bytes.length;
  }
}

/** The routing keys in a header, undefined when it is not there. Elements that are no strings are ignored, as in RabbitMQ. */
function keysUnder(buffer: Buffer, table: number, end: number, name: 'CC' | 'BCC'): string[] | undefined {
  const at = findKey(buffer, table, name);
  if (at < 0) return undefined;
  const header = decodeFieldValue(buffer, at, end);
  if (header.type !== 'A') {
    const text = `invalid message: {unacceptable_type_in_header,"${name}",${fieldTypeName(header.type)}}`;
    throw new AmqpError('PRECONDITION_FAILED', text);
  }
  return header.value.filter((key) => key.type === 'S').map((key) => key.value);
}

/** The default exchange decides by name alone: a queue of that name may be made before the commit. */
function queueNames(route: Route, keys: readonly string[], queues: readonly MessageTarget[]): readonly string[] {
  if (route.exchange === '') return [...new Set([route.routingKey, ...keys])];
  return queues.map((queue) => queue.name);
}

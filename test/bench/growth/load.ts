// What the figures load a broker with: prepared bytes, written in pieces, and deliveries that are counted.
import { emptyFieldTable } from '../../../codec/field-table.ts';
import { encodeMethodFrame } from '../../../codec/frame-writer.ts';
import * as methods from '../../../codec/generated/methods.ts';
import type { BrokerProcess } from '../broker-process.ts';
import { BenchClient } from '../client.ts';

const PIECE_BYTES = 65_536;
const FRAMES_AT_ONCE = 500;

/** Publishes, one after the other, in pieces of about 64 KiB that are written again and again. */
export interface PublishCycle {
  readonly pieces: readonly Buffer[];
  readonly messages: number;
}

export function publishCycle(publishes: readonly Buffer[]): PublishCycle {
  const pieces: Buffer[] = [];
  let piece: Buffer[] = [];
  let bytes = 0;
  let messages = 0;
  // One publish alone would make many small writes.
  while (messages === 0 || (pieces.length === 0 && bytes < PIECE_BYTES)) {
    for (const publish of publishes) {
      if (bytes + publish.length > PIECE_BYTES && piece.length > 0) {
        pieces.push(Buffer.concat(piece));
        piece = [];
        bytes = 0;
      }
      piece.push(publish);
      bytes += publish.length;
      messages++;
    }
  }
  pieces.push(Buffer.concat(piece));
  return { pieces, messages };
}

/** Connects a client that takes the broker's end for what it is. */
export async function connectTo(broker: BrokerProcess, virtualHost = '/'): Promise<BenchClient> {
  const client = await BenchClient.connect(`${broker.url}${encodeURIComponent(virtualHost)}`);
  client.onFailure = (error) => {
    if (!broker.stopping) throw error;
  };
  return client;
}

/** Writes the cycle until at least so many messages are written; returns how many it were. */
export async function publishAtLeast(client: BenchClient, cycle: PublishCycle, messages: number): Promise<number> {
  let written = 0;
  while (written < messages) {
    for (const piece of cycle.pieces) await client.write(piece);
    written += cycle.messages;
  }
  return written;
}

/** Counts deliveries of a client, acknowledges every so many of them (0: auto-ack), and waits for a number of them. */
export class DeliveryCount {
  received = 0;
  #expected = Number.POSITIVE_INFINITY;
  #resolve = (): void => {};

  constructor(client: BenchClient, ackEvery = 0) {
    let unacked = 0;
    client.onDelivery = (tag) => {
      this.received++;
      const isLast = this.received === this.#expected;
      if (ackEvery > 0) {
        unacked++;
        if (unacked === ackEvery || isLast) {
          client.acknowledgeLater(tag, ackEvery > 1);
          unacked = 0;
        }
      }
      if (isLast) this.#resolve();
    };
  }

  /** Resolves when so many have come in all; one too many is found by the next call. */
  reached(expected: number): Promise<void> {
    if (this.received > expected) throw new Error('more deliveries than publishes');
    this.#expected = expected;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.received === expected) resolve();
    });
  }
}

export interface QueueKind {
  readonly durable?: boolean;
  readonly exclusive?: boolean;
}

export function declareFrame(queue: string, { durable = false, exclusive = false }: QueueKind = {}): Buffer {
  const flags = { passive: false, durable, exclusive, autoDelete: false, noWait: true };
  return encodeMethodFrame(1, { id: methods.QUEUE_DECLARE, queue, ...flags, arguments: emptyFieldTable });
}

export function bindFrame(queue: string, exchange: string, routingKey: string): Buffer {
  const bind = { id: methods.QUEUE_BIND, queue, exchange, routingKey, noWait: true } as const;
  return encodeMethodFrame(1, { ...bind, arguments: emptyFieldTable });
}

/** An auto-ack consumer, whose tag is the queue's name. */
export function consumeFrame(queue: string): Buffer {
  const flags = { noLocal: false, noAck: true, exclusive: false, noWait: true };
  const consume = { id: methods.BASIC_CONSUME, queue, consumerTag: queue, ...flags } as const;
  return encodeMethodFrame(1, { ...consume, arguments: emptyFieldTable });
}

/** Writes frames that ask for no answer, then waits until the broker has handled them all. */
export async function sendAll(client: BenchClient, frames: readonly Buffer[]): Promise<void> {
  for (let from = 0; from < frames.length; from += FRAMES_AT_ONCE) {
    await client.write(Buffer.concat(frames.slice(from, from + FRAMES_AT_ONCE)));
  }
  await sync(client);
}

/** Waits until the broker has handled all that was written. */
export async function sync(client: BenchClient): Promise<void> {
  const qos = { id: methods.BASIC_QOS, prefetchSize: 0, prefetchCount: 0, global: false } as const;
  await client.call(qos, methods.BASIC_QOS_OK);
}

export async function declareQueue(client: BenchClient, queue: string, durable: boolean): Promise<void> {
  const flags = { passive: false, durable, exclusive: false, autoDelete: false, noWait: false };
  const declare = { id: methods.QUEUE_DECLARE, queue, ...flags, arguments: emptyFieldTable } as const;
  await client.call(declare, methods.QUEUE_DECLARE_OK);
}

/** How many messages stand in a queue. */
export async function messagesIn(client: BenchClient, queue: string): Promise<number> {
  const flags = { passive: true, durable: false, exclusive: false, autoDelete: false, noWait: false };
  const declare = { id: methods.QUEUE_DECLARE, queue, ...flags, arguments: emptyFieldTable } as const;
  const answer = await client.call(declare, methods.QUEUE_DECLARE_OK);
  return answer.id === methods.QUEUE_DECLARE_OK ? answer.messageCount : Number.NaN;
}

export async function declareExchange(client: BenchClient, exchange: string, type: string): Promise<void> {
  const flags = { passive: false, durable: true, autoDelete: false, internal: false, noWait: false };
  const declare = { id: methods.EXCHANGE_DECLARE, exchange, type, ...flags, arguments: emptyFieldTable } as const;
  await client.call(declare, methods.EXCHANGE_DECLARE_OK);
}

/** A name or word of always the same length, so that longer names cost nobody anything. */
export function numbered(prefix: string, number: number): string {
  return `${prefix}${String(number).padStart(6, '0')}`;
}

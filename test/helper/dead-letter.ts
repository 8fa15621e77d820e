// What the tests about dead letters share: headers with their types and in their order, which amqplib does not tell, and a client that sees them.
import type { Message, XDeath } from 'amqplib';
import type { Test } from 'tap';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { type BasicProperties, decodeProperties, encodeProperties } from '../../codec/properties.ts';
import { againstPeer, type Target, uniqueName } from './broker.ts';
import {
  basicGet,
  basicPublish,
  bytes,
  contentBody,
  FRAME_HEADER,
  frame,
  longLong,
  method,
  octet,
  queueDeclare,
  short,
  shortString,
  type Table,
  table,
} from './wire-bytes.ts';
import { WireClient } from './wire-client.ts';

/** A value with its type letter: `l 1`, `S text`, `[S a, S b]`, `{count: l 1}`. */
export function typed(field: FieldValue): string {
  if (field.type === 'A') return `[${field.value.map(typed).join(', ')}]`;
  if (field.type === 'F') return `{${typedFields(field.value).join(', ')}}`;
  return `${field.type} ${field.value}`;
}

/** One line a field, in the order of the table. */
export function typedFields(fields: FieldTable): string[] {
  return [...fields].map(([key, value]) => `${key}: ${typed(value)}`);
}

/** The headers that RabbitMQ 3.13 added, which 3.10 does not have. */
export function isNewerHeader(line: string): boolean {
  return line.startsWith('x-last-death-');
}

/** These lines of headers as the target has them: without those that only RabbitMQ 3.13 and later have, when it is RabbitMQ 3.10. */
export function asTargetHas(lines: readonly string[]): string[] {
  return againstPeer ? lines.filter((line) => !isNewerHeader(line)) : [...lines];
}

/** Of amqplib's headers those that RabbitMQ 3.10 would have. */
export function olderHeaders(headers: Record<string, unknown> = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => !isNewerHeader(key)));
}

/** The deaths of a message, the latest first. */
export function deathsOf({ properties }: Pick<Message, 'properties'>): XDeath[] {
  return properties.headers?.['x-death'] ?? [];
}

export interface DeadLetter {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: BasicProperties;
  /** One line a header, with types and in order; the time of deaths is left out when it is about now. */
  readonly headers: string[];
  /** Whether each time in `x-death` is about now. */
  readonly timesAreRight: boolean;
}

const WORK = 1;
const DEAD = 2;
const GET_EMPTY = 72;
/** A death's time is whole seconds, and the clocks of two processes are compared. */
const TIME_TOLERANCE_S = 60;

/** A raw client whose queues give their dead letters to a queue that it consumes from. */
export class DeadLetterOffice {
  readonly #client: WireClient;
  readonly queue: string;

  private constructor(client: WireClient, queue: string) {
    this.#client = client;
    this.queue = queue;
  }

  static async open(t: Test, target: Target): Promise<DeadLetterOffice> {
    const client = await new WireClient(t, target).open();
    await client.openChannel(WORK);
    await client.openChannel(DEAD);
    const queue = await client.declareQueue(DEAD);
    const noAck = octet(0b0010);
    client.send(method(DEAD, 60, 20, short(0), shortString(queue), shortString(''), noAck, table()));
    await client.expectMethod(DEAD, 60, 21);
    return new DeadLetterOffice(client, queue);
  }

  /** An exclusive queue whose dead letters come here. */
  async declare(args: Table = {}): Promise<string> {
    const name = uniqueName();
    const deadLettering = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': this.queue };
    this.#client.send(queueDeclare(WORK, name, table({ ...deadLettering, ...args })));
    await this.#client.expectMethod(WORK, 50, 11);
    return name;
  }

  publish(queue: string, properties: BasicProperties = {}): void {
    const encoded = encodeProperties(properties);
    const header = frame(FRAME_HEADER, WORK, bytes(short(60), short(0), longLong(4), encoded));
    this.#client.send(basicPublish(WORK, { routingKey: queue }), header, contentBody(WORK, 'dead'));
  }

  /** Takes the first message of the queue, once there is one, and rejects it. */
  async reject(queue: string): Promise<void> {
    for (;;) {
      this.#client.send(basicGet(WORK, queue));
      const { payload } = await this.#client.nextFrame('an answer to basic.get');
      if (payload.readUInt16BE(2) === GET_EMPTY) continue;
      await this.#content();
      this.#client.send(method(WORK, 60, 90, payload.subarray(4, 12), octet(0)));
      return;
    }
  }

  /** The dead letter of a message that is published with these properties to a new queue, and rejected. */
  async rejected(properties: BasicProperties): Promise<DeadLetter> {
    const queue = await this.declare();
    this.publish(queue, properties);
    await this.reject(queue);
    return this.next();
  }

  /** The next dead letter. */
  async next(): Promise<DeadLetter> {
    const args = await this.#client.expectMethod(DEAD, 60, 60);
    const [, afterTag] = shortStringAt(args, 0);
    const [exchange, afterExchange] = shortStringAt(args, afterTag + 9);
    const [routingKey] = shortStringAt(args, afterExchange);
    const properties = await this.#content();
    const lines = properties.headers === undefined ? [] : typedFields(properties.headers);
    const times = lines.flatMap((line) => [...line.matchAll(/time: T (\d+)/g)].map(([, seconds]) => Number(seconds)));
    const now = Date.now() / 1000;
    const timesAreRight = times.every((time) => Math.abs(time - now) < TIME_TOLERANCE_S);
    const headers = lines.map((line) => line.replaceAll(/time: T \d+/g, 'time: T now'));
    return { exchange, routingKey, properties, headers, timesAreRight };
  }

  async #content(): Promise<BasicProperties> {
    const { payload } = await this.#client.nextFrame('a content header');
    await this.#client.nextFrame('a content body');
    return decodeProperties(payload, 12, payload.length);
  }
}

function shortStringAt(buffer: Buffer, at: number): [text: string, after: number] {
  const end = at + 1 + buffer[at];
  return [buffer.toString('utf8', at + 1, end), end];
}

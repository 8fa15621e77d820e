// What the interop tests about messages share: an open amqplib session, an inbox that is awaited, and what a close error looks like.
import { type EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  connect,
  type Options,
} from 'amqplib';
import type { Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { startTarget, type Target, uniqueName } from './broker.ts';

export interface Session {
  readonly target: Target;
  readonly connection: ChannelModel;
  /** The channel under test. */
  readonly channel: Channel;
  /** Publishes beside it: once its confirms are in, the messages are where they belong. */
  readonly publisher: ConfirmChannel;
  /** An empty queue, exclusive to the connection, so that it goes with it. */
  readonly queue: string;
}

/** Starts a target and opens a connection with two channels and a queue; all of it ends with the test. */
export async function openSession(t: Test, options: BrokerOptions = {}): Promise<Session> {
  const target = await startTarget(t, options);
  const connection = await openConnection(t, target);
  const channel = quiet(await connection.createChannel());
  const publisher = quiet(await connection.createConfirmChannel());
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true });
  return { target, connection, channel, publisher, queue };
}

export async function openConnection(t: Test, target: Target): Promise<ChannelModel> {
  const connection = quiet(await connect(target.url));
  t.teardown(() => connection.close().catch(() => undefined)); // a test may have closed it already
  return connection;
}

/** A queue that several connections may use; it is deleted when the test ends. */
export async function sharedQueue(t: Test, target: Target, options: Options.AssertQueue = {}): Promise<string> {
  const connection = await openConnection(t, target);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue(uniqueName(), { durable: false, ...options });
  t.teardown(async () => {
    const cleaner = quiet(await connect(target.url));
    await (await cleaner.createChannel()).deleteQueue(queue);
    await cleaner.close();
  });
  return queue;
}

/** Errors reach the test through `errorOf` or a rejected call; without a listener each would end the process. */
export function quiet<T extends EventEmitter>(emitter: T): T {
  emitter.on('error', () => undefined);
  return emitter;
}

/** Publishes each text and waits until the broker has confirmed them all. */
export async function publish(publisher: ConfirmChannel, queue: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) publisher.sendToQueue(queue, Buffer.from(text));
  await publisher.waitForConfirms();
}

/** Ready messages of the queue. Only meaningful after confirms: a count may overtake messages that are still on their way. */
export async function readyCount(channel: Channel, queue: string): Promise<number> {
  return (await channel.checkQueue(queue)).messageCount;
}

/** Takes messages off the queue with basic.get until it is empty, and gives their texts. */
export async function drain(channel: Channel, queue: string): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return texts;
    texts.push(message.content.toString());
  }
}

/** What a consumer received, to be awaited one by one. */
export class Inbox {
  readonly #received: (ConsumeMessage | null)[] = [];
  readonly #waiting: ((message: ConsumeMessage | null) => void)[] = [];

  readonly receive = (message: ConsumeMessage | null): void => {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#received.push(message);
    else waiting(message);
  };

  /** Messages that nobody has taken yet. */
  get size(): number {
    return this.#received.length;
  }

  /** The next message, or null when the server cancelled the consumer. */
  nextOrCancel(): Promise<ConsumeMessage | null> {
    const message = this.#received.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async next(): Promise<ConsumeMessage> {
    const message = await this.nextOrCancel();
    if (message === null) throw new Error('the server cancelled the consumer');
    return message;
  }

  async take(count: number): Promise<ConsumeMessage[]> {
    const messages: ConsumeMessage[] = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }
}

export interface Subscription {
  readonly consumerTag: string;
  readonly inbox: Inbox;
}

export async function subscribe(channel: Channel, queue: string, options: Options.Consume = {}): Promise<Subscription> {
  const inbox = new Inbox();
  const { consumerTag } = await channel.consume(queue, inbox.receive, options);
  return { consumerTag, inbox };
}

export function text(message: { content: Buffer }): string {
  return message.content.toString();
}

export function texts(messages: readonly { content: Buffer }[]): string[] {
  return messages.map(text);
}

/** The message of a basic.get that must not come back empty. */
export function present<T>(message: T | false): T {
  if (message === false) throw new Error('the queue was empty');
  return message;
}

export interface CloseError extends Error {
  readonly code: number;
}

/** The error that the server closes this channel or connection with. Call it before what provokes the error. */
export async function errorOf(emitter: EventEmitter): Promise<CloseError> {
  const [error] = await once(emitter, 'error');
  return error;
}

/** A pattern for t.match: the server closed the channel with this reply code and text, because of this class and method. */
export function channelClose(code: number, replyText: string, classId: number, methodId: number) {
  return { code, classId, methodId, message: `with message "${shortened(replyText)}"` };
}

/** A pattern for t.match: the server closed the connection with this reply code and text. */
export function connectionClose(code: number, replyText: string) {
  return { code, message: `with message "${shortened(replyText)}"` };
}

/** RabbitMQ cuts a reply text that does not fit into a short string (255 bytes). */
function shortened(replyText: string): string {
  return replyText.length > 255 ? `${replyText.slice(0, 252)}...` : replyText;
}

/** The text of RabbitMQ's RESOURCE_LOCKED for another connection's exclusive queue. */
export function lockedText(queue: string): string {
  return (
    `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${queue}' in vhost '/'. It could be originally declared` +
    ' on another connection or the exclusive property value does not match that of the original declaration.'
  );
}

// amqplib has methods on its channels, and definitions in a file that it does not export, for what its API leaves out (tx, no-wait, recover-async).
interface RawChannel {
  rpc(method: number, fields: object, reply: number): Promise<unknown>;
  sendImmediately(method: number, fields: object): void;
}

const require = createRequire(import.meta.url);
const definitions: Record<string, number> = require(join(dirname(require.resolve('amqplib')), 'lib/defs.js'));

function idOf(method: string): number {
  const id = definitions[method];
  if (id === undefined) throw new Error(`amqplib knows no method ${method}`);
  return id;
}

/** Calls a method that amqplib's API does not have, such as 'TxSelect', and waits for its -Ok. */
export function call(channel: Channel, method: string, fields: object = {}): Promise<unknown> {
  return (channel as unknown as RawChannel).rpc(idOf(method), fields, idOf(`${method}Ok`));
}

/** Sends a method without waiting for anything. */
export function send(channel: Channel, method: string, fields: object = {}): void {
  (channel as unknown as RawChannel).sendImmediately(idOf(method), fields);
}

/** Makes a promise of a call that answers through a callback. */
export function answer<T = unknown>(invoke: (done: (error: unknown, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    invoke((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}

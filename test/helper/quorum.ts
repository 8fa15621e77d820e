// What the tests about quorum queues share: their declaration, and how often a message came back.
import type { Channel, ChannelModel, ConsumeMessage, GetMessage, Options } from 'amqplib';
import type { Test } from 'tap';
import type { Target } from './broker.ts';
import { present, sharedQueue, text } from './messages.ts';

export const DELIVERY_COUNT = 'x-delivery-count';

/** The options of a quorum queue. It must be durable, and nobody's alone. */
export function quorum(args: Record<string, unknown> = {}): Options.AssertQueue {
  return { durable: true, arguments: { 'x-queue-type': 'quorum', ...args } };
}

/** A quorum queue of its own; it is deleted when the test ends. */
export function quorumQueue(t: Test, target: Target, args: Record<string, unknown> = {}): Promise<string> {
  return sharedQueue(t, target, quorum(args));
}

/** How often the message came back before this delivery, as its header says; undefined when it has none. */
export function deliveryCount({ properties }: ConsumeMessage | GetMessage): unknown {
  return properties.headers?.[DELIVERY_COUNT];
}

/** The text of a message, and how often it came back: `3`, or `3#1`. Redelivered is what came back. */
export function counted(message: ConsumeMessage | GetMessage): string {
  const count = Number(deliveryCount(message) ?? 0);
  const { redelivered } = message.fields;
  if (redelivered !== count > 0) throw new Error(`redelivered is ${redelivered}, the delivery count ${count}`);
  return redelivered ? `${text(message)}#${count}` : text(message);
}

/** Gets so many messages, to be settled. */
export async function getSome(channel: Channel, queue: string, count: number): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  while (messages.length < count) messages.push(present(await channel.get(queue)));
  return messages;
}

/** Gets what is in the queue, in order, each message with how often it came back. */
export async function takeCounted(channel: Channel, queue: string): Promise<string[]> {
  const taken: string[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return taken;
    taken.push(counted(message));
  }
}

/** What the call came to: the error with which the broker closed the connection, if it did; else the answer or the failure. */
export async function outcomeOf(connection: ChannelModel, call: () => Promise<unknown>): Promise<unknown> {
  let closed: unknown;
  connection.once('error', (error) => {
    closed = error;
  });
  // amqplib tells of the connection first.
  const outcome = await call().catch((error: unknown) => error);
  return closed ?? outcome;
}

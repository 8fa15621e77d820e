// What the tests about expiry, priorities and length limits share: waiting for what no event tells, dead letters to look at, and what
// a publisher is told.
import { once } from 'node:events';
import type { Channel, ConfirmChannel, ConsumeMessage, GetMessage, Options } from 'amqplib';
import { againstPeer, uniqueName } from './broker.ts';
import { Inbox, readyCount, type Subscription } from './messages.ts';

/**
 * RabbitMQ removes expired messages from the head of a queue alone: one that stands behind another stays there, counted, until it
 * comes to the head. Leveret removes each on time wherever it stands. Consumers see no difference, counts and dead letters do.
 */
export const expiresInPlace = !againstPeer;

/** Far more than a loaded machine is late. */
const PATIENCE_MS = 5000;

/** Reads again and again until what was read is as wanted, or too late. Gives what was read last, for an assertion that says what was wrong. */
export async function until<T>(read: () => T | Promise<T>, wanted: (value: T) => boolean): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (wanted(value) || performance.now() > giveUpAt) return value;
    await passed(10);
  }
}

/** Waits until so many messages are ready, and gives how many are. Asking renews the lease of a queue with `x-expires`. */
export function untilReady(channel: Channel, queue: string, count: number): Promise<number> {
  return until(
    () => readyCount(channel, queue),
    (ready) => ready === count,
  );
}

/** Waits for a deadline that nothing observable marks, such as that of a message that a consumer holds. */
export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A text, and how it is published. */
export type Publication = readonly [text: string, options?: Options.Publish];

/** Publishes each and waits until the broker has confirmed them all. */
export async function publishAll(
  publisher: ConfirmChannel,
  queue: string,
  publications: readonly Publication[],
): Promise<void> {
  for (const [text, options] of publications) publisher.sendToQueue(queue, Buffer.from(text), options);
  await publisher.waitForConfirms();
}

/** Publishes to the queue, and gives what the publisher is told. */
export function outcome(
  publisher: ConfirmChannel,
  queue: string,
  text: string,
  options: Options.Publish = {},
): Promise<'ack' | 'nack'> {
  return outcomeAt(publisher, '', queue, text, options);
}

/** Publishes to an exchange, and gives what the publisher is told. */
export function outcomeAt(
  publisher: ConfirmChannel,
  exchange: string,
  routingKey: string,
  text: string,
  options: Options.Publish = {},
): Promise<'ack' | 'nack'> {
  return new Promise((resolve) => {
    publisher.publish(exchange, routingKey, Buffer.from(text), options, (error) => resolve(error ? 'nack' : 'ack'));
  });
}

/** An inbox that does not wait for ever: what never comes fails its own test alone. */
class PatientInbox extends Inbox {
  override nextOrCancel(): Promise<ConsumeMessage | null> {
    const next = super.nextOrCancel();
    return new Promise((resolve, reject) => {
      const tooLate = setTimeout(() => reject(new Error('no message came')), PATIENCE_MS);
      next.then((message) => {
        clearTimeout(tooLate);
        resolve(message);
      });
    });
  }
}

export async function subscribe(channel: Channel, queue: string, options: Options.Consume = {}): Promise<Subscription> {
  const inbox = new PatientInbox();
  const { consumerTag } = await channel.consume(queue, inbox.receive, options);
  return { consumerTag, inbox };
}

export interface DeadLettering {
  readonly queue: string;
  /** What the queue gives up arrives here. */
  readonly dead: Inbox;
  /** The queue that the inbox consumes from. */
  readonly deadQueue: string;
}

/** An exclusive queue whose dead letters are consumed, without acknowledgements, from another. */
export async function deadLettering(channel: Channel, options: Options.AssertQueue = {}): Promise<DeadLettering> {
  const { queue: deadQueue } = await channel.assertQueue(uniqueName('dead'), { exclusive: true });
  const { inbox: dead } = await subscribe(channel, deadQueue, { noAck: true });
  const { queue } = await channel.assertQueue(uniqueName(), {
    exclusive: true,
    deadLetterExchange: '',
    deadLetterRoutingKey: deadQueue,
    ...options,
  });
  return { queue, dead, deadQueue };
}

/** Why the message was dead-lettered, as its newest `x-death` says. */
export function deathReason({ properties }: ConsumeMessage | GetMessage): unknown {
  return properties.headers?.['x-death']?.[0]?.reason;
}

/**
 * Waits until the queue is gone. What asks is a mandatory message, which comes back then, and which renews no lease.
 * @returns whether it is gone
 */
export async function untilDeleted(publisher: ConfirmChannel, queue: string): Promise<boolean> {
  return until(
    () => isMissing(publisher, queue),
    (missing) => missing,
  );
}

/** Whether there is no queue of this name. If there is one, it has a message more. */
export async function isMissing(publisher: ConfirmChannel, queue: string): Promise<boolean> {
  const asked = new AbortController();
  const returned = once(publisher, 'return', { signal: asked.signal }).then(
    () => true,
    () => false,
  );
  publisher.sendToQueue(queue, Buffer.from('is there a queue?'), { mandatory: true });
  await publisher.waitForConfirms(); // a return comes before the confirm
  asked.abort();
  return returned;
}

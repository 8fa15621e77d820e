// Scenarios of persistent messages in durable queues: a confirm says that its message is on disk.
import type { FieldTable } from '../../codec/field-table.ts';
import { type ConsumeOptions, consume, publishConfirmed, reelLength } from './flows.ts';
import { PublishReel } from './reel.ts';
import { type Figure, rateOf } from './scenario.ts';
import type { Session } from './session.ts';

const PERSISTENT = { deliveryMode: 2 };
const CONSUME: Omit<ConsumeOptions, 'bodySize'> = { ackEvery: 50, prefetch: 500 };

export interface DurableOptions {
  readonly bodySize: number;
  /** Most unconfirmed messages. */
  readonly window: number;
  /** Of the queue. */
  readonly arguments?: FieldTable;
}

/** Published and consumed at the same time. */
export async function confirmed(session: Session, count: number, options: DurableOptions): Promise<Figure> {
  const { bodySize, window } = options;
  const publisher = await session.connect();
  const queue = await session.declareQueue(publisher, { durable: true, arguments: options.arguments });
  const tally = session.expect('messages', count);
  await consume(session, [queue], { ...CONSUME, bodySize }, tally);
  const reel = reelOf(queue, options);
  const lap = session.startLap();
  await Promise.all([publishConfirmed(session, publisher, reel, count, window), session.complete(tally)]);
  return rateOf(count, lap());
}

/**
 * Published alone, since a message that a consumer acknowledges at once need not be written before its confirm; consumed afterwards,
 * which is not measured.
 */
export async function stored(session: Session, count: number, options: DurableOptions): Promise<Figure> {
  const { bodySize, window } = options;
  const publisher = await session.connect();
  const queue = await session.declareQueue(publisher, { durable: true, arguments: options.arguments });
  const lap = session.startLap();
  await publishConfirmed(session, publisher, reelOf(queue, options), count, window);
  const figure = rateOf(count, lap());
  const tally = session.expect('messages', count);
  await consume(session, [queue], { ...CONSUME, bodySize }, tally);
  await session.complete(tally);
  return figure;
}

function reelOf(routingKey: string, { bodySize, window }: DurableOptions): PublishReel {
  return new PublishReel([{ exchange: '', routingKey, properties: PERSISTENT, bodySize }], reelLength(window));
}

// How messages are sent and received in most scenarios. Every message is counted, and its size looked at.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CONFIRM_SELECT, CONFIRM_SELECT_OK } from '../../codec/generated/methods.ts';
import { readUInt32 } from '../../codec/integers.ts';
import type { BenchClient } from './client.ts';
import type { PublishReel } from './reel.ts';
import type { Session } from './session.ts';
import { Confirms, type Tally } from './tally.ts';

/** After so many bytes a publisher lets the consumers, which run in the same process, have their turn. */
const BYTES_PER_TURN = 524_288;

export interface ConsumeOptions {
  readonly bodySize: number;
  /** 0: auto-ack. Otherwise an acknowledgement (multiple) after so many messages, and after the last. */
  readonly ackEvery: number;
  readonly prefetch: number;
}

export const AUTO_ACK = { ackEvery: 0, prefetch: 0 } as const;

/** Ticks off the messages of some queues, on a connection of its own. */
export async function consume(
  session: Session,
  queues: readonly string[],
  { bodySize, ackEvery, prefetch }: ConsumeOptions,
  tally: Tally,
): Promise<void> {
  const client = await session.connect();
  let unacknowledged = 0;
  client.onMessage = (deliveryTag, buffer, start, size) => {
    if (size !== bodySize) throw new Error(`a message of ${size} bytes came in the place of one of ${bodySize}`);
    tally.tick(readUInt32(buffer, start));
    if (ackEvery === 0 || (++unacknowledged < ackEvery && !tally.isComplete)) return;
    unacknowledged = 0;
    client.acknowledgeLater(deliveryTag, true);
  };
  for (const queue of queues) await client.consume(queue, ackEvery === 0, prefetch);
}

/** Publishes without confirms, numbered from `first` on; kept when all is written. */
export async function publish(
  session: Session,
  client: BenchClient,
  reel: PublishReel,
  count: number,
  first = 0,
): Promise<void> {
  let bytesInTurn = 0;
  for (let sent = 0; sent < count; ) {
    const { bytes, count: taken } = reel.take(first + sent, count - sent);
    await session.until(client.writeOut(bytes));
    sent += taken;
    session.published += taken;
    bytesInTurn += bytes.length;
    if (bytesInTurn < BYTES_PER_TURN) continue;
    bytesInTurn = 0;
    await nextTurn();
  }
}

/** How many messages the reel of `publishConfirmed` must have, so that what is written anew has left. */
export function reelLength(window: number): number {
  return window + 1;
}

/** Publishes with at most `window` unconfirmed messages; kept when all are confirmed. The channel must be new. */
export async function publishConfirmed(
  session: Session,
  client: BenchClient,
  reel: PublishReel,
  count: number,
  window: number,
): Promise<void> {
  const confirms = new Confirms('confirms', count);
  session.watch(confirms.tally);
  await client.call({ id: CONFIRM_SELECT, noWait: false }, CONFIRM_SELECT_OK);
  let sent = 0;
  client.onConfirm = (deliveryTag, multiple) => confirms.confirm(deliveryTag, multiple);
  client.onReadEnd = () => {
    for (;;) {
      const room = Math.min(window - (sent - confirms.tally.count), count - sent);
      if (room <= 0) return;
      const { bytes, count: taken } = reel.take(sent, room);
      client.writeNow(bytes);
      sent += taken;
    }
  };
  client.onReadEnd();
  await session.complete(confirms.tally);
}

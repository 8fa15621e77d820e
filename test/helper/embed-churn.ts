// Many cycles of things that come and go on one connection, and what they leave behind.
import type { Test } from 'tap';
import { createBroker } from '../../lib/index.ts';
import { EmbedClient, sharedQueueDeclare } from './embed-client.ts';
import { steadyGrowth } from './embed-memory.ts';
import { channelClose, channelOpen, longLong, method, octet, short, shortString, table } from './wire-bytes.ts';

const CYCLES = 10_000;
const ROUNDS = 5;
const WARM_UP_CYCLES = 1_000;
const CYCLES_AT_ONCE = 20;

/**
 * What a round of 2,000 cycles may leave: 75 bytes a cycle, for what V8 keeps for itself. A single forgotten object a cycle is
 * more: the smallest queue is some 500 bytes, a binding 200, a name in a map 80.
 */
export const MOST_LEFT_BYTES = 150_000;

export const exchangeDeclare = (name: string, type: string, args = table()): Buffer =>
  method(1, 40, 10, short(0), shortString(name), shortString(type), octet(0), args);

export const exchangeDelete = (name: string): Buffer => method(1, 40, 20, short(0), shortString(name), octet(0));

export const exchangeBind = (destination: string, source: string, key: string): Buffer =>
  method(1, 40, 30, short(0), shortString(destination), shortString(source), shortString(key), octet(0), table());

export const exchangeUnbind = (destination: string, source: string, key: string): Buffer =>
  method(1, 40, 40, short(0), shortString(destination), shortString(source), shortString(key), octet(0), table());

export const queueBind = (queue: string, exchange: string, key: string, args = table()): Buffer =>
  method(1, 50, 20, short(0), shortString(queue), shortString(exchange), shortString(key), octet(0), args);

export const queueUnbind = (queue: string, exchange: string, key: string, args = table()): Buffer =>
  method(1, 50, 50, short(0), shortString(queue), shortString(exchange), shortString(key), args);

export const basicCancel = (channel: number, tag: string): Buffer =>
  method(channel, 60, 30, shortString(tag), octet(0));

/** basic.nack of everything that is not acknowledged. */
export const requeueAll = (channel: number): Buffer => method(channel, 60, 120, longLong(0), octet(0b11));

/** The frames of one cycle, with names of its own. */
export type Cycle = (id: string) => Buffer[];

/** What a batch ends with: its answer comes when all before it is done. */
const FENCE = [channelOpen(9), channelClose(9)];

/** Runs cycles with names of their own, many in one write. */
export async function runCycles(client: EmbedClient, cycle: Cycle, round: string, count: number): Promise<void> {
  for (let first = 0; first < count; first += CYCLES_AT_ONCE) {
    const ids = Array.from({ length: CYCLES_AT_ONCE }, (_, index) => `${round}-${first + index}`);
    await client.call(9, 20, 41, ...ids.flatMap(cycle), ...FENCE);
    client.forget();
  }
}

/** Runs ten thousand cycles on a broker of their own, which has a queue `stays`, and expects that they leave nothing. */
export async function expectNothingLeft(t: Test, cycle: Cycle): Promise<void> {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const client = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'stays'));
  await runCycles(client, cycle, 'warm-up', WARM_UP_CYCLES);
  const left = await steadyGrowth(ROUNDS, (round) => runCycles(client, cycle, `round-${round}`, CYCLES / ROUNDS));
  t.ok(left.heap < MOST_LEFT_BYTES, `${left.heap} bytes more in the heap`);
  t.ok(left.buffers < MOST_LEFT_BYTES, `${left.buffers} bytes more in buffers`);
  t.equal(broker.memoryUsedBytes, 0);
  t.equal(broker.connectionEnds.size, 0, 'no mistake ended the connection');
}

// The dead letter of a message: its headers, its keys, and the rule that ends cycles. Pure: who gets it is dead-letterer.ts's business.
// See https://www.rabbitmq.com/docs/dlx
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { isInteger } from './field-values.ts';

/** Why a message left its queue without being consumed. */
export type DeadLetterReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** What is noted of a message that leaves a queue. */
export interface Death {
  readonly reason: DeadLetterReason;
  readonly queue: string;
  /** The exchange that it was published to. */
  readonly exchange: string;
  /** The keys that it was published with: its routing key and those of its CC header. */
  readonly routingKeys: readonly string[];
  /** Seconds since 1970. */
  readonly time: number;
  /** Its expiration, which the dead letter has no more, or it would expire again; undefined when it had none. */
  readonly expiration: string | undefined;
}

/** The headers of a dead letter, and its deaths, which are the value of one of them. */
export interface DeadLetterHeaders {
  readonly headers: FieldTable;
  readonly deaths: Deaths;
}

/** The value of the `x-death` header: a table for each queue and reason, the latest death first. */
export type Deaths = readonly FieldValue[];

const NO_KEYS: readonly string[] = [];
const LARGEST_COUNT = 2n ** 63n - 1n;

/** The further routing keys in the CC header. See https://www.rabbitmq.com/docs/sender-selected */
export function carbonCopyKeys(headers: FieldTable): readonly string[] {
  const header = headers.get('CC');
  if (header?.type !== 'A') return NO_KEYS;
  return header.value.filter((key) => key.type === 'S').map((key) => key.value);
}

/**
 * The headers of the dead letter, in RabbitMQ's order.
 * @param headers those of the message; null when it has none
 * @param keepsKeys whether it is published with the keys of the message; those in its CC header go when it is not
 */
export function deadLetterHeaders(headers: FieldTable | null, death: Death, keepsKeys: boolean): DeadLetterHeaders {
  const { exchange, queue, reason } = death;
  const before = headers?.get('x-death');
  // Anything but an array was made up by a client, and gives way.
  const deaths =
    before?.type === 'A' ? withDeath(before.value, death) : [{ type: 'F', value: firstDeath(death) } as const];
  const fields = new Map(headers);
  if (!keepsKeys) fields.delete('CC');
  fields.set('x-death', { type: 'A', value: deaths });
  if (before === undefined) {
    fields.set('x-first-death-exchange', { type: 'S', value: exchange });
    fields.set('x-first-death-queue', { type: 'S', value: queue });
    fields.set('x-first-death-reason', { type: 'S', value: reason });
  }
  // As of RabbitMQ 3.13.
  fields.set('x-last-death-exchange', { type: 'S', value: exchange });
  fields.set('x-last-death-queue', { type: 'S', value: queue });
  fields.set('x-last-death-reason', { type: 'S', value: reason });
  return { headers: headers === null ? fields : sorted(fields), deaths };
}

/**
 * The queues to which a dead letter would go in circles that nobody asked for: it was there before, and no client has rejected it
 * since. RabbitMQ drops it then.
 */
export function queuesInCycle(deaths: Deaths): ReadonlySet<string> {
  const queues = new Set<string>();
  for (const death of deaths) {
    // A client may have made up anything.
    if (death.type !== 'F') continue;
    if (isText(death.value.get('reason'), 'rejected')) break;
    const queue = death.value.get('queue');
    if (queue?.type === 'S') queues.add(queue.value);
  }
  return queues;
}

/**
 * One more death. A second one in the same queue for the same reason is counted: the table of the first one, otherwise as it was, comes
 * to the front.
 *
 * RabbitMQ 3.10 turns the tables behind the first around each time, so that its own rule against cycles no longer knows what came after what.
 * Here they stay in their order, as in RabbitMQ's documentation and in its later versions.
 */
function withDeath(deaths: Deaths, death: Death): FieldValue[] {
  let same: FieldTable | undefined;
  const others: FieldValue[] = [];
  for (const other of deaths) {
    if (!isSame(other, death)) others.push(other);
    else if (same === undefined && other.type === 'F') same = other.value;
  }
  const latest = new Map(same ?? firstDeath(death));
  if (same !== undefined) latest.set('count', countedUp(same.get('count')));
  return [{ type: 'F', value: sorted(latest) }, ...others];
}

/** In the order of RabbitMQ, where it depends on the deaths before: the fields of a message's very first one are not sorted. */
function firstDeath({ reason, queue, time, exchange, routingKeys, expiration }: Death): FieldTable {
  const fields = new Map<string, FieldValue>([
    ['count', { type: 'l', value: 1 }],
    ['reason', { type: 'S', value: reason }],
    ['queue', { type: 'S', value: queue }],
    ['time', { type: 'T', value: time }],
    ['exchange', { type: 'S', value: exchange }],
    ['routing-keys', { type: 'A', value: routingKeys.map((value) => ({ type: 'S', value })) }],
  ]);
  if (expiration !== undefined) fields.set('original-expiration', { type: 'S', value: expiration });
  return fields;
}

function isSame(other: FieldValue, { queue, reason }: Death): boolean {
  return other.type === 'F' && isText(other.value.get('queue'), queue) && isText(other.value.get('reason'), reason);
}

function isText(field: FieldValue | undefined, text: string): boolean {
  return field?.type === 'S' && field.value === text;
}

/** What a client made up may be no number; RabbitMQ loses the message then. */
function countedUp(count: FieldValue | undefined): FieldValue {
  if (count === undefined || !(isInteger(count) || count.type === 'T')) return { type: 'l', value: 1 };
  const value = count.value as number | bigint;
  if (typeof value === 'number' && value < Number.MAX_SAFE_INTEGER) return { type: 'l', value: value + 1 };
  return { type: 'l', value: BigInt(value) < LARGEST_COUNT ? BigInt(value) + 1n : LARGEST_COUNT };
}

/** In the order of the keys, which most tables that come by here are in. */
function sorted(table: FieldTable): FieldTable {
  let last = '';
  for (const key of table.keys()) {
    if (key < last) return new Map([...table].sort(([a], [b]) => (a < b ? -1 : 1)));
    last = key;
  }
  return table;
}

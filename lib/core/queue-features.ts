// What a queue does beside holding messages: expiry, limits, dead-lettering. Said by the arguments of its declaration and by policies,
// which may change while it lives. See https://www.rabbitmq.com/docs/queues#optional-arguments
import type { FieldTable } from '../../codec/field-table.ts';
import { queueTypeOf } from './declaration-checks.ts';
import type { PolicyDefinition } from './policy.ts';

/** What becomes of what a full queue has no room for. */
export type Overflow = 'drop-head' | 'reject-publish' | 'reject-publish-dlx';

export interface QueueFeatures {
  /** How long a message may wait, in ms; Infinity for as long as it likes. */
  readonly messageTtlMs: number;
  /** The queue is deleted when nobody used it for so many ms; Infinity for never. */
  readonly expiresMs: number;
  /** Most ready messages; Infinity for no limit. */
  readonly maxLength: number;
  /** Most bytes of ready bodies; Infinity for no limit. */
  readonly maxLengthBytes: number;
  readonly overflow: Overflow;
  /** Gets what expires, is rejected or has no room; null for nobody. */
  readonly deadLetterExchange: string | null;
  /** Null: dead letters keep their routing keys. */
  readonly deadLetterRoutingKey: string | null;
  /** `at-least-once`: a message leaves the queue only when all that its dead letter is routed to have it. */
  readonly deadLetterStrategy: 'at-most-once' | 'at-least-once';
  /** How often a message may come back; then it is dead-lettered. Infinity for no limit. */
  readonly deliveryLimit: number;
  /** How long a delivery may wait for its acknowledgement, in ms; null for what the broker allows. */
  readonly consumerTimeoutMs: number | null;
}

/** Ten years, the most that an argument can say. A policy can say more, which is for ever: it must not lead beyond all clocks. */
const MOST_MS = 315_360_000_000;

/** A queue with no arguments and no policy. */
export const PLAIN_FEATURES: QueueFeatures = {
  messageTtlMs: Infinity,
  expiresMs: Infinity,
  maxLength: Infinity,
  maxLengthBytes: Infinity,
  overflow: 'drop-head',
  deadLetterExchange: null,
  deadLetterRoutingKey: null,
  deadLetterStrategy: 'at-most-once',
  deliveryLimit: Infinity,
  consumerTimeoutMs: null,
};

/**
 * What a queue has to do by its arguments and its policies, all of which were checked. Of two limits the smaller one holds; where
 * an argument and a policy name something else, the argument does.
 * @param definition what the policies that apply to the queue come to; null when there are none
 * @param quorumDeliveryLimit of a quorum queue that is given none
 */
export function featuresOf(
  args: FieldTable,
  definition: PolicyDefinition | null = null,
  quorumDeliveryLimit = Infinity,
): QueueFeatures {
  if (args.size === 0 && definition === null) return PLAIN_FEATURES;
  const text = (key: string): string | null => {
    const field = args.get(`x-${key}`);
    const value = field?.type === 'S' ? field.value : definition?.[key];
    return typeof value === 'string' ? value : null;
  };
  const limit = (key: string): number => Math.min(limitOf(args.get(`x-${key}`)?.value), limitOf(definition?.[key]));
  const span = (key: string): number => (limit(key) > MOST_MS ? Infinity : limit(key));
  const isGiven = (key: string): boolean => args.has(`x-${key}`) || definition?.[key] !== undefined;
  const isQuorum = queueTypeOf(args) === 'quorum';
  const overflow = overflowOf(text('overflow'), isQuorum);
  // As in RabbitMQ: a queue that drops its first messages can't keep them until their dead letters are safe.
  const isKeptUntilSafe = text('dead-letter-strategy') === 'at-least-once' && isQuorum && overflow === 'reject-publish';
  return {
    messageTtlMs: span('message-ttl'),
    expiresMs: span('expires'),
    maxLength: limit('max-length'),
    maxLengthBytes: limit('max-length-bytes'),
    overflow,
    deadLetterExchange: text('dead-letter-exchange'),
    deadLetterRoutingKey: text('dead-letter-routing-key'),
    deadLetterStrategy: isKeptUntilSafe ? 'at-least-once' : 'at-most-once',
    deliveryLimit: isGiven('delivery-limit') || !isQuorum ? limit('delivery-limit') : quorumDeliveryLimit,
    consumerTimeoutMs: isGiven('consumer-timeout') ? limit('consumer-timeout') : null,
  };
}

export function sameFeatures(one: QueueFeatures, other: QueueFeatures): boolean {
  // The keys of that object are those of its type.
  const keys = Object.keys(PLAIN_FEATURES) as (keyof QueueFeatures)[];
  return one === other || keys.every((key) => one[key] === other[key]);
}

/** Infinity for none: what is not there, is negative, or is no number, which RabbitMQ lets pass as `x-delivery-limit`. */
function limitOf(value: unknown): number {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  return isNumber && value >= 0 ? Number(value) : Infinity;
}

/** A quorum queue can't dead-letter what it rejects: it drops from its head then. */
function overflowOf(value: string | null, isQuorum: boolean): Overflow {
  if (value === 'reject-publish' || (value === 'reject-publish-dlx' && !isQuorum)) return value;
  return 'drop-head';
}

// Chains: ways that messages go from place to place without a client. Each begins with a queue, or with an exchange that holds
// messages back; what expires in a queue, is rejected, has no room or comes back too often goes on to the next.
import type { Channel } from 'amqplib';
import type { Profile } from './messages.ts';
import type { Session } from './session.ts';

/** A place where messages wait. */
export interface Stage {
  readonly name: string;
  /** It is an exchange that holds messages back. Such a one comes first. */
  readonly isExchange: boolean;
  /** How long a message may wait here; Infinity for as long as it likes. */
  readonly ttlMs: number;
  /** The queue has a limit, by messages or by bytes, and drops its first. */
  readonly isLimited: boolean;
  /** Most ready messages. */
  readonly maxLength: number;
  readonly isQuorum: boolean;
  readonly deliveryLimit: number;
  /** Arguments of the queue. */
  readonly arguments: Readonly<Record<string, unknown>>;
}

export interface ChainPlan {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** What its messages are like. */
  readonly profile: Profile;
}

/** How long messages wait at most, in a queue or held back: longer than most lives of the broker. */
const LONGEST_MS = 3000;
/** The exchange of all dead letters of chains but those of their first stages. */
const DEAD_EXCHANGE = 'chain.dead';

type Arguments = Readonly<Record<string, unknown>>;

const QUORUM = { 'x-queue-type': 'quorum' } as const;
const ttl = (ms: number): Arguments => ({ 'x-message-ttl': ms });

/** @param places `exchange`, or the arguments of a queue beside those for its dead letters */
function chain(name: string, profile: Partial<Profile>, ...places: readonly ('exchange' | Arguments)[]): ChainPlan {
  const isAllQuorum = places.every((place) => place !== 'exchange' && place['x-queue-type'] === 'quorum');
  // Elsewhere they would only be fewer messages that must be there.
  const transientOneIn = isAllQuorum ? 3 : 20;
  const stages = places.map((place, index): Stage => {
    const args = place === 'exchange' ? {} : place;
    const limit = (key: string): number => Number(args[key] ?? Number.POSITIVE_INFINITY);
    const next = index < places.length - 1 ? `${name}.${index + 1}` : undefined;
    const letters = {
      'x-dead-letter-exchange': index === 0 ? '' : DEAD_EXCHANGE,
      'x-dead-letter-routing-key': next,
    };
    return {
      name: `${name}.${index}`,
      isExchange: place === 'exchange',
      ttlMs: limit('x-message-ttl'),
      isLimited: 'x-max-length' in args || 'x-max-length-bytes' in args,
      maxLength: limit('x-max-length'),
      isQuorum: args['x-queue-type'] === 'quorum',
      deliveryLimit: limit('x-delivery-limit'),
      arguments: next === undefined || place === 'exchange' ? args : { ...args, ...letters },
    };
  });
  return { name, stages, profile: { sizes: 'medium', transientOneIn, ...profile } };
}

const expires = { expiresWithinMs: LONGEST_MS };
const delays = { delaysWithinMs: LONGEST_MS };

export const CHAIN_PLANS: readonly ChainPlan[] = [
  chain('expire', expires, ttl(2500)),
  chain('expire-on', expires, ttl(LONGEST_MS), {}),
  chain('expire-twice', { expiresWithinMs: 1000 }, {}, ttl(700), {}),
  chain('at-once', {}, ttl(0), {}),
  chain('crowd', {}, { 'x-max-length': 1 }, { 'x-max-length': 60 }, {}),
  chain('crowd-bytes', expires, { 'x-max-length-bytes': 50_000, 'x-max-length': 400 }, {}),
  chain('delay', delays, 'exchange', {}),
  chain('delay-on', { ...delays, ...expires }, 'exchange', ttl(1500), {}),
  chain('limit', {}, { ...QUORUM, 'x-delivery-limit': 3 }, QUORUM),
  chain('limit-expire', expires, { ...QUORUM, 'x-delivery-limit': 1 }, { ...QUORUM, ...ttl(LONGEST_MS) }, {}),
  chain('count', {}, QUORUM),
];

/** Declares what belongs to a chain; all of it survives. */
export async function declareChain(session: Session, channel: Channel, { stages }: ChainPlan): Promise<void> {
  await session.call(channel.assertExchange(DEAD_EXCHANGE, 'direct', { durable: true }));
  for (const [index, { name, isExchange, arguments: args }] of stages.entries()) {
    if (isExchange) continue;
    await session.call(channel.assertQueue(name, { durable: true, arguments: { ...args } }));
    if (index > 1) await session.call(channel.bindQueue(name, DEAD_EXCHANGE, name));
  }
  if (stages[0].isExchange) await declareDelay(session, channel, stages);
}

/** Declares the exchange that a chain begins with. */
export async function declareDelay(session: Session, channel: Channel, stages: readonly Stage[]): Promise<void> {
  const [{ name }, next] = stages;
  const options = { durable: true, arguments: { 'x-delayed-type': 'direct' } };
  await session.call(channel.assertExchange(name, 'x-delayed-message', options));
  await session.call(channel.bindQueue(next.name, name, 'key'));
}

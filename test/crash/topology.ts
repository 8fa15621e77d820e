// Exchanges, queues and bindings that all actors share. Declared once, in the first life: later ones must find them as they were.
import type { Channel, Options } from 'amqplib';
import type { Model } from './model.ts';
import { LifeIsOver, type Session } from './session.ts';

/** Queues that several publishers and consumers use. */
export const SHARED_QUEUES = ['shared0', 'shared1', 'shared2'] as const;
/** Nobody consumes it while clients run: the confirm of a message to it can't be had without the disk. */
export const FLUSH_QUEUE = 'flush';
/** Is not durable: it must be gone after each restart, with its binding and the persistent messages in it. */
const VOLATILE_QUEUE = 'volatile';

const QUEUE_ARGUMENTS: Readonly<Record<string, Options.AssertQueue>> = {
  shared1: { arguments: { 'x-queue-mode': 'lazy', 'x-max-length': 1_000_000_000 } },
};

const EXCHANGES: readonly [name: string, type: string, options: Options.AssertExchange][] = [
  ['rest', 'fanout', { durable: true, internal: true }],
  ['fan', 'fanout', { durable: true }],
  ['outer', 'fanout', { durable: true }],
  ['direct', 'direct', { durable: true, alternateExchange: 'rest' }],
  ['topic', 'topic', { durable: true }],
];

const BINDINGS: readonly [queue: string, exchange: string, key: string][] = [
  ['shared0', 'fan', ''],
  ['shared1', 'fan', ''],
  ['shared2', 'fan', ''],
  ['shared0', 'direct', 'a'],
  ['shared1', 'direct', 'a'],
  ['shared1', 'direct', 'b'],
  ['shared2', 'rest', ''],
  ['shared1', 'topic', 'x.#'],
  ['shared2', 'topic', '*.y'],
];

export interface Route {
  readonly exchange: string;
  readonly key: string;
  readonly queues: readonly string[];
}

/** Ways to publish, and where they lead; each goes missing when an exchange or a binding is lost. */
export const ROUTES: readonly Route[] = [
  ...SHARED_QUEUES.map((queue) => ({ exchange: '', key: queue, queues: [queue] })),
  { exchange: 'fan', key: 'any', queues: SHARED_QUEUES },
  { exchange: 'outer', key: 'any', queues: SHARED_QUEUES },
  { exchange: 'direct', key: 'a', queues: ['shared0', 'shared1'] },
  { exchange: 'direct', key: 'b', queues: ['shared1'] },
  { exchange: 'direct', key: 'nobody', queues: ['shared2'] },
  { exchange: 'topic', key: 'x.y', queues: ['shared1', 'shared2'] },
  { exchange: 'topic', key: 'x.z', queues: ['shared1'] },
];

export function addSharedQueues(model: Model): void {
  for (const name of SHARED_QUEUES) model.addQueue(name, false);
  model.addQueue(FLUSH_QUEUE, false);
}

/** Declares what is not there yet; answered, it must survive. A kill in the middle leaves the rest to the next life. */
export async function declareShared(session: Session, model: Model, channel: Channel): Promise<void> {
  for (const [name, type, options] of EXCHANGES) await session.call(channel.assertExchange(name, type, options));
  for (const name of [...SHARED_QUEUES, FLUSH_QUEUE]) {
    const ledger = model.queue(name);
    ledger.existence = 'maybe';
    await session.call(channel.assertQueue(name, { durable: true, ...QUEUE_ARGUMENTS[name] }));
    ledger.existence = 'yes';
  }
  for (const [queue, exchange, key] of BINDINGS) await session.call(channel.bindQueue(queue, exchange, key));
  await session.call(channel.bindExchange('fan', 'outer', ''));
}

/** After a start: what was declared must be there, what was deleted must not, and what was cut off is one or the other from now on. */
export async function checkTopology(session: Session, model: Model, sharedDeclared: boolean): Promise<void> {
  const connection = await session.connect('topology');
  for (const ledger of model.ledgers) {
    const exists = await isThere(session, () => connection.createChannel(), ledger.name);
    if (ledger.existence !== 'maybe' && exists !== (ledger.existence === 'yes')) {
      const what = exists ? 'is there though it was deleted' : 'is gone though it was declared';
      model.findings.add('topology', `queue ${ledger.name} ${what}`);
    }
    if (exists) ledger.existence = 'yes';
    else ledger.deleted();
  }
  if (await isThere(session, () => connection.createChannel(), VOLATILE_QUEUE)) {
    model.findings.add('topology', `queue ${VOLATILE_QUEUE} is there though it is not durable`);
  }
  const channel = await session.channel(connection, 'topology');
  if (sharedDeclared) {
    // Equivalent declarations, which would be refused if an argument or a type had got lost.
    for (const [name] of EXCHANGES) await session.call(channel.checkExchange(name));
    for (const [name, type, options] of EXCHANGES) await session.call(channel.assertExchange(name, type, options));
    for (const name of SHARED_QUEUES) {
      await session.call(channel.assertQueue(name, { durable: true, ...QUEUE_ARGUMENTS[name] }));
    }
  } else {
    await declareShared(session, model, channel);
  }
  await session.call(channel.assertQueue(VOLATILE_QUEUE, { durable: false, maxLength: 10 }));
  await session.call(channel.bindQueue(VOLATILE_QUEUE, 'fan', ''));
  await session.call(connection.close());
}

/** @param open gives a channel to throw away: asking for a queue that isn't there closes it */
async function isThere(session: Session, open: () => Promise<Channel>, queue: string): Promise<boolean> {
  const channel = await session.call(open());
  channel.on('error', () => undefined);
  try {
    await session.call(channel.checkQueue(queue));
  } catch (error) {
    if (error instanceof LifeIsOver || session.isDying || !is404(error)) throw error;
    return false;
  }
  await session.call(channel.close());
  return true;
}

function is404(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 404;
}

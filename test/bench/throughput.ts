// Scenarios of unconfirmed, transient messages: how many pass.
import { emptyFieldTable, type FieldTable } from '../../codec/field-table.ts';
import { QUEUE_BIND, QUEUE_BIND_OK } from '../../codec/generated/methods.ts';
import type { BasicProperties } from '../../codec/properties.ts';
import type { BenchClient } from './client.ts';
import { AUTO_ACK, type ConsumeOptions, consume, publish } from './flows.ts';
import { type Publish, PublishReel } from './reel.ts';
import { type Figure, rateOf } from './scenario.ts';
import type { Session } from './session.ts';

/** One publisher, one queue, one consumer. */
export async function oneToOne(session: Session, count: number, options: ConsumeOptions): Promise<Figure> {
  const publisher = await session.connect();
  const queue = await session.declareQueue(publisher);
  const tally = session.expect('messages', count);
  await consume(session, [queue], options, tally);
  const reel = new PublishReel([{ exchange: '', routingKey: queue, bodySize: options.bodySize }]);
  const lap = session.startLap();
  await publish(session, publisher, reel, count);
  await session.complete(tally);
  return rateOf(count, lap());
}

/** Every message goes to each of some queues, which have a consumer each; deliveries count. */
export async function fanout(session: Session, count: number, queues: number, bodySize: number): Promise<Figure> {
  const publisher = await session.connect();
  const exchange = await session.declareExchange(publisher, 'fanout');
  const tallies = [];
  for (let i = 0; i < queues; i++) {
    const queue = await session.declareQueue(publisher);
    await bind(publisher, exchange, queue, { routingKey: '' });
    const tally = session.expect(`messages of queue ${i}`, count);
    await consume(session, [queue], { ...AUTO_ACK, bodySize }, tally);
    tallies.push(tally);
  }
  const reel = new PublishReel([{ exchange, routingKey: '', bodySize }]);
  const lap = session.startLap();
  await publish(session, publisher, reel, count);
  await session.complete(...tallies);
  return rateOf(count * queues, lap());
}

/** A binding, and a message that it alone matches. */
export interface Lead {
  readonly binding: { readonly routingKey: string; readonly arguments?: FieldTable };
  readonly message: { readonly routingKey: string; readonly properties?: BasicProperties };
}

/** Many bindings lead to a few queues, which one consumer reads; messages match one binding after the other. */
export async function routed(
  session: Session,
  count: number,
  { type, queues, bodySize, leads }: { type: string; queues: number; bodySize: number; leads: readonly Lead[] },
): Promise<Figure> {
  const publisher = await session.connect();
  const exchange = await session.declareExchange(publisher, type);
  const names: string[] = [];
  for (let i = 0; i < queues; i++) names.push(await session.declareQueue(publisher));
  for (const [i, { binding }] of leads.entries()) await bind(publisher, exchange, names[i % queues], binding);
  const tally = session.expect('messages', count);
  await consume(session, names, { ...AUTO_ACK, bodySize }, tally);
  const reel = new PublishReel(leads.map(({ message }): Publish => ({ exchange, bodySize, ...message })));
  const lap = session.startLap();
  await publish(session, publisher, reel, count);
  await session.complete(tally);
  return rateOf(count, lap());
}

/** Each publisher goes round all queues; each consumer reads its share of them. */
export async function manyQueues(
  session: Session,
  perPublisher: number,
  { queues, publishers, consumers, bodySize }: Record<'queues' | 'publishers' | 'consumers' | 'bodySize', number>,
): Promise<Figure> {
  const clients: BenchClient[] = [];
  for (let i = 0; i < publishers; i++) clients.push(await session.connect());
  const names: string[] = [];
  for (let i = 0; i < queues; i++) names.push(await session.declareQueue(clients[0]));
  const count = perPublisher * publishers;
  const tally = session.expect('messages', count);
  for (let i = 0; i < consumers; i++) {
    const share = names.filter((_, at) => at % consumers === i);
    await consume(session, share, { ...AUTO_ACK, bodySize }, tally);
  }
  const reels = clients.map(() => new PublishReel(names.map((routingKey) => ({ exchange: '', routingKey, bodySize }))));
  const lap = session.startLap();
  await Promise.all(clients.map((client, i) => publish(session, client, reels[i], perPublisher, i * perPublisher)));
  await session.complete(tally);
  return rateOf(count, lap());
}

/** Publishes all, until the queue has it; then consumes all. Two figures. */
export async function backlog(session: Session, count: number, bodySize: number): Promise<readonly Figure[]> {
  const publisher = await session.connect();
  const queue = await session.declareQueue(publisher);
  const tally = session.expect('messages', count);
  const reel = new PublishReel([{ exchange: '', routingKey: queue, bodySize }]);
  const fillLap = session.startLap();
  await publish(session, publisher, reel, count);
  // In RabbitMQ the question may overtake the last messages.
  while ((await session.until(session.messageCount(publisher, queue))) < count);
  const fill = rateOf(count, fillLap());
  const drainLap = session.startLap();
  await consume(session, [queue], { ...AUTO_ACK, bodySize }, tally);
  await session.complete(tally);
  return [fill, rateOf(count, drainLap())];
}

async function bind(client: BenchClient, exchange: string, queue: string, binding: Lead['binding']): Promise<void> {
  const { routingKey, arguments: args = emptyFieldTable } = binding;
  await client.call({ id: QUEUE_BIND, queue, exchange, routingKey, noWait: false, arguments: args }, QUEUE_BIND_OK);
}

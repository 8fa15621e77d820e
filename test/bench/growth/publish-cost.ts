// What a published and delivered message costs the broker in CPU time, when there is little else and when there is much: queues,
// bindings, idle connections, virtual hosts. Two brokers run at once and are measured in turn, as machines have their moods.

import { BrokerProcess } from '../broker-process.ts';
import { publishBytes } from '../client.ts';
import { openConnections, possibleConnections } from './light-connection.ts';
import {
  bindFrame,
  connectTo,
  consumeFrame,
  DeliveryCount,
  declareExchange,
  declareFrame,
  numbered,
  type PublishCycle,
  publishAtLeast,
  publishCycle,
  sendAll,
} from './load.ts';
import { count, type Goal, type Group, median, percent, type Report } from './report.ts';

const BODY_BYTES = 100;
const ROUNDS = 7;
/** Messages to one queue before the next: what then still differs does not come from objects that the processor's caches don't hold. */
const RUN = 20;
const MOST_MORE = 0.2;

/** Moves so many messages and returns how many it were in the end. */
type Flow = (messages: number) => Promise<number>;

interface Side {
  readonly broker: BrokerProcess;
  readonly flow: Flow;
}

/** Microseconds of the broker's CPU for a message. */
async function cost({ broker, flow }: Side, messages: number): Promise<number> {
  const before = broker.cpuSeconds();
  const moved = await flow(messages);
  return ((broker.cpuSeconds() - before) * 1e6) / moved;
}

async function compare(report: Report, figure: string, few: Side, many: Side, quick: boolean): Promise<void> {
  const messages = quick ? 200_000 : 400_000;
  const costs: [number[], number[]] = [[], []];
  for (let round = -1; round < ROUNDS; round++) {
    const pair = [await cost(few, messages), await cost(many, messages)];
    // The first round only warms up.
    if (round >= 0) for (const [i, value] of pair.entries()) costs[i].push(value);
  }
  const [small, large] = costs.map(median);
  const more = large / small - 1;
  const goal: Goal = { text: `≤ ${percent(MOST_MORE)}`, met: more <= MOST_MORE };
  report(figure, `${small.toFixed(2)} and ${large.toFixed(2)} µs of CPU a message (${percent(more)})`, goal);
}

/** A publisher and a consumer that takes from all of `queues`; what is published goes through the given cycles. */
async function flowOf(
  broker: BrokerProcess,
  queues: readonly string[],
  virtualHost?: string,
): Promise<(cycle: PublishCycle) => Flow> {
  const publisher = await connectTo(broker, virtualHost);
  const consumer = await connectTo(broker, virtualHost);
  const deliveries = new DeliveryCount(consumer);
  await sendAll(consumer, queues.map(consumeFrame));
  return (cycle) => async (messages) => {
    const before = deliveries.received;
    const written = await publishAtLeast(publisher, cycle, messages);
    await deliveries.reached(before + written);
    return written;
  };
}

async function declareAll(broker: BrokerProcess, queues: readonly string[], virtualHost?: string): Promise<void> {
  const client = await connectTo(broker, virtualHost);
  await sendAll(
    client,
    queues.map((queue) => declareFrame(queue)),
  );
  await client.close();
}

function names(prefix: string, total: number): string[] {
  return Array.from({ length: total }, (_, i) => numbered(prefix, i));
}

export const queues: Group = async (report, { quick }) => {
  const [few, many] = [10, quick ? 1000 : 10_000];
  const sides = [];
  for (const total of [few, many]) {
    const broker = await BrokerProcess.start();
    const all = names('queue', total);
    await declareAll(broker, all);
    const client = await connectTo(broker);
    await declareExchange(client, 'direct', 'direct');
    await sendAll(
      client,
      all.map((queue) => bindFrame(queue, 'direct', queue)),
    );
    const through = await flowOf(broker, all);
    const to = (exchange: string, some: readonly string[]): Side => ({
      broker,
      flow: through(publishCycle(some.map((queue) => publishBytes(exchange, queue, BODY_BYTES)))),
    });
    const inRuns = all.flatMap((queue) => Array.from({ length: RUN }, () => queue));
    sides.push({
      broker,
      one: to('', all.slice(0, 1)),
      runs: to('', inRuns),
      all: to('', all),
      direct: to('direct', all),
    });
  }
  const [small, large] = sides;
  const text = `${few} and ${count(many)} queues`;
  await compare(report, `${text}, one of them used`, small.one, large.one, quick);
  await compare(report, `${text}, all in turn, ${RUN} messages to each`, small.runs, large.runs, quick);
  await compare(report, `${text}, all in turn by the default exchange`, small.all, large.all, quick);
  await compare(report, `${text}, all in turn by a direct exchange`, small.direct, large.direct, quick);
  for (const { broker } of sides) await broker.stop();
};

/** Every other binding key ends with a wildcard, the others begin with one. */
function bindingKey(i: number): string {
  return i % 2 === 0
    ? `${numbered('a', i % 100)}.${numbered('b', i)}.*`
    : `*.${numbered('b', i)}.${numbered('c', i % 100)}`;
}

/** The `variant`th key that this binding key alone matches. */
function matchingKey(i: number, variant: number): string {
  return bindingKey(i).replace('*', numbered('v', variant));
}

export const bindings: Group = async (report, { quick }) => {
  const [few, many] = [10, quick ? 10_000 : 100_000];
  const sides = [];
  for (const total of [few, many]) {
    const broker = await BrokerProcess.start();
    const all = names('queue', few);
    await declareAll(broker, all);
    const client = await connectTo(broker);
    await declareExchange(client, 'topic', 'topic');
    const keys = Array.from({ length: total }, (_, i) => bindingKey(i));
    await sendAll(
      client,
      keys.map((key, i) => bindFrame(all[i % few], 'topic', key)),
    );
    const through = await flowOf(broker, all);
    // As many different keys on both sides: more of them for each binding where there are few.
    const different = Array.from({ length: many }, (_, i) => matchingKey(i % total, Math.floor(i / total)));
    const to = (some: readonly string[]): Side => ({
      broker,
      flow: through(publishCycle(some.map((key) => publishBytes('topic', key, BODY_BYTES)))),
    });
    sides.push({ broker, hot: to(different.slice(0, 1)), different: to(different) });
  }
  const [small, large] = sides;
  const text = `${few} and ${count(many)} topic bindings`;
  await compare(report, `${text}, one routing key`, small.hot, large.hot, quick);
  await compare(report, `${text}, ${count(many)} routing keys in turn`, small.different, large.different, quick);
  for (const { broker } of sides) await broker.stop();
};

export const idleConnections: Group = async (report, { quick }) => {
  const [few, many] = [10, possibleConnections(quick ? 1000 : 10_000)];
  const sides: Side[] = [];
  for (const total of [few, many]) {
    const broker = await BrokerProcess.start();
    await openConnections(broker.port, total, true);
    await declareAll(broker, ['queue']);
    const through = await flowOf(broker, ['queue']);
    sides.push({ broker, flow: through(publishCycle([publishBytes('', 'queue', BODY_BYTES)])) });
  }
  await compare(report, `${few} and ${count(many)} idle connections`, sides[0], sides[1], quick);
  for (const { broker } of sides) await broker.stop();
};

export const virtualHosts: Group = async (report, { quick }) => {
  const [few, many] = [1, quick ? 100 : 1000];
  const connected = many / 10;
  const sides = [];
  for (const total of [few, many]) {
    const hosts = names('host', total);
    const broker = await BrokerProcess.start({ flags: hosts.flatMap((host) => ['--vhost', host]) });
    const flows: Flow[] = [];
    for (let i = 0; i < connected; i++) {
      const host = hosts[i % total];
      const queue = numbered('queue', i);
      await declareAll(broker, [queue], host);
      const through = await flowOf(broker, [queue], host);
      flows.push(through(publishCycle([publishBytes('', queue, BODY_BYTES)])));
    }
    const inAll = async (messages: number): Promise<number> => {
      const moved = await Promise.all(flows.map((flow) => flow(messages / connected)));
      return moved.reduce((sum, each) => sum + each, 0);
    };
    sides.push({ broker, one: { broker, flow: flows[0] }, all: { broker, flow: inAll } });
  }
  const [small, large] = sides;
  const text = `${few} and ${count(many)} vhosts`;
  await compare(report, `${text}, one of them used`, small.one, large.one, quick);
  const spread = `${connected} connections to one vhost, and to ${connected} of them`;
  await compare(report, `${text}, ${spread}`, small.all, large.all, quick);
  for (const { broker } of sides) await broker.stop();
};

// Whether a long queue delivers as fast as a short one: the same messages are moved from publisher to consumer while the queue is
// nearly empty, then gathered in it by the million and drained.
import { BrokerProcess } from '../broker-process.ts';
import { publishBytes } from '../client.ts';
import { connectTo, DeliveryCount, declareQueue, messagesIn, publishAtLeast, publishCycle } from './load.ts';
import { count, type Group, megabytes, type Report } from './report.ts';

const BODY_BYTES = 100;
const LEAST_SHARE = 0.5;

interface Variant {
  readonly name: string;
  readonly persistent: boolean;
  readonly ackEvery: number;
  readonly prefetch: number;
}

const VARIANTS: readonly Variant[] = [
  { name: 'transient, auto-ack', persistent: false, ackEvery: 0, prefetch: 0 },
  { name: 'persistent, prefetch 500, an ack every 50', persistent: true, ackEvery: 50, prefetch: 500 },
];

interface Span {
  readonly rate: number;
  /** Of the broker, microseconds a message. */
  readonly cpuUs: number;
}

/** Times `work`, which moves so many messages. */
async function timed(broker: BrokerProcess, messages: number, work: () => Promise<unknown>): Promise<Span> {
  const cpu = broker.cpuSeconds();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  return { rate: messages / seconds, cpuUs: ((broker.cpuSeconds() - cpu) * 1e6) / messages };
}

const inWords = ({ rate, cpuUs }: Span): string => `${count(Math.round(rate))}/s (${cpuUs.toFixed(2)} µs of CPU each)`;

async function measure(report: Report, total: number, variant: Variant): Promise<void> {
  await using broker = await BrokerProcess.start();
  const properties = variant.persistent ? { deliveryMode: 2 } : {};
  const cycle = publishCycle([publishBytes('', 'backlog', BODY_BYTES, properties)]);
  const publisher = await connectTo(broker);
  await declareQueue(publisher, 'backlog', true);
  /** Whole cycles, so that what is expected is known before. */
  const wholeCycles = (messages: number): number => Math.ceil(messages / cycle.messages) * cycle.messages;

  const throughShort = wholeCycles(Math.min(1_000_000, total));
  let consumer = await connectTo(broker);
  let deliveries = new DeliveryCount(consumer, variant.ackEvery);
  await consumer.consume('backlog', variant.ackEvery === 0, variant.prefetch);
  const move = async (expected: number): Promise<void> => {
    const all = deliveries.reached(expected);
    await Promise.all([publishAtLeast(publisher, cycle, throughShort), all]);
  };
  await move(throughShort);
  const short = await timed(broker, throughShort, () => move(2 * throughShort));
  await consumer.close();
  const left = await messagesIn(publisher, 'backlog');
  if (left !== 0) throw new Error(`${left} messages are left`);

  const gathered = wholeCycles(total);
  const mostRss = broker.watchRss();
  const filled = await timed(broker, gathered, async () => {
    await publishAtLeast(publisher, cycle, gathered);
    const found = await messagesIn(publisher, 'backlog');
    if (found !== gathered) throw new Error(`${found} messages instead of ${gathered}`);
  });
  consumer = await connectTo(broker);
  deliveries = new DeliveryCount(consumer, variant.ackEvery);
  const drained = await timed(broker, gathered, async () => {
    const all = deliveries.reached(gathered);
    await consumer.consume('backlog', variant.ackEvery === 0, variant.prefetch);
    await all;
  });
  const share = drained.rate / short.rate;
  const rss = megabytes(mostRss());
  const rest = `filled at ${count(Math.round(filled.rate))}/s, RSS at most ${rss}`;
  report(
    `${count(gathered)} messages of ${BODY_BYTES} B, ${variant.name}`,
    `drained at ${inWords(drained)}, ${share.toFixed(2)} of a short queue's ${inWords(short)}; ${rest}`,
    { text: `≥ ${LEAST_SHARE} of it`, met: share >= LEAST_SHARE },
  );
}

export const backlog: Group = async (report, { quick }) => {
  for (const variant of VARIANTS) await measure(report, quick ? 1_000_000 : 10_000_000, variant);
};

// Scenarios of one thing at a time: how long it takes, or how often it can be done one after the other.
import { readUInt32 } from '../../codec/integers.ts';
import { peekReplyTo } from '../../codec/properties.ts';
import { BenchClient } from './client.ts';

import { PublishReel, SEQUENCE_BYTES } from './reel.ts';
import { cpuPerMillion, type Figure, rateOf } from './scenario.ts';
import type { Session } from './session.ts';
import type { Tally } from './tally.ts';

const REPLY_TO = 'amq.rabbitmq.reply-to';

/**
 * How long messages are on their way, from the write to the read, at a rate that the broker can do easily. Two figures: the time
 * that half of them took at most, and that 99 of 100 did, in microseconds. What is due is sent once a millisecond.
 */
export async function latency(
  session: Session,
  count: number,
  { rate, bodySize }: { readonly rate: number; readonly bodySize: number },
): Promise<readonly Figure[]> {
  const [publisher, consumer] = [await session.connect(), await session.connect()];
  const queue = await session.declareQueue(publisher);
  const tally = session.expect('messages', count);
  const micros = new Float64Array(count);
  consumer.onMessage = (_deliveryTag, buffer, start) => {
    micros[tally.count] = (performance.now() - buffer.readDoubleBE(start + SEQUENCE_BYTES)) * 1000;
    tally.tick(readUInt32(buffer, start));
  };
  await consumer.consume(queue, true);
  // As many as are sent: none is written over while it is on its way.
  const reel = new PublishReel([{ exchange: '', routingKey: queue, bodySize }], count);
  const lap = session.startLap();
  const startedAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(count, ((performance.now() - startedAt) * rate) / 1000);
    for (; sent < due; sent++) publisher.writeNow(reel.takeStamped(sent, performance.now()));
    session.published = sent;
    if (sent === count) clearInterval(timer);
  }, 1);
  try {
    await session.complete(tally);
  } finally {
    clearInterval(timer);
  }
  const cpu = cpuPerMillion(count, lap());
  micros.sort();
  const share = (part: number): number => micros[Math.min(count - 1, Math.floor(count * part))];
  return [share(0.5), share(0.99)].map((value) => ({ value, cpuPerMillion: cpu }));
}

/** One client, one server, one request at a time; replies come by direct reply-to. */
export async function rpc(session: Session, count: number, bodySize: number): Promise<Figure> {
  const [client, server] = [await session.connect(), await session.connect()];
  const queue = await session.declareQueue(server);
  serve(server, bodySize);
  await server.consume(queue, true);
  const tally = session.expect('replies', count);
  const request = { exchange: '', routingKey: queue, properties: { replyTo: REPLY_TO }, bodySize };
  // A request that was answered has left, so one would do.
  const reel = new PublishReel([request]);
  client.onMessage = (_deliveryTag, buffer, start) => {
    tally.tick(readUInt32(buffer, start));
    if (!tally.isComplete) client.writeNow(reel.take(tally.count, 1).bytes);
  };
  await client.consume(REPLY_TO, true);
  const lap = session.startLap();
  client.writeNow(reel.take(0, 1).bytes);
  await session.complete(tally);
  return rateOf(count, lap());
}

/** Answers requests, which all come from one client, with their own sequence numbers. */
function serve(server: BenchClient, bodySize: number): void {
  let reel: PublishReel | undefined;
  server.onProperties = (buffer, start, end) => {
    if (reel !== undefined) return;
    const routingKey = peekReplyTo(buffer, start, end);
    if (routingKey === undefined) throw new Error('a request came without the address for its reply');
    reel = new PublishReel([{ exchange: '', routingKey, bodySize }]);
  };
  server.onMessage = (_deliveryTag, buffer, start) => {
    if (reel !== undefined) server.writeNow(reel.take(readUInt32(buffer, start), 1).bytes);
  };
}

/** Connections that come and go: each declares a queue, publishes a message to it, consumes it and closes. */
export async function churn(session: Session, count: number, bodySize: number): Promise<Figure> {
  const tally = session.expect('messages', count);
  const lap = session.startLap();
  for (let i = 0; i < count; i++) await session.until(comeAndGo(session.url, i, bodySize, tally));
  return rateOf(count, lap());
}

async function comeAndGo(url: string, sequence: number, bodySize: number, tally: Tally): Promise<void> {
  const client = await BenchClient.connect(url);
  try {
    const queue = await client.declareQueue();
    const arrived = new Promise<void>((resolve, reject) => {
      client.onFailure = reject;
      client.onMessage = (_deliveryTag, buffer, start) => {
        tally.tick(readUInt32(buffer, start));
        resolve();
      };
    });
    const reel = new PublishReel([{ exchange: '', routingKey: queue, bodySize }], 1, 0);
    client.writeNow(reel.take(sequence, 1).bytes);
    await client.consume(queue, true);
    await arrived;
    await client.close();
  } finally {
    client.destroy();
  }
}

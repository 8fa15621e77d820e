// A delivery that is not acknowledged in time closes its channel. See https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
// The tests wait for the timeout side by side, so that a peer has it for a few seconds only.
import type { Channel, ChannelModel } from 'amqplib';
import t, { type Test } from 'tap';
import { againstPeer, startTarget, type Target, uniqueName } from '../helper/broker.ts';
import {
  call,
  channelClose,
  errorOf,
  openConnection,
  present,
  publish,
  quiet,
  subscribe,
  text,
} from '../helper/messages.ts';
import { passed } from '../helper/ttl.ts';
import { rabbitmqctl } from '../helper/wire-target.ts';

t.jobs = 16;

const TIMEOUT_MS = 3000;
/** How late a timeout may be found: RabbitMQ looks every half a second here, Leveret every second, at what it noted every second; and machines are slow. */
const LATE_MS = 4000;

const target = await startTarget(t, { consumerTimeoutMs: TIMEOUT_MS });
if (againstPeer) {
  t.teardown(() => setTimeouts(1_800_000, 60_000));
  await setTimeouts(TIMEOUT_MS, 500);
}

/** Of the peer: the timeout holds at once, how often it is looked at for channels to come. */
async function setTimeouts(timeoutMs: number, tickMs: number): Promise<void> {
  const setting = (name: string, value: number) => `application:set_env(rabbit, ${name}, ${value})`;
  const settings = [setting('consumer_timeout', timeoutMs), setting('channel_tick_interval', tickMs)];
  await rabbitmqctl('eval', `${settings.join(', ')}.`);
}

function timedOut(channel: number, timeoutMs = TIMEOUT_MS) {
  const reason = `delivery acknowledgement on channel ${channel} timed out. Timeout value used: ${timeoutMs} ms`;
  const advice = 'This timeout value can be configured, see consumers doc guide to learn more';
  return channelClose(406, `PRECONDITION_FAILED - ${reason}. ${advice}`, 0, 0);
}

interface Session {
  readonly connection: ChannelModel;
  /** Number 1. */
  readonly channel: Channel;
  /** Has the messages `0` and `1`. */
  readonly queue: string;
}

async function openSession(t: Test, on: Target = target, queueArguments: object = {}): Promise<Session> {
  const connection = await openConnection(t, on);
  const channel = quiet(await connection.createChannel());
  const publisher = quiet(await connection.createConfirmChannel());
  const { queue } = await publisher.assertQueue(uniqueName(), { exclusive: true, arguments: queueArguments });
  await publish(publisher, queue, ['0', '1']);
  return { connection, channel, queue };
}

/** Does something and expects that the channel is closed for it when the time is over, neither early nor late. */
async function expectTimeout(t: Test, channel: Channel, start: () => Promise<unknown>, timeoutMs = TIMEOUT_MS) {
  const failed = errorOf(channel);
  const startedAt = performance.now();
  await start();
  const begunAt = performance.now();
  t.match(await failed, timedOut(1, timeoutMs));
  const now = performance.now();
  // Timers of both sides are exact to a millisecond or two.
  t.ok(now - startedAt >= timeoutMs - 2, 'not too early');
  t.ok(now - begunAt <= timeoutMs + LATE_MS, `${now - begunAt} ms`);
}

/** Expects that the channel is still open when every timeout of the file has been found. */
async function expectNone(t: Test, channel: Channel): Promise<void> {
  let error: Error | undefined;
  channel.on('error', (each) => {
    error = each;
  });
  await passed(TIMEOUT_MS + LATE_MS);
  t.equal(error, undefined);
}

t.test('a consumer that does not acknowledge loses its channel, and its messages go back', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  await expectTimeout(t, channel, () => subscribe(channel, queue));
  const next = await connection.createChannel();
  const again = present(await next.get(queue));
  t.match(again, { fields: { redelivered: true, messageCount: 1 } });
  t.equal(text(again), '0');
});

t.test('other channels of the connection go on', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  const other = quiet(await connection.createChannel());
  await expectTimeout(t, channel, () => subscribe(channel, queue));
  t.equal((await other.checkQueue(queue)).messageCount, 2);
});

t.test('what basic.get took is to be acknowledged in time as well', async (t) => {
  const { channel, queue } = await openSession(t);
  await expectTimeout(t, channel, () => channel.get(queue));
});

t.test('what a consumer still holds after it was cancelled, too', async (t) => {
  const { channel, queue } = await openSession(t);
  await expectTimeout(t, channel, async () => {
    const { consumerTag, inbox } = await subscribe(channel, queue);
    await inbox.next();
    await channel.cancel(consumerTag);
  });
});

t.test('each delivery has its own time', async (t) => {
  const { channel, queue } = await openSession(t);
  const first = present(await channel.get(queue));
  await passed(TIMEOUT_MS / 2);
  await expectTimeout(t, channel, async () => {
    await channel.get(queue);
    channel.ack(first);
  });
});

t.test('a consumer without acknowledgements has no time limit', async (t) => {
  const { channel, queue } = await openSession(t);
  await subscribe(channel, queue, { noAck: true });
  await expectNone(t, channel);
});

t.test('nor one that acknowledges in time', async (t) => {
  const { channel, queue } = await openSession(t);
  const { inbox } = await subscribe(channel, queue);
  for (const message of await inbox.take(2)) channel.ack(message);
  await expectNone(t, channel);
});

t.test('an acknowledgement that waits for its commit is in time', async (t) => {
  const { channel, queue } = await openSession(t);
  await call(channel, 'TxSelect');
  channel.ack(present(await channel.get(queue)));
  await expectNone(t, channel);
});

t.test('after a rollback a delivery is as old as it is', async (t) => {
  const { channel, queue } = await openSession(t);
  await call(channel, 'TxSelect');
  const failed = errorOf(channel);
  channel.ack(present(await channel.get(queue)));
  await passed(TIMEOUT_MS);
  await call(channel, 'TxRollback');
  const rolledBackAt = performance.now();
  t.match(await failed, timedOut(1));
  t.ok(performance.now() - rolledBackAt <= LATE_MS);
});

// RabbitMQ 3.12 and later.
const newer = { skip: againstPeer && 'RabbitMQ 3.10 has no x-consumer-timeout' };

t.test('a queue may give its consumers another time', newer, async (t) => {
  const { channel, queue } = await openSession(t, target, { 'x-consumer-timeout': 1000 });
  await expectTimeout(t, channel, () => subscribe(channel, queue), 1000);
});

t.test('of two queues with different times, each has its own', newer, async (t) => {
  const { connection, channel, queue } = await openSession(t, target, { 'x-consumer-timeout': 60_000 });
  const { queue: quick } = await channel.assertQueue('', {
    exclusive: true,
    arguments: { 'x-consumer-timeout': 1000 },
  });
  await subscribe(channel, queue);
  await passed(TIMEOUT_MS + LATE_MS);
  const publisher = await connection.createConfirmChannel();
  await expectTimeout(
    t,
    channel,
    async () => {
      await subscribe(channel, quick);
      await publish(publisher, quick, ['quick']);
    },
    1000,
  );
});

t.test('a time limit of 0 is none', { skip: againstPeer && 'there is one peer' }, async (t) => {
  const { channel, queue } = await openSession(t, await startTarget(t, { consumerTimeoutMs: 0 }));
  await channel.get(queue);
  await expectNone(t, channel);
});

t.test('a queue that is deleted meanwhile changes nothing', async (t) => {
  const { connection, channel, queue } = await openSession(t);
  await expectTimeout(t, channel, async () => {
    await channel.get(queue);
    await (await connection.createChannel()).deleteQueue(queue);
  });
});

// How many channels a user may have, of all its connections together. One more closes the connection that asked for it. As with
// connections, RabbitMQ hears of a channel's end a little late.
import type { Channel, ChannelModel } from 'amqplib';
import t from 'tap';
import { replyText } from '../helper/amqp.ts';
import { Realm } from '../helper/realm.ts';
import { until } from '../helper/ttl.ts';

interface CloseError extends Error {
  readonly code?: number;
}

/** What the server says when this connection opens one more channel; undefined when it may. */
async function refusal(connection: ChannelModel): Promise<{ code?: number; text?: string } | undefined> {
  const failed = new Promise<CloseError>((resolve) => connection.once('error', resolve));
  const opened = connection.createChannel().then(
    () => undefined,
    () => failed,
  );
  const error = await Promise.race([failed, opened]);
  return error === undefined ? undefined : { code: error.code, text: replyText(error) };
}

function full({ user }: Realm, limit: number): object {
  const text = `NOT_ALLOWED - number of channels opened for user '${user}' has reached the maximum allowed user limit of (${limit})`;
  return { code: 530, text };
}

/** Opens a channel, on a connection of its own each time that it is tried. */
async function reopen(realm: Realm): Promise<Channel> {
  const found = await until<Channel | undefined>(
    async () => (await realm.connect()).createChannel().catch(() => undefined),
    (channel) => channel !== undefined,
  );
  if (found === undefined) throw new Error('no channel');
  return found;
}

t.test('channels of all connections count, and the connection with one too many is closed', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ channels: 3 });
  const [one, other] = [await realm.connect(), await realm.connect()];
  const kept = [await one.createChannel(), await one.createChannel()];
  await other.createChannel();
  t.same(await refusal(other), full(realm, 3));
  // Its channel went with it, the others stayed.
  for (const channel of kept) await channel.assertQueue('', { exclusive: true });
  await reopen(realm);
  t.same(await refusal(await realm.connect()), full(realm, 3));
});

t.test('a channel that is closed makes room, whoever closed it', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ channels: 1 });
  const connection = await realm.connect();
  const first = await connection.createChannel();
  await first.close();
  const second = await reopen(realm);
  second.on('error', () => undefined);
  await t.rejects(second.checkQueue('no-such-queue'));
  await reopen(realm);
});

t.test('a limit of 0 allows connections, but no channel', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ channels: 0 });
  t.same(await refusal(await realm.connect()), full(realm, 0));
});

t.test('a limit that is lowered closes nothing', async (t) => {
  const realm = await Realm.open(t);
  const connection = await realm.connect();
  const channels = [await connection.createChannel(), await connection.createChannel()];
  await realm.limitUser({ channels: 1 });
  for (const channel of channels) await channel.assertQueue('', { exclusive: true });
  t.same(await refusal(await realm.connect()), full(realm, 1));
  await realm.limitUser({ channels: -1 });
  await (await realm.connect()).createChannel();
});

t.test('what was negotiated for the connection is looked at first', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ channels: 1 });
  const connection = await realm.connect(realm.vhost, '?channelMax=1');
  await connection.createChannel();
  // The client itself keeps to what was negotiated; see test/wire/limits.test.ts for what the server says.
  await t.rejects(connection.createChannel(), /No channels left to allocate/);
});

// The life of an amqplib connection: close, error, blocked and update-secret, and what becomes of its channels.
import { type ChannelModel, IllegalOperationError } from 'amqplib';
import t from 'tap';
import { expectConnectionError, openTopology } from '../helper/amqp.ts';
import { againstPeer } from '../helper/broker.ts';

const leveretOnly = { skip: againstPeer && 'a peer cannot be stopped or starved of memory by a test' };

function closed(connection: ChannelModel): Promise<Error | undefined> {
  return new Promise((resolve) => connection.once('close', resolve));
}

t.test('close() resolves, tells it with an event, and closes the channels', async (t) => {
  const { connection, channel } = await openTopology(t);
  const connectionClosed = closed(connection);
  const channelClosed = new Promise<string>((resolve) => channel.once('close', () => resolve('closed')));
  t.equal(await connection.close(), undefined);
  t.equal(await connectionClosed, undefined, 'no error');
  t.equal(await channelClosed, 'closed');
});

t.test('a closed connection can do nothing any more', async (t) => {
  const { connection, channel } = await openTopology(t);
  await connection.close();
  await t.rejects(connection.close(), IllegalOperationError);
  await t.rejects(connection.createChannel(), IllegalOperationError);
  await t.rejects(async () => channel.checkQueue('any'), IllegalOperationError);
});

t.test('closing one connection leaves the others', async (t) => {
  const { connection, channel, connectAgain } = await openTopology(t);
  const other = await connectAgain();
  await other.createChannel();
  await other.close();
  t.same(await channel.checkExchange('amq.direct'), {});
  t.ok(await connection.createChannel());
});

t.test('closing one channel leaves the others, and its number is free again', async (t) => {
  const { connection, channel } = await openTopology(t);
  for (let i = 0; i < 10; i++) {
    const other = await connection.createChannel({ highWaterMark: 1 });
    await other.close();
    await t.rejects(async () => other.checkExchange('amq.direct'), IllegalOperationError);
  }
  t.same(await channel.checkExchange('amq.direct'), {});
});

t.test('an error that closes the connection closes every channel of it', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const failed = new Promise((resolve) => connection.once('error', resolve));
  const channels = [channel, await connection.createChannel(), await connection.createConfirmChannel()];
  const channelsClosed = channels.map((each) => new Promise((resolve) => each.once('close', resolve)));
  channel.assertExchange(name(), 'x-nothing').catch(() => undefined); // rejected as well, once the connection is closed
  t.match(await failed, { code: 503, message: /COMMAND_INVALID - unknown exchange type 'x-nothing'/ });
  await Promise.all(channelsClosed);
  await t.rejects(connection.createChannel(), IllegalOperationError);
});

t.test('an error that closes a connection leaves other connections', async (t) => {
  const session = await openTopology(t);
  const expected = { code: 503, text: "COMMAND_INVALID - unknown exchange type 'x-nothing'" };
  await expectConnectionError(t, session, (channel) => channel.assertExchange(session.name(), 'x-nothing'), expected);
  t.same(await session.channel.checkExchange('amq.direct'), {});
});

t.test('an error on one channel leaves the other channels of its connection', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const failing = await connection.createChannel();
  const failed = new Promise<Error>((resolve) => failing.once('error', resolve));
  const failingClosed = new Promise((resolve) => failing.once('close', resolve));
  await t.rejects(failing.checkQueue(name()), {
    code: 404,
    message: 'Operation failed: QueueDeclare; 404 (NOT-FOUND)',
  });
  t.match(await failed, { code: 404, classId: 50, methodId: 10 });
  await failingClosed;
  t.same(await channel.checkExchange('amq.direct'), {});
  t.ok(await connection.createChannel());
});

t.test('methods behind the one that failed get no answer', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const failing = await connection.createChannel();
  failing.on('error', () => undefined);
  const queue = name();
  const results = await Promise.allSettled([failing.checkQueue(queue), failing.assertQueue(queue)]);
  t.same(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await t.resolves(channel.deleteQueue(queue));
});

t.test('updateSecret() resolves, tells it with an event, and the connection goes on', async (t) => {
  const { connection, channel } = await openTopology(t);
  const updated = new Promise<string>((resolve) => connection.once('update-secret-ok', () => resolve('updated')));
  t.equal(await connection.updateSecret(Buffer.from('new secret'), 'a test'), undefined);
  t.equal(await updated, 'updated');
  t.same(await channel.checkExchange('amq.direct'), {});
});

t.test('a broker that closes forces its connections to close, which is no error to amqplib', leveretOnly, async (t) => {
  const { connection, channel, target } = await openTopology(t);
  const errors: Error[] = [];
  connection.on('error', (error) => errors.push(error));
  const channelClosed = new Promise((resolve) => channel.once('close', resolve));
  const forced = closed(connection);
  await target.broker?.close();
  t.match(await forced, { code: 320, message: /CONNECTION_FORCED/ });
  await channelClosed;
  t.same(errors, []);
});

t.test('a publisher hears that it is blocked, and that it is not any more', leveretOnly, async (t) => {
  const { channel, connectAgain, name } = await openTopology(t, { memoryLimitBytes: 1_000_000 });
  const queue = name();
  await channel.assertQueue(queue);
  const connection = await connectAgain();
  const publisher = await connection.createChannel();
  const blocked = new Promise<string>((resolve) => connection.once('blocked', resolve));
  const unblocked = new Promise<string>((resolve) => connection.once('unblocked', () => resolve('unblocked')));
  let ended = false;
  const publishUntilBlocked = async () => {
    while (!ended) {
      publisher.sendToQueue(queue, Buffer.alloc(100_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const publishing = publishUntilBlocked();
  t.equal(await blocked, 'low on memory');
  ended = true;
  await publishing;
  t.ok((await channel.purgeQueue(queue)).messageCount > 0, 'consumers and other methods go on');
  t.equal(await unblocked, 'unblocked');
});

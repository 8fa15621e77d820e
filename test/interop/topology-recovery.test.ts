// The recovery option of amqplib's connect(): a connection that comes back by itself.
import { type ChannelModel, connect, type RecoveringChannelModel, type RecoveryOptions } from 'amqplib';
import t, { type Test } from 'tap';
import { againstPeer, startTarget, uniqueName } from '../helper/broker.ts';
import { quiet } from '../helper/messages.ts';

const atOnce = { initialDelay: 1, maxDelay: 1, jitter: 0, factor: 1 };

/** A recovering connection that the test's end closes. Errors are expected: they are what it recovers from. */
async function openRecovering(t: Test, url: string, recovery: RecoveryOptions | true): Promise<RecoveringChannelModel> {
  const connection = quiet(await connect(url, { recovery }));
  t.teardown(() => connection.close());
  return connection;
}

/** Makes the server close the connection: an unknown exchange type is an error of the whole connection. */
async function provokeClose(connection: RecoveringChannelModel): Promise<Error> {
  const disconnected = new Promise<Error>((resolve) => connection.once('disconnect', resolve));
  const channel = quiet(await connection.createChannel());
  channel.assertExchange(uniqueName(), 'x-nothing').catch(() => undefined);
  return disconnected;
}

async function expectUsable(t: Test, connection: RecoveringChannelModel): Promise<void> {
  for (const channel of [await connection.createChannel(), await connection.createConfirmChannel()]) {
    t.same(await channel.checkExchange('amq.direct'), {});
  }
}

t.test('it is usable, with recovery: true', async (t) => {
  const { url } = await startTarget(t);
  await expectUsable(t, await openRecovering(t, url, true));
});

t.test('it comes back when the server has closed it', async (t) => {
  const { url } = await startTarget(t);
  const connection = await openRecovering(t, url, atOnce);
  const scheduled = new Promise((resolve) => connection.once('reconnect-scheduled', resolve));
  const connected = new Promise((resolve) => connection.once('connect', resolve));
  t.match(await provokeClose(connection), { code: 503 });
  t.match(await scheduled, { attempt: 1, delay: 1 });
  await connected;
  await expectUsable(t, connection);
});

t.test('channels wait for the connection to be back', async (t) => {
  const { url } = await startTarget(t);
  const connection = await openRecovering(t, url, atOnce);
  await provokeClose(connection);
  await expectUsable(t, connection);
});

t.test('setup runs on every connection', async (t) => {
  const { url } = await startTarget(t);
  const queues: string[] = [];
  const setup = async (model: ChannelModel) => {
    const channel = await model.createChannel();
    queues.push((await channel.assertQueue('', { exclusive: true })).queue);
  };
  const connection = await openRecovering(t, url, { ...atOnce, setup });
  t.equal(queues.length, 1);
  const connected = new Promise((resolve) => connection.once('connect', resolve));
  await provokeClose(connection);
  await connected;
  t.equal(new Set(queues).size, 2);
  t.match(await (await connection.createChannel()).checkQueue(`${queues[1]}`), { queue: queues[1] });
});

t.test('calculateDelay decides when', async (t) => {
  const { url } = await startTarget(t);
  const attempts: number[] = [];
  const calculateDelay = (attempt: number) => {
    attempts.push(attempt);
    return 0;
  };
  const connection = await openRecovering(t, url, { calculateDelay });
  await provokeClose(connection);
  await expectUsable(t, connection);
  t.same(attempts, [1]);
});

t.test('waitForConnect: false resolves before the first connection', async (t) => {
  const { url } = await startTarget(t);
  const connection = await openRecovering(t, url, { ...atOnce, waitForConnect: false });
  const connected = new Promise((resolve) => connection.once('connect', resolve));
  t.equal(await connection.waitForConnect(), connection);
  await connected;
  await expectUsable(t, connection);
});

t.test('a refused login is tried again as often as maxRetries says, then connect() fails', async (t) => {
  const { host, port } = await startTarget(t);
  const recovery = { ...atOnce, maxRetries: 2, waitForConnect: false };
  const connection = quiet(await connect(`amqp://guest:wrong@${host}:${port}`, { recovery }));
  const failures: Error[] = [];
  connection.on('connect-failed', (error) => failures.push(error));
  const failed = new Promise((resolve) => connection.once('reconnect-failed', resolve));
  await t.rejects(connection.waitForConnect(), { message: 'ACCESS_REFUSED - Login was refused' });
  t.match(await failed, { message: /ACCESS_REFUSED/ });
  t.equal(failures.length, 3);
});

t.test('initialMaxRetries bounds the first connection', async (t) => {
  const { host, port } = await startTarget(t);
  const recovery = { ...atOnce, initialMaxRetries: 0 };
  await t.rejects(connect(`amqp://guest:wrong@${host}:${port}`, { recovery }), { message: 'ACCESS_REFUSED' });
});

t.test('updateSecret goes through', async (t) => {
  const { url } = await startTarget(t);
  const connection = await openRecovering(t, url, atOnce);
  const updated = new Promise<string>((resolve) => connection.once('update-secret-ok', () => resolve('updated')));
  await connection.updateSecret(Buffer.from('new secret'), 'a test');
  t.equal(await updated, 'updated');
});

t.test('close() ends it for good', async (t) => {
  const { url } = await startTarget(t);
  const connection = await openRecovering(t, url, atOnce);
  await connection.close();
  await t.rejects(connection.createChannel(), { message: 'Connection closed' });
});

const leveretOnly = { skip: againstPeer && 'a peer cannot be restarted by a test' };

t.test('it comes back when the broker does, on the same port', leveretOnly, async (t) => {
  const first = await startTarget(t);
  const connection = await openRecovering(t, first.url, atOnce);
  const disconnected = new Promise((resolve) => connection.once('disconnect', resolve));
  await first.broker?.close();
  await disconnected;
  await startTarget(t, { port: first.port });
  await expectUsable(t, connection);
});

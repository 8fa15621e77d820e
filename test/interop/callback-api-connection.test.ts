// amqplib's callback API: connecting, channels, closing, and errors through callbacks.
import { createServer } from 'node:net';
import {
  type Channel,
  type ConfirmChannel,
  type Connection,
  connect,
  credentials,
  type RecoveringConnection,
} from 'amqplib/callback_api';
import t, { type Test } from 'tap';
import { startTarget, type Target, uniqueName } from '../helper/broker.ts';
import { answer, channelClose, quiet } from '../helper/messages.ts';

/** The object form of an URL. */
function parts(target: Target) {
  const { hostname, port, username, password } = new URL(target.url);
  return { protocol: 'amqp', hostname, port: Number(port || 5672), username, password };
}

async function open(t: Test): Promise<{ target: Target; connection: Connection }> {
  const target = await startTarget(t);
  const connection = quiet(await answer<Connection>((done) => connect(target.url, done)));
  t.teardown(() => answer((done) => connection.close(done)).catch(() => undefined)); // a test may have closed it already
  return { target, connection };
}

t.test('connect with an URL', async (t) => {
  const { connection } = await open(t);
  const { product, version } = connection.connection.serverProperties;
  t.equal(product, 'RabbitMQ');
  t.match(version, /^\d+\.\d+\.\d+/);
});

t.test('connect with an URL and socket options', async (t) => {
  const target = await startTarget(t);
  const options = { noDelay: true, keepAlive: true, keepAliveDelay: 1000, timeout: 10_000 };
  const clientProperties = { connection_name: 'a hare' };
  const connection = await answer<Connection>((done) => connect(target.url, { ...options, clientProperties }, done));
  await answer((done) => connection.close(done));
});

t.test('connect with an object', async (t) => {
  const target = await startTarget(t);
  const options = { ...parts(target), vhost: '/', locale: 'en_US', frameMax: 8192, channelMax: 10, heartbeat: 5 };
  const connection = await answer<Connection>((done) => connect(options, done));
  await answer((done) => connection.close(done));
});

for (const mechanism of ['plain', 'amqplain'] as const) {
  t.test(`connect with ${mechanism} credentials`, async (t) => {
    const target = await startTarget(t);
    const options = { credentials: credentials[mechanism]('guest', 'guest') };
    const connection = await answer<Connection>((done) => connect(target.url, options, done));
    await answer((done) => connection.close(done));
  });
}

t.test('a wrong password is given to the callback', async (t) => {
  const target = await startTarget(t);
  const attempt = answer((done) => connect({ ...parts(target), password: 'wrong' }, done));
  await t.rejects(attempt, {
    message:
      '403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.' +
      ' For details see the broker logfile."',
  });
});

t.test('an unknown vhost is given to the callback', async (t) => {
  const target = await startTarget(t);
  const attempt = answer((done) => connect({ ...parts(target), vhost: 'nowhere' }, done));
  await t.rejects(attempt, { message: 'Expected ConnectionOpenOk; got <ConnectionClose channel:0>' }); // all that amqplib says
});

t.test('a port where nobody listens is given to the callback', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await answer((done) => server.on('listening', () => done(null)));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  await answer((done) => server.close(done));
  await t.rejects(
    answer((done) => connect(`amqp://127.0.0.1:${port}`, done)),
    { code: 'ECONNREFUSED' },
  );
});

t.test('connect with recovery', async (t) => {
  const target = await startTarget(t);
  const recovery = { maxRetries: 1 };
  const connection = await answer<RecoveringConnection>((done) => connect(target.url, { recovery }, done));
  await answer((done) => connection.waitForConnect(done));
  const channel = await answer<Channel>((done) => connection.createChannel(done));
  const { queue } = await answer<{ queue: string }>((done) => channel.assertQueue('', { exclusive: true }, done));
  t.match(queue, /^amq\.gen-/);
  await answer((done) => connection.close(done));
});

t.test('createChannel and createConfirmChannel, with and without options', async (t) => {
  const { connection } = await open(t);
  const channels = [
    await answer<Channel>((done) => connection.createChannel(done)),
    await answer<Channel>((done) => connection.createChannel({ highWaterMark: 5 }, done)),
    await answer<ConfirmChannel>((done) => connection.createConfirmChannel(done)),
    await answer<ConfirmChannel>((done) => connection.createConfirmChannel({ highWaterMark: 5 }, done)),
  ];
  for (const channel of channels) {
    const { queue } = await answer<{ queue: string }>((done) => channel.assertQueue('', { exclusive: true }, done));
    t.match(queue, /^amq\.gen-/);
  }
});

t.test('channel.close calls back and emits close; then the channel throws', async (t) => {
  const { connection } = await open(t);
  const channel = await answer<Channel>((done) => connection.createChannel(done));
  const closed = new Promise<void>((resolve) => channel.on('close', resolve));
  await answer((done) => channel.close(done));
  await closed;
  t.throws(() => channel.sendToQueue('q', Buffer.from('x')), { name: 'IllegalOperationError' });
});

t.test('connection.close calls back and emits close; then the connection throws', async (t) => {
  const { connection } = await open(t);
  const closed = new Promise<void>((resolve) => connection.on('close', () => resolve()));
  await answer((done) => connection.close(done));
  await closed;
  await t.rejects(
    answer((done) => connection.createChannel(done)),
    { name: 'IllegalOperationError' },
  );
});

t.test('connection.close closes its channels', async (t) => {
  const { connection } = await open(t);
  const channel = await answer<Channel>((done) => connection.createChannel(done));
  const closed = new Promise<void>((resolve) => channel.on('close', resolve));
  connection.close();
  await t.resolves(closed);
});

t.test('a channel error goes to the callback, the error event and the close event', async (t) => {
  const { connection } = await open(t);
  const channel = await answer<Channel>((done) => connection.createChannel(done));
  const events: string[] = [];
  channel.on('error', () => events.push('error'));
  const closed = new Promise<void>((resolve) => channel.on('close', () => resolve(void events.push('close'))));
  const name = uniqueName();
  const expected = channelClose(404, `NOT_FOUND - no queue '${name}' in vhost '/'`, 50, 10);
  await t.rejects(
    answer((done) => channel.checkQueue(name, done)),
    expected,
  );
  await closed;
  t.same(events, ['error', 'close']);
  const next = await answer<Channel>((done) => connection.createChannel(done));
  await answer((done) => next.close(done));
});

t.test('calls that wait behind the one that failed fail too', async (t) => {
  const { connection } = await open(t);
  const channel = quiet(await answer<Channel>((done) => connection.createChannel(done)));
  const failed = answer((done) => channel.checkQueue(uniqueName(), done));
  const waiting = answer((done) => channel.assertQueue('', {}, done));
  await t.rejects(failed, { code: 404 });
  await t.rejects(waiting, { message: 'Channel ended, no reply will be forthcoming' });
});

t.test('updateSecret is answered', async (t) => {
  const { connection } = await open(t);
  await t.resolves(answer((done) => connection.updateSecret(Buffer.from('guest'), 'renewed', done)));
});

t.test('many channels open and close on one connection', async (t) => {
  const { connection } = await open(t);
  const open50 = () =>
    Promise.all(Array.from({ length: 50 }, () => answer<Channel>((done) => connection.createChannel(done))));
  for (let round = 0; round < 3; round++) {
    const channels = await open50();
    await Promise.all(channels.map((channel) => answer((done) => channel.close(done))));
  }
});

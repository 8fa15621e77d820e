// broker.close: what clients see, that it ends in time whatever they do, and that nothing is left that keeps a process alive.
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectAmqp } from 'amqplib';
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import { runScript } from '../helper/embed-child.ts';
import { closeText, EmbedClient, sharedQueueDeclare, turnsUntil } from '../helper/embed-client.ts';
import { createPair } from '../helper/embed-pair.ts';
import { quiet } from '../helper/messages.ts';
import { basicPublish, contentHeader, PROTOCOL_HEADER } from '../helper/wire-bytes.ts';

const SHUTDOWN_TEXT = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
/** So long that a test that needs the time-out to end would be seen to hang. */
const NEVER_MS = 2 ** 31 - 1;

/** A client that goes silent once its connection is open: it neither reads nor answers. */
async function silentClient(t: Test, broker: Broker): Promise<EmbedClient> {
  const client = await EmbedClient.connect(t, broker.port);
  client.stream.pause();
  return client;
}

t.test('amqplib clients are closed with RabbitMQ 320 CONNECTION_FORCED and its text', async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: NEVER_MS });
  const connections = [quiet(await connectAmqp(broker.url)), quiet(await connectAmqp(broker.url))];
  const channel = quiet(await connections[0].createChannel());
  await channel.assertQueue('busy');
  await channel.consume('busy', () => {});
  // To amqplib this is no error, but a reason to be closed.
  const closed = Promise.all(connections.map((connection) => once(connection, 'close')));
  await broker.close();
  for (const [reason] of await closed) t.match(reason, { code: 320, message: SHUTDOWN_TEXT });
  t.equal(broker.connectionCount, 0);
  t.same([...broker.connectionEnds], [['shutdown', 2]]);
});

t.test("connection.close names no method, as it is nobody's mistake", async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: NEVER_MS });
  const client = await EmbedClient.connect(t, broker.port);
  const told = client.expect(0, 10, 50);
  await broker.close();
  const args = await told;
  t.equal(args.readUInt16BE(0), 320);
  t.equal(closeText(args), SHUTDOWN_TEXT);
  t.equal(args.readUInt32BE(args.length - 4), 0, 'class 0, method 0');
});

t.test('close is idempotent: every call gives the same promise', async (t) => {
  const broker = await createBroker({ port: 0 });
  const first = broker.close();
  t.equal(broker.close(), first);
  await first;
  t.equal(broker.close(), first);
  await broker[Symbol.asyncDispose]();
});

t.test('a closed broker does not listen any more', async (t) => {
  const broker = await createBroker({ port: 0 });
  await broker.close();
  const socket = connect(broker.port, broker.host);
  const [error] = await once(socket, 'error');
  t.equal(error.code, 'ECONNREFUSED');
});

t.test('a broker without clients closes at once, whatever the time-out', async () => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: NEVER_MS });
  await broker.close();
});

t.test('await using closes the broker at the end of the block', async (t) => {
  let client: EmbedClient;
  let broker: Broker;
  {
    await using scoped = await createBroker({ port: 0, shutdownTimeoutMs: NEVER_MS });
    broker = scoped;
    client = await EmbedClient.connect(t, scoped.port);
    t.equal(scoped.connectionCount, 1);
  }
  t.equal(broker.connectionCount, 0);
  t.equal(closeText(await client.expect(0, 10, 50)), SHUTDOWN_TEXT);
  await client.closed;
});

t.test('a client that does not answer is cut after shutdownTimeoutMs', async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: 100 });
  const silent = await silentClient(t, broker);
  const polite = await EmbedClient.connect(t, broker.port);
  await broker.close();
  t.equal(broker.connectionCount, 0);
  silent.stream.resume();
  await silent.closed;
  await polite.closed;
  t.equal(closeText(await silent.expect(0, 10, 50).catch(() => Buffer.alloc(3))), SHUTDOWN_TEXT, 'it was told');
  t.same([...broker.connectionEnds], [['shutdown', 2]]);
});

t.test('shutdownTimeoutMs 0 waits for nobody', async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: 0 });
  await silentClient(t, broker);
  await broker.close();
  t.equal(broker.connectionCount, 0);
});

t.test('clients that have not opened their connection are cut without waiting', async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: NEVER_MS });
  const mute = connect(broker.port, broker.host);
  const started = connect(broker.port, broker.host);
  t.teardown(() => [mute, started].map((socket) => socket.destroy()));
  started.write(PROTOCOL_HEADER);
  await once(started, 'data');
  await turnsUntil(() => broker.connectionCount === 2);
  await broker.close();
  t.same([...broker.connectionEnds], [['shutdown', 2]]);
});

t.test('a client in the middle of a message does not hold up the close', async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: NEVER_MS });
  const client = await EmbedClient.connect(t, broker.port);
  await client.openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'q'));
  client.send(basicPublish(1, { routingKey: 'q' }), contentHeader(1, 1_000_000));
  await client.openChannel(2);
  await broker.close();
  t.equal(broker.memoryUsedBytes, 0);
});

t.test('a silent client in memory is cut as well', async (t) => {
  const broker = await createBroker({ port: 0, shutdownTimeoutMs: 10 });
  const [ours, theirs] = createPair('next-turn');
  broker.accept(ours);
  const client = await new EmbedClient(theirs).open();
  theirs.pause();
  await broker.close();
  await client.closed;
  t.ok(ours.destroyed);
});

// What keeps a process alive shows only in a process of its own.

const CONNECT_AND_WORK = `
  import { connect } from 'amqplib';
  import { createBroker } from './lib/index.ts';
  const broker = await createBroker({ port: 0 });
  const connection = await connect(broker.url);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('q');
  await channel.consume('q', () => {}, { noAck: true });
  channel.sendToQueue('q', Buffer.from('x'));
  await channel.waitForConfirms();
`;

t.test('a process ends by itself once its broker is closed', async (t) => {
  const { exitCode, stderr, stdout } = await runScript(
    t,
    `${CONNECT_AND_WORK}
    await connection.close();
    await broker.close();
    console.log('closed');`,
  ).ended;
  t.same({ exitCode, stderr, stdout }, { exitCode: 0, stderr: '', stdout: 'closed\n' });
});

t.test('a process ends by itself when the broker closes under its client', async (t) => {
  const { exitCode, stderr } = await runScript(
    t,
    `${CONNECT_AND_WORK}
    connection.on('error', () => {});
    channel.on('error', () => {});
    await broker.close();`,
  ).ended;
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
});

t.test('a process whose only client is in memory waits for close to end', async (t) => {
  const { exitCode, stderr, stdout } = await runScript(
    t,
    `import { createBroker } from './lib/index.ts';
    import { EmbedClient } from './test/helper/embed-client.ts';
    import { createPair } from './test/helper/embed-pair.ts';
    const broker = await createBroker({ port: 0, shutdownTimeoutMs: 50 });
    const [ours, theirs] = createPair('next-turn');
    broker.accept(ours);
    await new EmbedClient(theirs).open();
    theirs.pause();
    await broker.close();
    console.log('closed');`,
  ).ended;
  t.same({ exitCode, stderr, stdout }, { exitCode: 0, stderr: '', stdout: 'closed\n' });
});

t.test('a broker that is not closed keeps its process alive, as any server does', async (t) => {
  const script = runScript(
    t,
    `import { createBroker } from './lib/index.ts';
    const broker = await createBroker({ port: 0 });
    process.once('beforeExit', () => console.log('nothing left to do'));
    process.once('SIGTERM', () => broker.close().then(() => console.log('closed')));
    console.log(broker.url);`,
  );
  const url = (await script.printed('amqp://')).trim();
  const connection = await connectAmqp(url);
  await connection.close();
  script.signal('SIGTERM');
  const { exitCode, stdout } = await script.ended;
  t.equal(exitCode, 0);
  t.equal(stdout, `${url}\nclosed\nnothing left to do\n`, 'it had something to do until it was closed');
});

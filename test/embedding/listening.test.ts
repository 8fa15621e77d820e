// createBroker: where it listens, how clients find it, and that brokers of one process know nothing of each other.
import { connect, createServer } from 'node:net';
import { type ChannelModel, connect as connectAmqp } from 'amqplib';
import t, { type Test } from 'tap';
import { type Broker, type BrokerOptions, ConfigError, createBroker } from '../../lib/index.ts';
import { drain, publish, quiet } from '../helper/messages.ts';

async function startBroker(t: Test, options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return broker;
}

async function client(t: Test, url: string): Promise<ChannelModel> {
  const connection = quiet(await connectAmqp(url));
  t.teardown(() => connection.close().catch(() => undefined)); // a test may have closed it already
  return connection;
}

/** Publishes to a queue through this URL and takes the message again. */
async function roundTrip(t: Test, url: string): Promise<void> {
  const channel = await (await client(t, url)).createConfirmChannel();
  await channel.assertQueue('round-trip');
  await publish(channel, 'round-trip', ['there and back']);
  t.same(await drain(channel, 'round-trip'), ['there and back']);
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

t.test('when createBroker resolves, a client can connect at once', async (t) => {
  const broker = await startBroker(t);
  const socket = connect(broker.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  t.pass('connected');
});

t.test('port 0 takes a free port, and broker.port tells which', async (t) => {
  const broker = await startBroker(t);
  t.ok(broker.port > 0 && broker.port <= 65535, `${broker.port}`);
  t.match(broker.url, `:${broker.port}/`);
});

t.test('a port that is asked for is the port that it listens on', async (t) => {
  const port = await freePort();
  const broker = await startBroker(t, { port });
  t.equal(broker.port, port);
});

t.test('it listens on 127.0.0.1 unless told otherwise', async (t) => {
  const broker = await startBroker(t);
  t.equal(broker.host, '127.0.0.1');
  t.equal(broker.url, `amqp://guest:guest@127.0.0.1:${broker.port}/%2F`);
  // The whole of 127.0.0.0/8 is this machine, and only one address of it is listened on.
  const elsewhere = connect(broker.port, '127.0.0.2');
  t.teardown(() => elsewhere.destroy());
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => elsewhere.once('error', resolve));
  t.equal(error.code, 'ECONNREFUSED');
});

t.test('a broker that listens everywhere has a URL that leads to it', async (t) => {
  const broker = await startBroker(t, { host: '0.0.0.0' });
  t.equal(broker.host, '0.0.0.0');
  await roundTrip(t, broker.url);
});

t.test('broker.url is what a client needs, as it is', async (t) => {
  await t.test('with the default user and virtual host', async (t) => {
    await roundTrip(t, (await startBroker(t)).url);
  });

  await t.test('with a user, password and virtual host full of special characters', async (t) => {
    // All ASCII in user and password: amqplib decodes those two with unescape(), which knows no UTF-8.
    const broker = await startBroker(t, {
      users: [{ name: 'me@home:1/2', password: 'p@ss:w/o#r?d%25 &+' }],
      vhosts: ['/team/ä b?#%2F'],
    });
    await roundTrip(t, broker.url);
  });

  await t.test('for the first of several users and virtual hosts', async (t) => {
    const broker = await startBroker(t, {
      users: [
        { name: 'first', password: 'one' },
        { name: 'second', password: 'two' },
      ],
      vhosts: ['primary', '/'],
    });
    t.equal(broker.url, `amqp://first:one@127.0.0.1:${broker.port}/primary`);
    await roundTrip(t, broker.url);
    await roundTrip(t, `amqp://second:two@127.0.0.1:${broker.port}/%2F`);
  });
});

t.test('brokers side by side share nothing', async (t) => {
  const one = await startBroker(t);
  const other = await startBroker(t, { users: [{ name: 'else', password: 'where' }] });
  t.not(one.port, other.port);
  const channel = await (await client(t, one.url)).createConfirmChannel();
  const otherConnection = await client(t, other.url);
  await channel.assertQueue('mine');
  await channel.assertExchange('also-mine', 'fanout');
  await publish(channel, 'mine', ['secret']);

  for (const lookUp of ['checkQueue', 'checkExchange'] as const) {
    const otherChannel = quiet(await otherConnection.createChannel());
    await t.rejects(otherChannel[lookUp](lookUp === 'checkQueue' ? 'mine' : 'also-mine'), { code: 404 });
  }
  await t.rejects(connectAmqp(one.url.replace('guest:guest', 'else:where')), /ACCESS_REFUSED/);
  t.ok(one.memoryUsedBytes > 0);
  t.equal(other.memoryUsedBytes, 0);

  await other.close();
  t.same(await drain(channel, 'mine'), ['secret'], 'closing one broker leaves the other alone');
});

t.test('a port that is taken rejects with EADDRINUSE, and leaves nothing behind', async (t) => {
  const broker = await startBroker(t);
  await t.rejects(createBroker({ port: broker.port }), { code: 'EADDRINUSE', syscall: 'listen' });
  await broker.close();
  await startBroker(t, { port: broker.port });
});

t.test('an address that is not of this machine rejects with the error of the socket', async (t) => {
  await t.rejects(createBroker({ port: 0, host: '192.0.2.1' }), { code: 'EADDRNOTAVAIL' });
});

t.test('bad options reject with ConfigError, before anything listens', async (t) => {
  const port = await freePort();
  const cases: [options: Record<string, unknown>, message: RegExp][] = [
    [{ prot: 5672 }, /unknown option 'prot'.*'port'/],
    [{ port: 65536 }, /option 'port': 65536 is not an integer from 0 to 65535/],
    [{ port: '5672' }, /option 'port'/],
    [{ vhosts: [] }, /option 'vhosts'/],
    [{ users: [{ name: 'nobody' }] }, /option 'users'/],
    [{ memoryLimitBytes: '120%' }, /option 'memoryLimitBytes'/],
    [{ exchangeTypes: [{ name: 'half' }] }, /option 'exchangeTypes'/],
    [{ host: '' }, /option 'host'/],
  ];
  for (const [options, message] of cases) {
    const error = await createBroker({ port, ...options } as BrokerOptions).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof ConfigError)) t.fail(`${JSON.stringify(options)} gave ${error}`);
    else t.match(error.message, message);
  }
  await startBroker(t, { port });
});

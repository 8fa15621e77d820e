// connect() of amqplib: addresses, virtual hosts, credentials, and what is negotiated.
import { type ChannelModel, connect, credentials, type Options } from 'amqplib';
import t, { type Test } from 'tap';
import { replyText } from '../helper/amqp.ts';
import { againstPeer, startTarget, type Target } from '../helper/broker.ts';
import { quiet } from '../helper/messages.ts';

type Address = string | Options.Connect;

/** Opens a connection that the test's end closes. */
async function open(t: Test, address: Address, options = {}): Promise<ChannelModel> {
  const connection = quiet(await connect(address, options));
  t.teardown(() => connection.close().catch(() => undefined)); // a test may have closed it already
  return connection;
}

async function expectUsable(t: Test, connection: ChannelModel): Promise<void> {
  const channel = await connection.createChannel();
  t.match(await channel.assertQueue('', { exclusive: true }), { messageCount: 0 });
}

/** What both sides agreed on; amqplib keeps it beside what its types tell. */
function negotiated(connection: ChannelModel) {
  const { frameMax, channelMax, heartbeat } = connection.connection as unknown as Record<string, number>;
  return { frameMax, channelMax, heartbeat };
}

function fieldsOf({ url, host, port }: Target): Options.Connect {
  const { username, password } = new URL(url);
  return { hostname: host, port, username, password };
}

const leveretOnly = { skip: againstPeer && 'the peer has no such users and virtual hosts' };

for (const path of ['', '/', '/%2F', '/%2f', '//']) {
  t.test(`the path '${path}' of a URL is the virtual host /`, async (t) => {
    const { url } = await startTarget(t);
    await expectUsable(t, await open(t, `${withoutPath(url)}${path}`));
  });
}

function withoutPath(url: string): string {
  const { protocol, username, password, host } = new URL(url);
  return `${protocol}//${username}:${password}@${host}`;
}

t.test('a virtual host that does not exist is refused', async (t) => {
  const { url } = await startTarget(t);
  await t.rejects(connect(`${withoutPath(url)}/not-there`), {
    message: 'Expected ConnectionOpenOk; got <ConnectionClose',
  });
});

t.test('the address may be an object', async (t) => {
  const target = await startTarget(t);
  const all = {
    ...fieldsOf(target),
    protocol: 'amqp',
    vhost: '/',
    locale: 'en_US',
    frameMax: 8192,
    heartbeat: 7,
    channelMax: 9,
  };
  const connection = await open(t, all);
  t.same(negotiated(connection), { frameMax: 8192, channelMax: 9, heartbeat: 7 });
  await expectUsable(t, connection);
});

t.test('the user is guest when none is given', async (t) => {
  const { host, port } = await startTarget(t);
  await expectUsable(t, await open(t, { hostname: host, port }));
  await expectUsable(t, await open(t, `amqp://${host}:${port}`));
});

for (const [options, expected] of [
  [{}, { frameMax: 131_072, channelMax: 2047, heartbeat: 60 }],
  [{ heartbeat: 5 }, { frameMax: 131_072, channelMax: 2047, heartbeat: 5 }],
  [{ heartbeat: 0 }, { frameMax: 131_072, channelMax: 2047, heartbeat: 0 }],
  [{ frameMax: 4096 }, { frameMax: 4096, channelMax: 2047, heartbeat: 60 }],
  [{ frameMax: 0 }, { frameMax: 131_072, channelMax: 2047, heartbeat: 60 }],
  [{ frameMax: 1_000_000 }, { frameMax: 131_072, channelMax: 2047, heartbeat: 60 }],
  [{ channelMax: 2 }, { frameMax: 131_072, channelMax: 2, heartbeat: 60 }],
  [{ channelMax: 0 }, { frameMax: 131_072, channelMax: 2047, heartbeat: 60 }],
  [
    { maxFrameSize: 4096, frameMax: 4096 },
    { frameMax: 4096, channelMax: 2047, heartbeat: 60 },
  ],
  [{ locale: 'de_DE' }, { frameMax: 131_072, channelMax: 2047, heartbeat: 60 }],
] as const) {
  t.test(`negotiated with ${JSON.stringify(options)}, in a URL and in an object`, async (t) => {
    const target = await startTarget(t);
    const query = Object.entries(options)
      .map(([key, value]) => `${key}=${value}`)
      .join('&');
    for (const address of [`${withoutPath(target.url)}/?${query}`, { ...fieldsOf(target), ...options }]) {
      const connection = await open(t, address);
      t.same(negotiated(connection), expected);
      await expectUsable(t, connection);
    }
  });
}

t.test('a frame limit below the least of the protocol is refused', async (t) => {
  const target = await startTarget(t);
  await t.rejects(connect({ ...fieldsOf(target), frameMax: 4095 }));
});

t.test('a message larger than the frame limit goes both ways', async (t) => {
  const target = await startTarget(t);
  const channel = await (await open(t, { ...fieldsOf(target), frameMax: 4096, maxFrameSize: 4096 })).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const content = Buffer.alloc(100_000, 'Leveret');
  channel.sendToQueue(queue, content);
  t.match(await channel.get(queue), { content });
});

t.test('no more channels are opened than were negotiated, and a closed one makes room', async (t) => {
  const target = await startTarget(t);
  const connection = await open(t, { ...fieldsOf(target), channelMax: 2 });
  const first = await connection.createChannel();
  await connection.createConfirmChannel();
  await t.rejects(connection.createChannel(), { message: 'No channels left to allocate' });
  await first.close();
  t.ok(await connection.createChannel());
});

for (const mechanism of ['plain', 'amqplain'] as const) {
  t.test(`credentials.${mechanism} with the right password`, async (t) => {
    const { url } = await startTarget(t);
    await expectUsable(t, await open(t, url, { credentials: credentials[mechanism]('guest', 'guest') }));
  });

  for (const [user, password] of [
    ['guest', 'wrong'],
    ['guest', ''],
    ['nobody', 'guest'],
  ] as const) {
    t.test(`credentials.${mechanism} with user '${user}' and password '${password}' are refused`, async (t) => {
      const { url } = await startTarget(t);
      const refused = connect(url, { credentials: credentials[mechanism](user, password) }).catch(
        (error: Error) => error,
      );
      const name = mechanism.toUpperCase();
      const text = `ACCESS_REFUSED - Login was refused using authentication mechanism ${name}. For details see the broker logfile.`;
      t.equal(replyText((await refused) as Error), text);
    });
  }
}

t.test('credentials.external are not offered', async (t) => {
  const { url } = await startTarget(t);
  const expected = { message: 'SASL mechanism EXTERNAL is not provided by the server' };
  await t.rejects(connect(url, { credentials: credentials.external() }), expected);
});

t.test('credentials beside an object address win', async (t) => {
  const target = await startTarget(t);
  const address = { ...fieldsOf(target), password: 'wrong' };
  await expectUsable(t, await open(t, address, { credentials: credentials.plain('guest', 'guest') }));
});

t.test('user, password and virtual host may have any character', leveretOnly, async (t) => {
  const [name, password, vhost] = ['us er@ü', 'p:w/%?#', 'a b/ü%'];
  const target = await startTarget(t, { vhosts: ['/', vhost], users: [{ name, password }] });
  const [secret, path] = [password, vhost].map(encodeURIComponent);
  await expectUsable(t, await open(t, { ...fieldsOf(target), username: name, password, vhost: path }));
  // amqplib reads a URL's user with unescape(), which knows no UTF-8.
  const ascii = await startTarget(t, { vhosts: [vhost], users: [{ name: 'u@u', password }] });
  await expectUsable(t, await open(t, `amqp://u%40u:${secret}@${ascii.host}:${ascii.port}/${path}`));
});

t.test('a virtual host has queues and exchanges of its own', leveretOnly, async (t) => {
  const target = await startTarget(t, { vhosts: ['/', 'other'] });
  const here = await (await open(t, target.url)).createChannel();
  const there = quiet(await (await open(t, { ...fieldsOf(target), vhost: 'other' })).createChannel());
  await here.assertQueue('only-here');
  t.same(await there.checkExchange('amq.topic'), {});
  await t.rejects(there.checkQueue('only-here'), { message: "NOT_FOUND - no queue 'only-here' in vhost 'other'" });
});

t.test('client properties may have a connection name and anything else', async (t) => {
  const { url } = await startTarget(t);
  const clientProperties = { connection_name: 'Léveret', nested: { list: [1, 'a', { b: true }] }, product: 'mine' };
  await expectUsable(t, await open(t, url, { clientProperties }));
});

t.test('options of the socket', async (t) => {
  const { url } = await startTarget(t);
  await expectUsable(t, await open(t, url, { noDelay: true, keepAlive: true, keepAliveDelay: 1000, timeout: 60_000 }));
});

t.test('the server tells its capabilities, those of RabbitMQ', async (t) => {
  const { url } = await startTarget(t);
  const { capabilities, ...rest } = (await open(t, url)).connection.serverProperties;
  t.same(capabilities, {
    publisher_confirms: true,
    exchange_exchange_bindings: true,
    'basic.nack': true,
    consumer_cancel_notify: true,
    'connection.blocked': true,
    consumer_priorities: true,
    authentication_failure_close: true,
    per_consumer_qos: true,
    direct_reply_to: true,
  });
  t.match(rest, { product: 'RabbitMQ', version: /^3\.\d+\.\d+$/, platform: /./, cluster_name: /./ });
  t.match(rest, { copyright: String, information: String });
});

t.test('product, version, platform and cluster name are options', leveretOnly, async (t) => {
  const options = { product: 'Hare', version: '9.8.7', platform: 'Meadow', clusterName: 'burrow' };
  const { url } = await startTarget(t, options);
  const { product, version, platform, cluster_name } = (await open(t, url)).connection.serverProperties;
  t.same({ product, version, platform, clusterName: cluster_name }, options);
});

t.test('the version is the one that clients branch on, the platform tells who it is', leveretOnly, async (t) => {
  const { url } = await startTarget(t);
  t.match((await open(t, url)).connection.serverProperties, {
    product: 'RabbitMQ',
    version: '3.13.7',
    platform: /Leveret/,
  });
});

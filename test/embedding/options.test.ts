// What a program that embeds the broker can set and see: exchange types of its own, limits, identity, counters.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { connect as connectAmqp } from 'amqplib';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import {
  ArgumentError,
  type Arguments,
  type Binding,
  type Broker,
  type BrokerOptions,
  createBroker,
  type ExchangeType,
  type Routable,
  type Router,
} from '../../lib/index.ts';
import { EmbedClient, numberedMessages, queueDelete, sharedQueueDeclare, turnsUntil } from '../helper/embed-client.ts';
import { channelClose, drain, errorOf, publish, quiet } from '../helper/messages.ts';
import {
  basicAck,
  basicGet,
  basicPublish,
  channelOpen,
  channelClose as closeChannel,
  contentBody,
  contentHeader,
  frame,
  PROTOCOL_HEADER,
  queuePurge,
  startOk,
} from '../helper/wire-bytes.ts';

async function startBroker(t: Test, options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return broker;
}

/** Routes to the queues whose binding key the routing key starts with; `limit` is how many characters count. */
const prefixType: ExchangeType = {
  name: 'x-prefix',
  validateExchange(args) {
    const limit = args.get('limit');
    if (limit !== undefined && typeof limit.value !== 'number') throw new ArgumentError("'limit' must be a number");
  },
  validateBinding(bindingKey) {
    if (bindingKey === '') throw new ArgumentError('a prefix must not be empty');
  },
  createRouter: <Destination>(args: Arguments) =>
    new PrefixRouter<Destination>(Number(args.get('limit')?.value ?? 255)),
};

class PrefixRouter<Destination> implements Router<Destination> {
  readonly routesByKeyOnly = true;
  readonly #bindings = new Set<Binding<Destination>>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  bind(binding: Binding<Destination>): void {
    this.#bindings.add(binding);
  }

  unbind(binding: Binding<Destination>): void {
    this.#bindings.delete(binding);
  }

  route(message: Routable, into: Destination[]): void {
    for (const { destination, bindingKey } of this.#bindings) {
      if (message.routingKey.startsWith(bindingKey.slice(0, this.#limit))) into.push(destination);
    }
  }
}

t.test('an exchange type of the program works from declare to delivery', async (t) => {
  const broker = await startBroker(t, { exchangeTypes: [prefixType] });
  const connection = quiet(await connectAmqp(broker.url));
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange('prefixes', 'x-prefix', { arguments: { limit: 4 } });
  for (const queue of ['logs', 'orders']) {
    await channel.assertQueue(queue);
    await channel.bindQueue(queue, 'prefixes', queue);
  }
  const publishTo = async (routingKey: string): Promise<void> => {
    channel.publish('prefixes', routingKey, Buffer.from(routingKey), { mandatory: true });
    await channel.waitForConfirms();
  };
  const returned: string[] = [];
  channel.on('return', (message) => returned.push(message.fields.routingKey));

  for (const key of ['logs.error', 'orders.new', 'orde', 'ord']) await publishTo(key);
  t.same(await drain(channel, 'logs'), ['logs.error']);
  t.same(await drain(channel, 'orders'), ['orders.new', 'orde'], 'the first four characters count');
  t.same(returned, ['ord']);

  await t.test('bindings come and go, also from an exchange of another type', async (t) => {
    await channel.unbindQueue('orders', 'prefixes', 'orders');
    await channel.assertExchange('all', 'fanout');
    await channel.bindExchange('prefixes', 'all', '');
    channel.publish('all', 'orders.late', Buffer.from('orders.late'));
    channel.publish('all', 'logs.late', Buffer.from('logs.late'));
    await channel.waitForConfirms();
    t.same(await drain(channel, 'orders'), []);
    t.same(await drain(channel, 'logs'), ['logs.late']);
  });

  await t.test('its checks answer with 406 and its own text', async (t) => {
    const declaring = quiet(await connection.createChannel());
    const refused = errorOf(declaring);
    await t.rejects(declaring.assertExchange('bad', 'x-prefix', { arguments: { limit: 'four' } }));
    t.match(await refused, channelClose(406, "PRECONDITION_FAILED - 'limit' must be a number", 40, 10));
    const binding = quiet(await connection.createChannel());
    const bindingRefused = errorOf(binding);
    await t.rejects(binding.bindQueue('logs', 'prefixes', ''));
    t.match(await bindingRefused, channelClose(406, 'PRECONDITION_FAILED - a prefix must not be empty', 50, 20));
  });
  await connection.close();
});

t.test(
  'beyond maxConnections, connections are closed as they come; a place that is given up can be taken',
  async (t) => {
    const broker = await startBroker(t, { maxConnections: 2 });
    const [first] = [await EmbedClient.connect(t, broker.port), await EmbedClient.connect(t, broker.port)];
    const third = connect(broker.port, broker.host).on('error', () => {});
    await once(third, 'close');
    t.equal(broker.connectionCount, 2);
    t.equal(broker.connectionEnds.get('too-many-connections'), 1);

    await first.close();
    const next = await EmbedClient.connect(t, broker.port);
    await next.close();
  },
);

t.test('product, version, platform and cluster name are what clients see', async (t) => {
  const serverProperties = async (options: BrokerOptions): Promise<Record<string, unknown>> => {
    const broker = await startBroker(t, options);
    const connection = await connectAmqp(broker.url);
    const { serverProperties } = connection.connection;
    await connection.close();
    return serverProperties;
  };
  t.match(await serverProperties({}), { product: 'RabbitMQ', version: '3.13.7', platform: /^Leveret \d/ });
  const own = { product: 'Hare', version: '9.8.7', platform: 'a test', clusterName: 'burrow' };
  const { clusterName, ...named } = own;
  t.match(await serverProperties(own), { ...named, cluster_name: clusterName });
});

t.test('connectionEnds counts each reason', async (t) => {
  const broker = await startBroker(t);
  const ends = async (count: number): Promise<Record<string, number>> => {
    await turnsUntil(() => [...broker.connectionEnds.values()].reduce((sum, one) => sum + one, 0) >= count);
    return Object.fromEntries(broker.connectionEnds);
  };
  t.same(await ends(0), {});

  const open = (): Promise<EmbedClient> => EmbedClient.connect(t, broker.port);
  await (await open()).close();
  await (await open()).close();
  t.same(await ends(2), { 'client-close': 2 });

  (await open()).stream.destroy();
  t.same(await ends(3), { 'client-close': 2, 'socket-closed': 1 });

  const rude = await open();
  rude.send(frame(4, 0, 'abc'));
  await rude.closed;
  t.same(await ends(4), { 'client-close': 2, 'socket-closed': 1, 'protocol-error': 1 });

  await t.rejects(EmbedClient.connect(t, broker.port, { response: '\0guest\0wrong' }));
  await t.rejects(EmbedClient.connect(t, broker.port, { vhost: 'nowhere' }));
  const web = connect(broker.port, broker.host, () => web.write('GET / HTTP/1.1\r\n\r\n'));
  web.resume();
  t.same(await ends(7), {
    'client-close': 2,
    'socket-closed': 1,
    'protocol-error': 1,
    'authentication-failed': 1,
    'virtual-host-refused': 1,
    'bad-protocol-header': 1,
  });
  t.equal(broker.connectionCount, 0);
});

t.test('a client that does not open its connection within handshakeTimeoutMs is cut', async (t) => {
  const broker = await startBroker(t, { handshakeTimeoutMs: 1 });
  const slow = connect(broker.port, broker.host);
  slow.resume();
  await once(slow, 'close');
  t.same([...broker.connectionEnds], [['handshake-timeout', 1]]);
});

t.test('heartbeatSeconds is proposed to clients, and then kept', async (t) => {
  const broker = await startBroker(t, { heartbeatSeconds: 1 });
  const proposed = new EmbedClient(connect(broker.port, broker.host));
  proposed.send(PROTOCOL_HEADER, startOk());
  t.equal((await proposed.expect(0, 10, 30)).readUInt16BE(6), 1);
  proposed.stream.destroy();

  // amqplib takes what is proposed, and sends heartbeats: it outlives a client that sends none.
  const connection = quiet(await connectAmqp(broker.url));
  const silent = await EmbedClient.connect(t, broker.port, { heartbeat: 1 });
  await silent.closed;
  t.ok(silent.heartbeats > 0, `${silent.heartbeats} heartbeats came`);
  t.equal(broker.connectionEnds.get('heartbeat-timeout'), 1);
  t.equal(broker.connectionCount, 1);
  await connection.close();
});

t.test('memoryUsedBytes is what messages hold, and 0 again when they are gone', async (t) => {
  const broker = await startBroker(t);
  const client = await (await EmbedClient.connect(t, broker.port)).openChannel();
  const queues = ['got', 'purged', 'deleted', 'fanned-out'];
  for (const queue of queues) await client.call(1, 50, 11, sharedQueueDeclare(1, queue));
  t.equal(broker.memoryUsedBytes, 0);

  const fill = async (queue: string): Promise<void> => {
    client.send(numberedMessages(1, { routingKey: queue }, { count: 10, size: 10_000 }));
    await client.call(9, 20, 11, channelOpen(9));
    await client.call(9, 20, 41, closeChannel(9));
    t.ok(broker.memoryUsedBytes >= 100_000, `${broker.memoryUsedBytes} bytes`);
    t.ok(broker.memoryUsedBytes < 110_000, 'with little on top');
  };

  await fill('got');
  let got = 0;
  const all = new Promise<void>((resolve) => {
    client.onMessage = () => ++got === 10 && resolve();
  });
  for (let i = 0; i < 10; i++) client.send(basicGet(1, 'got'));
  await all;
  t.ok(broker.memoryUsedBytes >= 100_000, 'an unacknowledged message counts');
  const acked = client.expect(2, 20, 11);
  client.send(basicAck(1, 10, true), channelOpen(2));
  await acked;
  t.equal(broker.memoryUsedBytes, 0, 'after the acknowledgement');

  await fill('purged');
  await client.call(1, 50, 31, queuePurge(1, 'purged'));
  t.equal(broker.memoryUsedBytes, 0, 'after a purge');

  await fill('deleted');
  await client.call(1, 50, 41, queueDelete(1, 'deleted'));
  t.equal(broker.memoryUsedBytes, 0, 'after the queue was deleted');

  client.send(basicPublish(1, { routingKey: 'nowhere' }), contentHeader(1, 3), contentBody(1, 'abc'));
  await client.openChannel(3);
  t.equal(broker.memoryUsedBytes, 0, 'after a message that no queue wanted');
});

t.test("a logger of the program gets what happens, and no message's content", async (t) => {
  let log = '';
  const write = (line: string): void => {
    log += line;
  };
  const broker = await startBroker(t, { logger: pino({ level: 'trace' }, { write }) });
  const connection = await connectAmqp(broker.url);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('logged');
  await publish(channel, 'logged', ['a secret']);
  await connection.close();
  await broker.close();
  t.match(log, /"user":"guest".*"msg":"connection opened"/);
  t.match(log, /"reason":"client-close".*"msg":"connection ended"/);
  t.notMatch(log, /a secret/);
});

t.test('a broker accepts the sockets of a server that the program runs itself', async (t) => {
  const broker = await startBroker(t, { maxConnections: 1 });
  const server = createServer((socket) => broker.accept(socket, socket)).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = await EmbedClient.connect(t, port);
  t.equal(broker.connectionCount, 1, 'it counts as any other');
  await client.close();
});

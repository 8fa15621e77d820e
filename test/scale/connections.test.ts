// Many connections at once, and many one after the other.
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import { EmbedClient, turnsUntil } from '../helper/embed-client.ts';
import { steadyGrowth } from '../helper/embed-memory.ts';
import { basicConsume, basicGet, bytes, channelOpen, message, queueDeclare } from '../helper/wire-bytes.ts';

const CHANNELS = Array.from({ length: 10 }, (_, index) => index + 1);

async function startBroker(t: Test): Promise<Broker> {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  return broker;
}

/** Opens a connection and its channels. Nothing of it is kept for the end of the test: the test itself closes it. */
async function openConnection(broker: Broker): Promise<EmbedClient> {
  const client = await EmbedClient.dial(broker.port).open();
  const opened = CHANNELS.map((channel) => client.expect(channel, 20, 11));
  client.send(...CHANNELS.map(channelOpen));
  await Promise.all(opened);
  return client;
}

/** On every channel: declares a queue, publishes to it and gets the message back. Gives the bodies that came, in order. */
async function work(client: EmbedClient, name: string): Promise<string[]> {
  const bodies: string[] = [];
  const all = new Promise<void>((resolve) => {
    client.onMessage = ({ body }) => {
      if (bodies.push(body.toString()) === CHANNELS.length) resolve();
    };
  });
  const frames = CHANNELS.map((channel) => {
    const queue = `${name}.${channel}`;
    return bytes(
      queueDeclare(channel, queue),
      message(channel, queue, { routingKey: queue }),
      basicGet(channel, queue),
    );
  });
  client.send(...frames);
  await Promise.race([all, client.closed]);
  return bodies;
}

t.test('1,000 connections with 10 channels each stay open, and every channel works', async (t) => {
  const broker = await startBroker(t);
  const clients: EmbedClient[] = [];
  for (let i = 0; i < 10; i++) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => openConnection(broker)))));
  }
  t.equal(broker.connectionCount, 1_000);

  const results = await Promise.all(clients.map((client, i) => work(client, `queue-${i}`)));
  const expected = clients.map((_, i) => CHANNELS.map((channel) => `queue-${i}.${channel}`));
  t.same(results, expected, 'each channel got the message that it published');
  t.equal(broker.connectionCount, 1_000);
  t.equal(broker.connectionEnds.size, 0, 'none was closed');

  await t.test('a message to each of them, published on one, reaches all', async (t) => {
    let received = 0;
    for (const client of clients) {
      client.onMessage = () => {
        received++;
      };
    }
    await Promise.all(
      clients.map((client, i) => {
        const queue = `queue-${i}.1`;
        return client.call(1, 60, 21, basicConsume(1, queue));
      }),
    );
    clients[0].send(...clients.map((_, i) => message(2, 'to all', { routingKey: `queue-${i}.1` })));
    await turnsUntil(() => received === clients.length || broker.connectionEnds.size > 0);
    t.equal(received, clients.length);
  });

  await Promise.all(clients.map((client) => client.close()));
  t.same([...broker.connectionEnds], [['client-close', 1_000]]);
  t.equal(broker.connectionCount, 0);
});

/** What a round of 400 may leave: 500 bytes a connection. Were one kept, with its parser and channels, it would be 10 KB. */
const MOST_LEFT_BYTES = 200_000;

t.test('2,000 connections that come and go leave nothing behind', async (t) => {
  const broker = await startBroker(t);
  const comeAndGo = async (connections: number): Promise<void> => {
    for (let i = 0; i < connections; i += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const client = await openConnection(broker);
          await work(client, `gone-${i + index}`);
          // In order, by a mere end, and without a word.
          if (index % 3 === 0) await client.close();
          else if (index % 3 === 1) client.stream.end();
          else client.socket.resetAndDestroy();
          await client.closed;
        }),
      );
    }
    await turnsUntil(() => broker.connectionCount === 0);
  };
  await comeAndGo(500);
  const left = await steadyGrowth(5, () => comeAndGo(400));
  t.ok(left.heap < MOST_LEFT_BYTES, `${left.heap} bytes more in the heap`);
  t.ok(left.buffers < MOST_LEFT_BYTES, `${left.buffers} bytes more in buffers`);
  t.equal(broker.memoryUsedBytes, 0);
});

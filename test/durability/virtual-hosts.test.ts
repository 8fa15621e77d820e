// Virtual hosts keep to themselves across restarts, and those with something in them do not go by being left out of the options.
import t, { type Test } from 'tap';
import { type BrokerOptions, createBroker } from '../../lib/index.ts';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type Client, connectTo, temporaryFolder } from '../helper/durable-broker.ts';
import { drain } from '../helper/messages.ts';

const skip = againstPeer && 'virtual hosts are options of the broker';

async function publishOne({ publisher }: Client, queue: string, body: string): Promise<void> {
  publisher.sendToQueue(queue, Buffer.from(body), { persistent: true });
  await publisher.waitForConfirms();
}

if (!againstPeer) {
  afterEachEnding(
    'the same names in two virtual hosts are two of everything',
    async (t, broker) => {
      const queue = uniqueName();
      const exchange = uniqueName();
      for (const vhost of ['/', 'ünï/2']) {
        const client = await broker.connect(vhost);
        await client.publisher.assertQueue(queue);
        await client.publisher.assertExchange(exchange, vhost === '/' ? 'direct' : 'fanout');
        await client.publisher.bindQueue(queue, exchange, 'k');
        await publishOne(client, queue, vhost);
      }
      await broker.restart();
      for (const vhost of ['/', 'ünï/2']) {
        const client = await broker.connect(vhost);
        client.publisher.publish(exchange, 'other', Buffer.from('only by the fanout'));
        await client.publisher.waitForConfirms();
        t.same(await drain(client.channel, queue), vhost === '/' ? ['/'] : ['ünï/2', 'only by the fanout']);
        if (vhost === '/') await client.channel.deleteQueue(queue);
      }
      await broker.restart();
      const client = await broker.connect('ünï/2');
      t.ok(await client.channel.checkQueue(queue));
      await t.rejects((await broker.connect('/')).channel.checkQueue(queue), /404/);
    },
    { vhosts: ['/', 'ünï/2'] },
  );
}

/** Opens a broker on the folder for as long as `task` takes. */
async function using(t: Test, options: BrokerOptions, task: (client: Client) => Promise<void>): Promise<void> {
  const broker = await createBroker({ port: 0, ...options });
  try {
    await task(await connectTo(t, broker.url));
  } finally {
    await broker.close();
  }
}

t.test('a virtual host that the options do not name any more is still there', { skip }, async (t) => {
  const dataDir = temporaryFolder(t);
  await using(t, { dataDir, vhosts: ['old', 'both'] }, async (client) => {
    await client.publisher.assertQueue('q');
    await publishOne(client, 'q', '1');
  });
  await using(t, { dataDir, vhosts: ['new', 'both'] }, async (client) => {
    await client.publisher.assertQueue('q');
    t.same(await drain(client.channel, 'q'), [], 'the new one is empty');
  });
  await using(t, { dataDir, vhosts: ['old'] }, async (client) => {
    t.same(await drain(client.channel, 'q'), ['1']);
  });
});

// What becomes of the exchange types of RabbitMQ's plug-ins after a restart.
import t from 'tap';
import { againstPeer } from '../helper/broker.ts';
import { afterEachEnding, type Client } from '../helper/durable-broker.ts';
import { placesOf, publishAll } from '../helper/exchange-types.ts';
import { drain } from '../helper/messages.ts';

const messages = Array.from({ length: 100 }, (_, i) => ({ routingKey: `key-${i}` }));
const queues = ['q1', 'q2', 'q3', 'q4', 'q5'];

async function places({ publisher }: Client, exchange: string): Promise<number[]> {
  await publishAll(publisher, exchange, messages);
  return placesOf(publisher, queues, messages.length);
}

if (againstPeer) {
  // RabbitMQ makes the ring of a consistent hash exchange anew at its start, from bindings in whatever order its database has them.
  t.plan(0, 'after a restart of RabbitMQ keys land elsewhere: Leveret differs on purpose');
} else {
  for (const type of ['x-consistent-hash', 'x-modulus-hash']) {
    afterEachEnding(`${type}: keys land where they did before`, async (t, broker) => {
      const { channel, ...client } = await broker.connect();
      await channel.assertExchange('x', type, { durable: true });
      for (const queue of queues) await channel.assertQueue(queue);
      for (const [queue, key] of [
        ['q3', '2'],
        ['q5', '1'],
        ['q1', '7'],
        ['q2', '3'],
        ['q4', '2'],
      ]) {
        await channel.bindQueue(queue, 'x', key);
      }
      await channel.unbindQueue('q5', 'x', '1');
      await channel.bindQueue('q5', 'x', '4');
      const before = await places({ channel, ...client }, 'x');
      t.same(await places(await broker.restart(), 'x'), before);
    });
  }

  // RabbitMQ, too, keeps it in memory alone.
  afterEachEnding('x-recent-history: the exchange is there again, its history is not', async (t, broker) => {
    const { channel, publisher } = await broker.connect();
    await channel.assertExchange('x', 'x-recent-history', {
      durable: true,
      arguments: { 'x-recent-history-length': 2 },
    });
    await channel.assertQueue('bound');
    await channel.assertQueue('late');
    await channel.bindQueue('bound', 'x', '');
    const publish = async (to: typeof publisher, ...texts: string[]): Promise<void> => {
      for (const text of texts) to.publish('x', '', Buffer.from(text), { persistent: true });
      await to.waitForConfirms();
    };
    await publish(publisher, '1', '2', '3');
    const again = await broker.restart();
    t.same(
      await drain(again.publisher, 'bound'),
      ['1', '2', '3'],
      'no binding is new, so none gets anything once more',
    );
    await again.channel.bindQueue('late', 'x', '');
    t.same(await drain(again.publisher, 'late'), []);
    await publish(again.publisher, '4', '5', '6');
    await again.channel.bindQueue('late', 'x', 'again');
    t.same(await drain(again.publisher, 'late'), ['4', '5', '6', '5', '6']);
  });
}

// x-modulus-hash and x-random: each message goes through one binding. Which one is exactly RabbitMQ's for the former; for the latter
// nobody can tell, but how many get what.
import t from 'tap';
import { modulusHashExchange } from '../../exchanges/modulus-hash.ts';
import {
  type PluginSession,
  type PluginType,
  placesOf,
  publishAll,
  routable,
  testOfType,
} from '../helper/exchange-types.ts';

const keys = Array.from({ length: 200 }, (_, i) => (i % 5 === 0 ? `${i}` : `some.longer.routing.key.${i * i}`));
keys.push('', 'é', 'x'.repeat(255));

async function places(session: PluginSession, exchange: string, queues: string[], options = {}): Promise<number[]> {
  await publishAll(
    session.publisher,
    exchange,
    keys.map((routingKey) => ({ routingKey, options })),
  );
  return placesOf(session.publisher, queues, keys.length);
}

testOfType(
  'x-modulus-hash',
  'a key finds the queue that RabbitMQ chooses: bindings count by key, then by exchange before queue, then by name',
  async (t, session) => {
    const { channel } = session;
    const exchange = await session.declare({ 'hash-header': 'means nothing here' });
    const queues = await session.queues(4);
    const router = modulusHashExchange.createRouter<number>(new Map(), (a, b) => a - b);
    const compare = async (what: string, further: readonly string[] = []): Promise<void> => {
      const wanted = keys.map((key) => {
        const into: number[] = [];
        const copies = further.map((each) => routable(each));
        if (copies.length === 0) router.route(routable(key), into);
        else router.routeTogether?.(routable(key), copies, into);
        return into[0] ?? -1;
      });
      // BCC is removed from what consumers get, yet its keys are hashed with the others.
      const options = further.length === 0 ? {} : { CC: further.slice(0, 1), BCC: further.slice(1) };
      t.same(await places(session, exchange, queues, options), wanted, what);
    };
    const bind = async (queue: number, key: string): Promise<() => Promise<void>> => {
      const binding = { destination: queue, bindingKey: key, arguments: new Map() };
      router.bind(binding);
      await channel.bindQueue(queues[queue], exchange, key);
      return async () => {
        router.unbind(binding);
        await channel.unbindQueue(queues[queue], exchange, key);
      };
    };
    await compare('no binding');
    await bind(3, 'b');
    await compare('one binding');
    await bind(1, 'é');
    await bind(0, 'B');
    const unbind = await bind(2, 'b');
    await compare('four bindings, two of them with one key');
    await compare('further keys', ['another', 'third', '']);
    await bind(3, '');
    await bind(3, '\u{10000}');
    await bind(3, '\uffff');
    await compare('several bindings of a queue');
    await unbind();
    await compare('one less');
  },
  t,
);

testOfType(
  'x-modulus-hash',
  'an exchange comes before the queues that are bound with the same key',
  async (t, session) => {
    const { channel } = session;
    const exchange = await session.declare();
    const queues = await session.queues(3);
    const last = session.name();
    await channel.assertExchange(last, 'fanout');
    await channel.bindQueue(queues[0], last, '');
    await channel.bindQueue(queues[2], exchange, 'k');
    await channel.bindExchange(last, exchange, 'k');
    await channel.bindQueue(queues[1], exchange, 'k');
    const router = modulusHashExchange.createRouter<number>(new Map(), (a, b) => a - b);
    for (const destination of [0, 1, 2]) router.bind({ destination, bindingKey: 'k', arguments: new Map() });
    const wanted = keys.map((key) => {
      const into: number[] = [];
      router.route(routable(key), into);
      return into[0];
    });
    t.same(await places(session, exchange, queues), wanted);
  },
  t,
);

testOfType(
  'x-random',
  'each message goes through one binding, each as likely as the others',
  async (t, session) => {
    const { channel } = session;
    const exchange = await session.declare({ foo: 1 });
    const queues = await session.queues(2);
    t.ok((await places(session, exchange, queues)).every((place) => place === -1));
    await channel.bindQueue(queues[0], exchange, 'any');
    t.ok((await places(session, exchange, queues)).every((place) => place === 0));
    for (const key of ['a', 'b', 'c']) await channel.bindQueue(queues[1], exchange, key);
    const share = async (options = {}): Promise<number> => {
      const found = await places(session, exchange, queues, options);
      t.notOk(found.includes(-1), 'none is lost, none is there twice');
      return found.filter((place) => place === 1).length / found.length;
    };
    // Three of four bindings. Of 203 messages the share is out of these bounds once in a billion runs.
    t.ok(Math.abs((await share()) - 0.75) < 0.19);
    t.ok(Math.abs((await share({ CC: ['x', 'y'], BCC: ['z'] })) - 0.75) < 0.19, 'further keys count for nothing');
  },
  t,
);

for (const type of ['x-modulus-hash', 'x-random'] as const satisfies PluginType[]) {
  testOfType(
    type,
    `${type}: without bindings the alternate exchange takes over`,
    async (t, session) => {
      const { channel } = session;
      const last = session.name();
      await channel.assertExchange(last, 'fanout');
      const queues = await session.queues(2);
      await channel.bindQueue(queues[1], last, '');
      const exchange = await session.declare({}, { alternateExchange: last });
      await channel.bindQueue(queues[0], exchange, 'k');
      await channel.unbindQueue(queues[0], exchange, 'k');
      await publishAll(session.publisher, exchange, [{ routingKey: 'k' }]);
      t.same(await placesOf(session.publisher, queues, 1), [1]);
    },
    t,
  );
}

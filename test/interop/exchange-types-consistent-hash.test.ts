// x-consistent-hash: every message lands in the very queue that RabbitMQ chooses. The expected queues are computed by the router
// itself, so it is the run against RabbitMQ that proves them.
import t from 'tap';
import { consistentHashExchange } from '../../exchanges/consistent-hash.ts';
import type { Arguments, Binding, Routable, TypedValue } from '../../exchanges/exchange-type.ts';
import { expectChannelError, preconditionFailed } from '../helper/amqp.ts';
import { againstPeer } from '../helper/broker.ts';
import { HEADERS, type PluginSession, placesOf, publishAll, routable, testOfType } from '../helper/exchange-types.ts';

const test = (name: string, run: Parameters<typeof testOfType>[2]): void =>
  testOfType('x-consistent-hash', name, run, t);

/** A router whose destinations are the indexes of the queues, changed along with the exchange. */
class Twin {
  readonly #router;
  readonly #bindings = new Map<string, Binding<number>>();
  readonly #exchange: string;
  readonly #session: PluginSession;
  readonly #queues: readonly string[];

  constructor(session: PluginSession, exchange: string, queues: readonly string[], args: Arguments = new Map()) {
    this.#router = consistentHashExchange.createRouter<number>(args);
    this.#session = session;
    this.#exchange = exchange;
    this.#queues = queues;
  }

  async bind(queue: number, weight: string): Promise<void> {
    const binding = { destination: queue, bindingKey: weight, arguments: new Map() };
    this.#bindings.set(`${queue} ${weight}`, binding);
    this.#router.bind(binding);
    await this.#session.channel.bindQueue(this.#queues[queue], this.#exchange, weight);
  }

  async unbind(queue: number, weight: string): Promise<void> {
    const binding = this.#bindings.get(`${queue} ${weight}`);
    if (binding !== undefined) this.#router.unbind(binding);
    await this.#session.channel.unbindQueue(this.#queues[queue], this.#exchange, weight);
  }

  place(message: Routable): number {
    const into: number[] = [];
    this.#router.route(message, into);
    return into[0] ?? -1;
  }
}

const keys = Array.from({ length: 250 }, (_, i) => (i % 7 === 0 ? `${i}` : `a.routing.key.of.some.length.${i * i}`));
keys.push('', 'é', '☃'.repeat(80), 'exactly twelve'.slice(0, 12), 'x'.repeat(255));

async function comparePlaces(
  session: PluginSession,
  exchange: string,
  queues: string[],
  twin: Twin,
): Promise<[number[], number[]]> {
  await publishAll(
    session.publisher,
    exchange,
    keys.map((routingKey) => ({ routingKey })),
  );
  const places = await placesOf(session.publisher, queues, keys.length);
  return [places, keys.map((key) => twin.place(routable(key)))];
}

test('keys land where RabbitMQ puts them, with weights, and after each bind and unbind', async (t, session) => {
  const { declare, queues: declareQueues, channel } = session;
  const exchange = await declare();
  const queues = await declareQueues(4);
  const twin = new Twin(session, exchange, queues);
  const compare = async (what: string): Promise<number[]> => {
    const [found, wanted] = await comparePlaces(session, exchange, queues, twin);
    t.same(found, wanted, what);
    return found;
  };
  t.ok((await compare('no binding')).every((place) => place === -1));
  await twin.bind(2, '1');
  t.ok((await compare('one binding')).every((place) => place === 2));
  await twin.bind(0, '3');
  await twin.bind(3, '+07');
  const before = await compare('three bindings');
  await twin.bind(1, '5');
  const after = await compare('one more');
  t.ok(
    before.every((place, i) => place === after[i] || after[i] === 1),
    'what moves, moves to the new queue',
  );
  await twin.bind(0, '9');
  t.same(await compare('a second binding of a queue'), after, 'changes nothing');
  await twin.unbind(3, '+07');
  await compare('one less');
  await twin.unbind(0, '9');
  const left = await compare('one of the two bindings of a queue is gone');
  t.notOk(left.includes(0), 'the queue gets nothing any more, though its other binding is there');
  await twin.unbind(0, '3');
  await compare('the other is gone, too');
  await twin.bind(0, '2');
  t.ok((await compare('bound anew')).includes(0));
  await channel.deleteQueue(queues[2]);
  await channel.assertQueue(queues[2]);
  await twin.unbind(2, '1');
  await compare('a queue was deleted');
});

test('many buckets', async (t, session) => {
  const exchange = await session.declare();
  const queues = await session.queues(3);
  const twin = new Twin(session, exchange, queues);
  for (const [queue, weight] of ['1000', '2500', '40'].entries()) await twin.bind(queue, weight);
  t.same(...(await comparePlaces(session, exchange, queues, twin)));
});

test('by a header of any type', async (t, session) => {
  const args = new Map<string, TypedValue>([['hash-header', { type: 'S', value: 'h' }]]);
  const exchange = await session.declare({ 'hash-header': 'h' });
  const queues = await session.queues(6);
  const twin = new Twin(session, exchange, queues, args);
  for (const queue of queues.keys()) await twin.bind(queue, '7');
  const messages = HEADERS.map(([sent]) => ({
    routingKey: 'ignored',
    options: { headers: sent === undefined ? {} : { h: sent, other: 1 } },
  }));
  messages.push({ routingKey: 'no headers at all', options: {} as never });
  await publishAll(session.publisher, exchange, messages);
  const places = await placesOf(session.publisher, queues, messages.length);
  HEADERS.forEach(([sent, seen], i) => {
    const headers = seen === undefined ? new Map() : new Map([['h', seen]]);
    t.equal(places[i], twin.place(routable('other', headers)), `${JSON.stringify(sent)} as ${seen?.type}`);
  });
  t.equal(places.at(-1), twin.place(routable('', null)), 'no headers');
});

for (const property of ['message_id', 'correlation_id', 'timestamp'] as const) {
  test(`by the property ${property}`, async (t, session) => {
    const args = new Map<string, TypedValue>([['hash-property', { type: 'S', value: property }]]);
    const exchange = await session.declare({ 'hash-property': property });
    const queues = await session.queues(5);
    const twin = new Twin(session, exchange, queues, args);
    for (const queue of queues.keys()) await twin.bind(queue, '3');
    const values = Array.from({ length: 60 }, (_, i) => (i * i * 31 + 17) * 1000);
    const option = { message_id: 'messageId', correlation_id: 'correlationId', timestamp: 'timestamp' }[property];
    const messages = values.map((value) => ({
      routingKey: `${value}`,
      options: { [option]: property === 'timestamp' ? value : `${value}` },
    }));
    messages.push({ routingKey: 'none', options: { [option]: undefined as never } });
    await publishAll(session.publisher, exchange, messages);
    const wanted = values.map((value) => twin.place(routable('', null, { [property]: `${value}` })));
    wanted.push(twin.place(routable('')));
    t.same(await placesOf(session.publisher, queues, messages.length), wanted);
  });
}

test('an empty property is not a missing one', async (t, session) => {
  const args = new Map<string, TypedValue>([['hash-property', { type: 'S', value: 'message_id' }]]);
  const exchange = await session.declare({ 'hash-property': 'message_id' });
  const queues = await session.queues(50);
  const twin = new Twin(session, exchange, queues, args);
  for (const queue of queues.keys()) await twin.bind(queue, '1');
  await publishAll(session.publisher, exchange, [{ routingKey: 'k' }, { routingKey: 'k', options: { messageId: '' } }]);
  const places = await placesOf(session.publisher, queues, 2);
  t.same(places, [twin.place(routable('')), twin.place(routable('', null, { message_id: '' }))]);
  t.not(places[0], places[1]);
});

test('CC and BCC count for nothing', async (t, session) => {
  const exchange = await session.declare();
  const queues = await session.queues(4);
  const twin = new Twin(session, exchange, queues);
  for (const queue of queues.keys()) await twin.bind(queue, '2');
  const options = { CC: ['another', 'third'], BCC: ['fourth'] };
  await publishAll(
    session.publisher,
    exchange,
    keys.map((routingKey) => ({ routingKey, options })),
  );
  const places = await placesOf(session.publisher, queues, keys.length);
  t.same(
    places,
    keys.map((key) => twin.place(routable(key))),
  );
});

test('exchanges are destinations like queues, and an exchange without buckets has its alternate', async (t, session) => {
  const { channel, declare } = session;
  const last = session.name();
  await channel.assertExchange(last, 'fanout');
  const queues = await session.queues(3);
  await channel.bindQueue(queues[2], last, '');
  const exchange = await declare({}, { alternateExchange: last });
  await publishAll(session.publisher, exchange, [{ routingKey: 'k' }]);
  t.same(await placesOf(session.publisher, queues, 1), [2], 'the alternate exchange');
  const second = session.name();
  await channel.assertExchange(second, 'fanout');
  await channel.bindQueue(queues[1], second, '');
  await channel.bindQueue(queues[0], exchange, '1');
  await channel.bindExchange(second, exchange, '1');
  const router = consistentHashExchange.createRouter<number>(new Map());
  for (const destination of [0, 1]) router.bind({ destination, bindingKey: '1', arguments: new Map() });
  await publishAll(
    session.publisher,
    exchange,
    keys.map((routingKey) => ({ routingKey })),
  );
  const wanted = keys.map((key) => {
    const into: number[] = [];
    router.route(routable(key), into);
    return into[0];
  });
  t.same(await placesOf(session.publisher, queues, keys.length), wanted);
});

test('declarations and bindings are refused with the texts of RabbitMQ', async (t, session) => {
  const { connection, declare, name } = session;
  const refused = async (args: Record<string, unknown>, text: string): Promise<void> => {
    const exchange = name();
    await expectChannelError(
      t,
      connection,
      (channel) => channel.assertExchange(exchange, 'x-consistent-hash', { arguments: args }),
      'exchange.declare',
      preconditionFailed(text),
    );
  };
  await refused(
    { 'hash-header': 'h', 'hash-property': 'message_id' },
    'hash-header and hash-property are mutually exclusive',
  );
  await refused({ 'hash-header': 'h', 'hash-property': 'foo' }, 'hash-header and hash-property are mutually exclusive');
  for (const property of ['foo', '', 'Message_id', 'app_id']) {
    await refused({ 'hash-property': property }, `Unsupported property: ${property}`);
  }
  const exchange = await declare({ 'hash-header': '' });
  const [queue] = await session.queues(1);
  const unbindable = (key: string, text: string): Promise<void> =>
    expectChannelError(
      t,
      connection,
      (channel) => channel.bindQueue(queue, exchange, key),
      'queue.bind',
      preconditionFailed(text),
    );
  for (const key of ['abc', '1.5', ' 1', '1a', '0x1', '3 ', '1\n', '1e3', '+', '١']) {
    await unbindable(key, `The binding key must be an integer: <<"${key === '1\n' ? '1\\n' : key}">>`);
  }
  await unbindable('', 'The binding key must be an integer: <<>>');
  for (const key of ['0', '-1', '-0']) await unbindable(key, 'The binding key must be greater than 0');
});

const ours = {
  skip: againstPeer && 'RabbitMQ drops the connection (541) or its memory is full: Leveret differs on purpose',
};

t.test('what RabbitMQ dies of is refused', ours, async (t) => {
  const attempts = (parent: typeof t): void =>
    testOfType(
      'x-consistent-hash',
      'arguments that are no strings, weights that are too large',
      async (t, { connection, declare, queues, name }) => {
        for (const argument of ['hash-header', 'hash-property']) {
          const exchange = name();
          await expectChannelError(
            t,
            connection,
            (channel) => channel.assertExchange(exchange, 'x-consistent-hash', { arguments: { [argument]: 5 } }),
            'exchange.declare',
            preconditionFailed(`invalid type 'byte' for arg '${argument}'`),
          );
        }
        const exchange = await declare();
        const [queue] = await queues(1);
        await expectChannelError(
          t,
          connection,
          (channel) => channel.bindQueue(queue, exchange, '2147483648'),
          'queue.bind',
          preconditionFailed('The binding key must be at most 2147483647'),
        );
      },
      parent,
    );
  attempts(t);
});

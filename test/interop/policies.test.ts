// What policies and limits do to queues and exchanges that are there, and what is said of wrong ones.
import { type Channel, type ConfirmChannel, connect, type Options } from 'amqplib';
import t, { type Test } from 'tap';
import { againstPeer, uniqueName } from '../helper/broker.ts';
import { drain, errorOf, publish, quiet, readyCount } from '../helper/messages.ts';
import { openPolicies, type TestPolicy } from '../helper/policies.ts';
import { outcome, passed, until, untilReady } from '../helper/ttl.ts';

// One virtual host for all: each test has names of its own.
const target = await openPolicies(t);

interface Client {
  readonly channel: Channel;
  readonly publisher: ConfirmChannel;
  /** Begins the names of what the test declares. */
  readonly prefix: string;
  /** A new queue, with the prefix. */
  queue(options?: Options.AssertQueue): Promise<string>;
  /** A queue that takes all that is published to a new exchange. */
  sink(): Promise<{ exchange: string; queue: string }>;
  /** Sets a policy for what has the prefix, which is removed when the test ends. */
  policy(definition: TestPolicy['definition'], options?: Partial<TestPolicy>): Promise<void>;
  operatorPolicy(definition: TestPolicy['definition']): Promise<void>;
}

async function open(t: Test): Promise<Client> {
  const prefix = uniqueName('p');
  const connection = quiet(await connect(target.url));
  t.teardown(() => connection.close());
  const channel = quiet(await connection.createChannel());
  const publisher = quiet(await connection.createConfirmChannel());
  const set = new Set<string>();
  return {
    channel,
    publisher,
    prefix,
    queue: async (options = {}) => {
      const { queue } = await channel.assertQueue(uniqueName(prefix), { exclusive: true, ...options });
      return queue;
    },
    sink: async () => {
      const { exchange } = await channel.assertExchange(uniqueName('sink'), 'fanout', { autoDelete: true });
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, exchange, '');
      return { exchange, queue };
    },
    policy: async (definition, options = {}) => {
      const policy = { name: prefix, pattern: `^${prefix}`, definition, ...options };
      if (!set.has(policy.name)) t.teardown(() => target.clearPolicy(policy.name));
      set.add(policy.name);
      await target.setPolicy(policy);
    },
    operatorPolicy: async (definition) => {
      await target.setOperatorPolicy({ name: prefix, pattern: `^${prefix}`, definition });
      t.teardown(() => target.clearOperatorPolicy(prefix));
    },
  };
}

const dead = (channel: Channel, queue: string) => async () => {
  const message = await channel.get(queue, { noAck: true });
  return message === false ? undefined : `${message.fields.routingKey}: ${message.content}`;
};

t.test('a length limit shortens queues that are there, and holds for what comes, until it is gone', async (t) => {
  const { channel, publisher, queue, policy, prefix } = await open(t);
  const name = await queue();
  const other = await channel.assertQueue('', { exclusive: true });
  await publish(publisher, name, ['1', '2', '3', '4', '5']);
  await publish(publisher, other.queue, ['1', '2', '3']);
  await policy({ 'max-length': 2 });
  t.equal(await untilReady(channel, name, 2), 2);
  await publish(publisher, name, ['6']);
  t.strictSame(await drain(channel, name), ['5', '6']);
  const later = await queue();
  await publish(publisher, later, ['1', '2', '3']);
  t.strictSame(await drain(channel, later), ['2', '3'], 'a queue that came later');
  t.equal(await readyCount(channel, other.queue), 3, 'whose name does not match');
  await policy({ 'max-length': 1 });
  await policy({ 'queue-mode': 'default' });
  const grown = await until(
    async () => {
      await publish(publisher, name, ['7']);
      return readyCount(channel, name);
    },
    (count) => count === 3,
  );
  t.equal(grown, 3, `nothing limits ${prefix} any more`);
});

t.test('a time to live is for what is published from then on', async (t) => {
  const { channel, publisher, queue, policy } = await open(t);
  const name = await queue();
  await publish(publisher, name, ['stays']);
  await policy({ 'message-ttl': 1 });
  const expired = await until(
    async () => {
      const fresh = await queue();
      await publish(publisher, fresh, ['goes']);
      return untilReady(channel, fresh, 0);
    },
    (count) => count === 0,
  );
  t.equal(expired, 0);
  await passed(50); // what has no deadline shows nothing
  t.strictSame(await drain(channel, name), ['stays']);
});

t.test('a queue that nobody uses any more goes', async (t) => {
  const { queue, policy } = await open(t);
  const connection = await connect(target.url);
  t.teardown(() => connection.close());
  const name = await queue({ exclusive: false, durable: false });
  await policy({ expires: 1 });
  const gone = await until(
    async () => {
      await passed(50); // asking counts as use
      const asking = quiet(await connection.createChannel());
      const failed = errorOf(asking);
      return asking.checkQueue(name).then(
        () => asking.close(),
        async () => (await failed).code,
      );
    },
    (code) => code === 404,
  );
  t.equal(gone, 404);
});

t.test('of two limits the smaller one holds: argument and policy, policy and operator policy', async (t) => {
  const { channel, publisher, queue, policy, operatorPolicy } = await open(t);
  const small = await queue({ maxLength: 1 });
  const large = await queue({ maxLength: 9 });
  await policy({ 'max-length': 3 });
  const texts = ['1', '2', '3', '4', '5'];
  const full = async (name: string) => {
    await publish(publisher, name, texts);
    return readyCount(channel, name);
  };
  t.equal(
    await until(
      () => full(large),
      (count) => count === 3,
    ),
    3,
  );
  t.equal(await full(small), 1);
  await operatorPolicy({ 'max-length': 2 });
  t.equal(
    await until(
      () => full(large),
      (count) => count === 2,
    ),
    2,
  );
  t.equal(await full(small), 1);
  await policy({ 'max-length': 1 });
  t.equal(
    await until(
      () => full(large),
      (count) => count === 1,
    ),
    1,
  );
  await policy({ 'queue-mode': 'default' });
  t.equal(
    await until(
      () => full(large),
      (count) => count === 2,
    ),
    2,
    'the operator policy alone',
  );
});

t.test('what a full queue does: by the argument, else by the policy', async (t) => {
  const { publisher, queue, policy } = await open(t);
  await policy({ overflow: 'reject-publish', 'max-length': 1 });
  const byPolicy = await queue();
  t.equal(await outcome(publisher, byPolicy, '1'), 'ack');
  t.equal(await outcome(publisher, byPolicy, '2'), 'nack');
  const byArgument = await queue({ arguments: { 'x-overflow': 'drop-head' } });
  t.equal(await outcome(publisher, byArgument, '1'), 'ack');
  t.equal(await outcome(publisher, byArgument, '2'), 'ack');
});

t.test('dead letters: exchange and routing key each by the argument, else by the policy', async (t) => {
  const { channel, publisher, queue, policy, sink } = await open(t);
  const one = await sink();
  const two = await sink();
  await policy({ 'dead-letter-exchange': one.exchange, 'dead-letter-routing-key': 'policy' });
  const messageTtl = 1;
  await publish(publisher, await queue({ messageTtl }), ['1']);
  t.equal(await until(dead(channel, one.queue), (text) => text !== undefined), 'policy: 1');
  await publish(publisher, await queue({ messageTtl, deadLetterExchange: two.exchange }), ['2']);
  t.equal(await until(dead(channel, two.queue), (text) => text !== undefined), 'policy: 2');
  const deadLetterRoutingKey = 'argument';
  await publish(publisher, await queue({ messageTtl, deadLetterExchange: two.exchange, deadLetterRoutingKey }), ['3']);
  t.equal(await until(dead(channel, two.queue), (text) => text !== undefined), 'argument: 3');
});

t.test('dead letters of what a policy has no room for', async (t) => {
  const { channel, publisher, queue, policy, sink } = await open(t);
  const letters = await sink();
  const name = await queue();
  await publish(publisher, name, ['1', '2', '3']);
  await policy({ 'max-length': 1, 'dead-letter-exchange': letters.exchange });
  t.equal(await untilReady(channel, letters.queue, 2), 2);
  t.strictSame(await drain(channel, letters.queue), ['1', '2']);
  t.strictSame(await drain(channel, name), ['3']);
});

t.test('an alternate exchange: by the argument, else by the policy', async (t) => {
  const { channel, publisher, prefix, policy, sink } = await open(t);
  const one = await sink();
  const two = await sink();
  const own = { alternateExchange: two.exchange };
  const before = await channel.assertExchange(`${prefix}-before`, 'direct', { durable: false });
  const argument = await channel.assertExchange(`${prefix}-argument`, 'direct', { durable: false, ...own });
  await policy({ 'alternate-exchange': one.exchange }, { pattern: `^$|^amq|^${prefix}`, applyTo: 'exchanges' });
  const after = await channel.assertExchange(`${prefix}-after`, 'direct', { durable: false });
  for (const exchange of [before.exchange, argument.exchange, after.exchange, 'amq.direct', '']) {
    publisher.publish(exchange, 'nobody', Buffer.from(exchange));
  }
  await publisher.waitForConfirms();
  t.strictSame(await drain(channel, one.queue), [before.exchange, after.exchange, 'amq.direct']);
  t.strictSame(await drain(channel, two.queue), [argument.exchange]);
  await policy({ 'max-length': 1 }, { pattern: `^${prefix}`, applyTo: 'exchanges' });
  publisher.publish(before.exchange, 'nobody', Buffer.from(''));
  await publisher.waitForConfirms();
  t.strictSame(await drain(channel, one.queue), []);
  for (const { exchange } of [before, argument, after]) await channel.deleteExchange(exchange);
});

t.test('one policy applies: the one with the highest priority that is for queues', async (t) => {
  const { channel, publisher, queue, policy, prefix } = await open(t);
  await policy({ 'max-length': 1 }, { name: `${prefix}-1`, priority: 1 });
  await policy({ 'max-length': 2, overflow: 'drop-head' }, { name: `${prefix}-2`, priority: 2, applyTo: 'queues' });
  await policy({ 'max-length': 3 }, { name: `${prefix}-3`, priority: 3, applyTo: 'exchanges' });
  // A classic queue knows no delivery limit, so the whole policy is not for it.
  await policy({ 'max-length': 4, 'delivery-limit': 1 }, { name: `${prefix}-4`, priority: 4 });
  await policy({ 'max-length': 5 }, { name: `${prefix}-5`, priority: 5, pattern: `^${prefix.toUpperCase()}` });
  await policy({ 'max-length': 6 }, { name: `${prefix}-6`, priority: -6, pattern: '' });
  const name = await queue();
  await publish(publisher, name, ['1', '2', '3', '4', '5', '6', '7']);
  t.equal(await readyCount(channel, name), 2);
});

t.test('no more queues than the virtual host may have', async (t) => {
  const own = await openPolicies(t);
  const connection = quiet(await connect(own.url));
  t.teardown(() => connection.close());
  const declare = async (name: string) => {
    const channel = quiet(await connection.createChannel());
    const failed = errorOf(channel);
    return channel.assertQueue(name, { durable: false, arguments: { 'x-max-length': name === 'c' ? -1 : 1 } }).then(
      () => 'declared',
      async () => (await failed).message.replace(/^.*message "(.*)"$/, '$1'),
    );
  };
  const reached = (name: string, limit: number) =>
    `PRECONDITION_FAILED - cannot declare queue '${name}': queue limit in vhost '${own.vhost}' (${limit}) is reached`;
  t.equal(await declare('a'), 'declared');
  await own.setLimits({ maxQueues: 1 });
  t.equal(await declare('b'), reached('b', 1));
  t.equal(await declare('c'), reached('c', 1), 'before its arguments are looked at');
  t.equal(await declare('a'), 'declared', 'one that exists');
  await own.setLimits({ maxQueues: 0 });
  t.equal(await declare('b'), reached('b', 0));
  await own.setLimits({ maxQueues: -1 });
  t.equal(await declare('b'), 'declared');
});

t.test('what is said of wrong policies and limits', async (t) => {
  const policy = (definition: object, operator = false) => {
    const request = { name: 'wrong', pattern: '', definition: definition as TestPolicy['definition'] };
    return operator ? target.setOperatorPolicy(request) : target.setPolicy(request);
  };
  const texts: [() => Promise<void>, string][] = [
    [() => policy({ 'message-ttl': -1, foo: 1 }), '-1 is not a valid message TTL'],
    [() => policy({ expires: 0, 'message-ttl': -1 }), '0 is not a valid queue expiry'],
    [() => policy({ 'max-length': [1, 'a', {}] }), '[1,<<"a">>,#{}] is not a valid maximum length'],
    [() => policy({ overflow: 'x' }), '<<"x">> is not a valid overflow value'],
    [() => policy({ 'ha-mode': 'exactly' }), 'ha-mode="exactly" takes an integer, none given'],
    [
      () => policy({ foo: 'a"b', bar: 1.5 }),
      '[{<<"bar">>,1.5},{<<"foo">>,<<"a\\"b">>}] are not recognised policy settings',
    ],
    [() => policy({}), 'no policy provided'],
    [
      () => policy({ overflow: 'drop-head' }, true),
      '[{<<"overflow">>,<<"drop-head">>}] are not recognised policy settings',
    ],
    [() => policy({ expires: 0 }, true), '0 is not a valid queue expiry'],
    [() => target.setLimits({ maxQueues: 1.5 }), 'max-queues should be a number, actually was 1.5'],
    [
      () => target.setLimits({ maxConnections: 'a' as never }),
      'max-connections should be a number, actually was <<"a">>',
    ],
  ];
  for (const [refused, text] of texts) {
    const { message } = await refused().then(
      () => new Error('nothing was wrong'),
      (error: Error) => error,
    );
    t.equal(message, `Validation failed\n\n${text}`);
  }
  const { message } = await target.setPolicy({ name: 'wrong', pattern: '(', definition: { expires: 1 } }).then(
    () => new Error('nothing was wrong'),
    (error: Error) => error,
  );
  // What follows is the regular expression library's own.
  t.match(message, /^Validation failed\n\npattern should be regular expression but is invalid: /);
});

t.test('policies for one type of queues', { skip: againstPeer && 'RabbitMQ knows them from 3.12 on' }, async (t) => {
  const { channel, publisher, queue, policy } = await open(t);
  await policy({ 'max-length': 1 }, { applyTo: 'quorum_queues' });
  const name = await queue();
  await publish(publisher, name, ['1', '2', '3']);
  t.equal(await readyCount(channel, name), 3);
  await policy({ 'max-length': 1 }, { applyTo: 'classic_queues' });
  t.equal(await readyCount(channel, name), 1);
});

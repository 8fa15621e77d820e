// Channels that wait for the disk: mistakes in what they put off, how they end meanwhile, and how much they may put off.
import t from 'tap';
import { methodName } from '../../../codec/generated/methods.ts';
import {
  basicAck,
  basicPublish,
  bytes,
  channelClose,
  channelCloseOk,
  channelOpen,
  connectionClose,
  connectionCloseOk,
  contentBody,
  contentHeader,
  message,
  method,
  queueDeclare,
  queuePurge,
  short,
} from '../../helper/wire-bytes.ts';
import {
  checkBroker,
  declareDurable,
  deleteQueue,
  getNoAck,
  passive,
  persistentMessage,
  SlowBroker,
  withQueue,
} from './waiting-helper.ts';

// Errors

t.test('a mistake that was put off closes the channel as ever', async (t) => {
  const broker = new SlowBroker();
  const client = broker.connect(1, 2);
  client.send(declareDurable(1, 'q'), passive(1, 'missing'), queueDeclare(1, 'ignored'), channelCloseOk(1));
  client.send(channelOpen(1), queueDeclare(1, 'fresh'));
  t.same(client.received(), []);
  broker.sync();
  const received = client.methods();
  t.match(received, [
    { channel: 1, method: { queue: 'q' } },
    {
      channel: 1,
      method: { replyCode: 404, replyText: "NOT_FOUND - no queue 'missing' in vhost '/'", classId: 50, methodId: 10 },
    },
    { channel: 1 },
    { channel: 1, method: { queue: 'fresh' } },
  ]);
  t.same([...broker.virtualHost.queues.keys()], ['q', 'fresh']);
  client.send(queueDeclare(2));
  t.same(client.received(), ['2 queue.declare-ok']);
});

const HARD_ERRORS: [string, Buffer][] = [
  ['an unknown method', method(1, 50, 99)],
  ['a header without a method', contentHeader(1, 5)],
  ['a body without a header', bytes(basicPublish(1), contentBody(1, 'body'))],
  ['a method amid a content', bytes(basicPublish(1), queueDeclare(1))],
  ['channel.open again', channelOpen(1)],
  ['arguments that are none', method(1, 50, 10, short(0))],
];

for (const [name, mistake] of HARD_ERRORS) {
  t.test(`a mistake that was put off closes the connection as ever: ${name}`, async (t) => {
    const broker = new SlowBroker();
    const [prompt, client] = [broker.connect(1), broker.connect(1)];
    prompt.send(mistake);
    const [expected] = prompt.methods();
    t.equal(methodName(expected.method.id), 'connection.close');
    client.send(declareDurable(1, 'q'), mistake, queueDeclare(1, 'late'));
    t.same(client.received(), []);
    broker.sync();
    const [declared, ...others] = client.methods();
    t.match(declared, { channel: 1, method: { queue: 'q' } });
    t.same(others, [expected]);
    t.notOk(broker.virtualHost.queues.has('late'));
    checkBroker(t, broker);
  });
}

t.test('a late answer that fails is a defect: it closes its connection alone', async (t) => {
  const { broker, client } = withQueue('m');
  const other = broker.connect(1);
  const queue = broker.virtualHost.queues.get('q');
  let late = (): void => {};
  Object.assign(queue ?? {}, {
    get: (_noAck: boolean, done: (delivery: unknown) => void) => {
      late = () => done({ message: undefined });
    },
  });
  client.send(getNoAck('q'), queueDeclare(1, 'late'));
  late();
  broker.endTurn();
  t.match(client.methods(), [{ channel: 0, method: { replyCode: 541 } }]);
  t.equal(broker.defects.length, 1);
  t.notOk(broker.virtualHost.queues.has('late'));
  other.send(queueDeclare(1));
  t.same(other.received(), ['1 queue.declare-ok']);
});

// Ends

t.test('connection.close does not wait; what came before it is handled, and late answers are dropped', async (t) => {
  const { broker, client } = withQueue();
  const { queues } = broker.virtualHost;
  client.send(
    declareDurable(1, 'a'),
    persistentMessage(1, 'q', 'm'),
    declareDurable(1, 'b'),
    persistentMessage(1, 'q', 'n'),
    declareDurable(2, 'c'),
    connectionClose(),
  );
  t.same(client.received(), ['0 connection.close-ok']);
  t.same([...queues.keys()], ['q', 'a', 'c', 'b']);
  t.equal(queues.get('q')?.messageCount, 2);
  broker.sync();
  t.same(client.received(), []);
  queues.get('q')?.purge();
  checkBroker(t, broker);
});

t.test('a mistake that was put off and connection.close: both sides close', async (t) => {
  const { broker, client } = withQueue();
  client.send(declareDurable(1, 'a'), method(1, 50, 99), connectionClose());
  t.same(client.received(), ['0 connection.close', '0 connection.close-ok']);
  broker.sync();
  t.same(client.received(), []);
  client.send(connectionCloseOk());
  t.same([...broker.listener.ends], [['protocol-error', 1]]);
  checkBroker(t, broker);
});

t.test('channel.close waits its turn, and the number may be used again', async (t) => {
  const { broker, client } = withQueue();
  client.send(deleteQueue(1, 'q'), channelClose(1), channelOpen(1), declareDurable(1, 'a'), queueDeclare(1, 'b'));
  t.same(client.received(), []);
  broker.sync();
  t.same(client.received(), ['1 queue.delete-ok', '1 channel.close-ok', '1 channel.open-ok']);
  client.send(queueDeclare(1, 'c'));
  t.same([...broker.virtualHost.queues.keys()], ['a']);
  broker.sync();
  t.same(client.received(), Array(3).fill('1 queue.declare-ok'));
  t.same([...broker.virtualHost.queues.keys()], ['a', 'b', 'c']);
});

t.test('when the connection breaks, what was put off is forgotten', async (t) => {
  const { broker, client } = withQueue();
  client.send(declareDurable(1, 'a'), persistentMessage(1, 'q', 'm'), declareDurable(2, 'c'), queueDeclare(2, 'd'));
  t.ok(broker.memory.usedBytes > 0, 'what was put off counts');
  client.stream.destroy();
  await new Promise((resolve) => client.stream.once('close', resolve));
  broker.sync();
  t.same(client.received(), []);
  t.same([...broker.virtualHost.queues.keys()], ['q', 'a', 'c']);
  checkBroker(t, broker);
});

t.test('a connection that the broker closes forgets what was put off', async (t) => {
  const { broker, client } = withQueue();
  client.send(declareDurable(1, 'a'), queueDeclare(1, 'late'));
  const closed = broker.listener.close(1000);
  broker.endTurn();
  t.same(client.received(), ['0 connection.close']);
  broker.sync();
  t.same(client.received(), []);
  client.send(method(0, 10, 51));
  await closed;
  t.notOk(broker.virtualHost.queues.has('late'));
  checkBroker(t, broker);
});

// Limits

t.test('a connection that has put off too much is not read from until its channel goes on', async (t) => {
  const { broker, client } = withQueue();
  const body = Buffer.alloc(100_000);
  const publish = message(1, body, { routingKey: 'q' });
  client.send(declareDurable(1, 'a'), ...Array(5).fill(publish));
  t.notOk(client.stream.isPaused());
  client.send(...Array(10).fill(publish), queueDeclare(2, 'behind'));
  t.ok(client.stream.isPaused());
  const held = broker.memory.usedBytes;
  t.ok(held > 2 ** 20 && held < 1.2 * 2 ** 20, `${held} bytes are put off`);
  t.same(client.received(), []);
  broker.sync();
  await new Promise((resolve) => setImmediate(resolve));
  broker.endTurn();
  t.notOk(client.stream.isPaused());
  t.equal(broker.virtualHost.queues.get('q')?.messageCount, 15);
  t.same(client.received(), ['1 queue.declare-ok', '2 queue.declare-ok']);
  client.send(queuePurge(1, 'q'));
  checkBroker(t, broker);
});

t.test('many small frames count for more than their bytes', async (t) => {
  const { client } = withQueue();
  const acks = bytes(...Array(1000).fill(basicAck(1, 0, true)));
  client.send(declareDurable(1, 'a'));
  let sent = 0;
  for (; !client.stream.isPaused() && sent < 100; sent++) client.send(acks);
  t.ok(sent < 10, `${sent * acks.length} bytes were too many`);
});

t.test('a connection is held in the middle of a chunk, too', async (t) => {
  const { broker, client } = withQueue();
  client.send(declareDurable(1, 'a'), ...Array(20_000).fill(basicAck(1, 0, true)), queueDeclare(2));
  t.same(client.received(), []);
  t.ok(broker.memory.usedBytes < 1.1 * 2 ** 20, `${broker.memory.usedBytes} bytes are put off`);
});

t.test('a connection that is held ends like any other', async (t) => {
  const { broker, client } = withQueue();
  client.send(declareDurable(1, 'a'), ...Array(12).fill(message(1, Buffer.alloc(100_000))));
  t.ok(client.stream.isPaused());
  const closed = broker.listener.close(1000);
  client.send(method(0, 10, 51));
  // What was held back is more than a turn's share.
  await new Promise((resolve) => setImmediate(resolve));
  broker.endTurn();
  await closed;
  checkBroker(t, broker);
});

t.test('a client that does not read its answers gets no more of them for what was put off', async (t) => {
  const [size, count] = [100_000, 300];
  const { broker, client } = withQueue();
  const queue = broker.virtualHost.queues.get('q');
  const ready = (): number => queue?.messageCount ?? 0;
  for (let i = 0; i < count; i++) client.send(message(2, Buffer.alloc(size), { routingKey: 'q' }));
  client.send(declareDurable(1, 'a'), ...Array(count).fill(getNoAck('q')), declareDurable(2, 'b'));
  t.equal(ready(), count);
  client.stream.open = false;
  broker.sync(1);
  const left = ready();
  t.ok(left > 0.7 * count && left < count, `${left} messages stay`);
  broker.sync();
  t.equal(ready(), left, 'whatever else the connection has to say');
  t.ok(client.stream.writableLength < 10_000_000, `${client.stream.writableLength} bytes wait`);
  client.stream.open = true;
  for (let round = 0; round < count && ready() > 0; round++) {
    client.stream.drain();
    await new Promise((resolve) => setImmediate(resolve));
    broker.endTurn();
  }
  t.equal(ready(), 0);
  client.stream.drain();
  t.equal(client.received().length, count + 2);
  checkBroker(t, broker);
});

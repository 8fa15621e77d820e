// Channels that wait for the disk: what waits, and in which order the frames are handled that come meanwhile.
import t from 'tap';
import {
  basicAck,
  basicGet,
  basicPublish,
  bytes,
  contentBody,
  contentHeader,
  message,
  method,
  octet,
  queueDeclare,
  queuePurge,
  short,
  shortString,
  table,
} from '../../helper/wire-bytes.ts';
import {
  checkBroker,
  declareDurable,
  deleteQueue,
  passive,
  persistentMessage,
  SlowBroker,
  txCommit,
  txSelect,
  withQueue,
} from './waiting-helper.ts';

const NO_WAIT = 0b10000;

const exchangeDeclare = (name: string) =>
  method(1, 40, 10, short(0), shortString(name), shortString('fanout'), octet(0b0010), table());
const exchangeDelete = (name: string) => method(1, 40, 20, short(0), shortString(name), octet(0));
const exchangeBinding = (methodId: number, destination: string, source: string) =>
  method(1, 40, methodId, short(0), ...[destination, source, ''].map(shortString), octet(0), table());
const queueBind = (queue: string, exchange: string) =>
  method(1, 50, 20, short(0), ...[queue, exchange, ''].map(shortString), octet(0), table());
const queueUnbind = (queue: string, exchange: string) =>
  method(1, 50, 50, short(0), ...[queue, exchange, ''].map(shortString), table());

t.test('what changes something durable is answered once that is durable', async (t) => {
  const broker = new SlowBroker();
  const client = broker.connect(1);
  const steps: [frame: Buffer, answer: string][] = [
    [declareDurable(1, 'q'), 'queue.declare-ok'],
    [exchangeDeclare('x'), 'exchange.declare-ok'],
    [exchangeDeclare('y'), 'exchange.declare-ok'],
    [queueBind('q', 'x'), 'queue.bind-ok'],
    [exchangeBinding(30, 'x', 'y'), 'exchange.bind-ok'],
    [exchangeBinding(40, 'x', 'y'), 'exchange.unbind-ok'],
    [queueUnbind('q', 'x'), 'queue.unbind-ok'],
    [bytes(persistentMessage(1, 'q', 'm'), queuePurge(1, 'q')), 'queue.purge-ok'],
    [exchangeDelete('x'), 'exchange.delete-ok'],
    [deleteQueue(1, 'q'), 'queue.delete-ok'],
  ];
  for (const [frame, answer] of steps) {
    client.send(frame);
    t.same(client.received(), [], answer);
    t.ok(broker.store.waiting > 0);
    broker.sync();
    t.same(client.received(), [`1 ${answer}`]);
  }
  checkBroker(t, broker);
});

t.test('what changes nothing durable is answered at once', async (t) => {
  const { broker, client } = withQueue();
  const steps: [frame: Buffer, answer: string][] = [
    [declareDurable(1, 'q'), 'queue.declare-ok'],
    [passive(1, 'q'), 'queue.declare-ok'],
    [queueDeclare(1, 'transient'), 'queue.declare-ok'],
    [queueBind('transient', 'amq.fanout'), 'queue.bind-ok'],
    [queueUnbind('transient', 'amq.fanout'), 'queue.unbind-ok'],
    [exchangeDeclare('amq.fanout'), 'exchange.declare-ok'],
    [queuePurge(1, 'q'), 'queue.purge-ok'],
    [deleteQueue(1, 'transient'), 'queue.delete-ok'],
    [txSelect, 'tx.select-ok'],
    [bytes(message(1, 'm', { routingKey: 'q' }), txCommit), 'tx.commit-ok'],
  ];
  for (const [frame, answer] of steps) {
    client.send(frame);
    t.same(client.received(), [`1 ${answer}`]);
  }
  t.equal(broker.store.waiting, 0);
});

t.test('without an answer nothing waits', async (t) => {
  const { broker, client } = withQueue();
  client.send(declareDurable(1, 'other', 0b0010 | NO_WAIT), basicGet(1, 'other'));
  t.same(client.received(), ['1 basic.get-empty']);
  t.equal(broker.store.waiting, 0);
});

t.test('frames that come for a channel that waits are handled in order after its answer', async (t) => {
  const broker = new SlowBroker();
  const client = broker.connect(1);
  client.sendFleeting(
    declareDurable(1, 'q'),
    message(1, 'one', { routingKey: 'q' }),
    message(1, '', { routingKey: 'q' }),
    basicGet(1, 'q'),
  );
  client.sendFleeting(basicGet(1, 'q'), basicGet(1, 'q'), basicAck(1, 2, true));
  t.same(client.received(), []);
  t.equal(broker.virtualHost.queues.get('q')?.messageCount, 0);
  broker.sync();
  const received = client.methods();
  t.same(
    received.map(({ method: { id }, body }) => [id & 0xffff, body]),
    [
      [11, undefined],
      [71, 'one'],
      [71, ''],
      [72, undefined],
    ],
  );
  checkBroker(t, broker);
});

t.test('the other channels of a connection go on, and so do other connections', async (t) => {
  const { broker, client } = withQueue();
  const other = broker.connect(1);
  client.send(
    deleteQueue(1, 'q'),
    declareDurable(1, 'again'),
    queueDeclare(2, 'mine'),
    message(2, 'm', { routingKey: 'mine' }),
    basicGet(2, 'mine'),
  );
  t.same(client.received(), ['2 queue.declare-ok', '2 basic.get-ok']);
  other.send(queueDeclare(1));
  t.same(other.received(), ['1 queue.declare-ok']);
  broker.sync();
  t.same(client.received(), ['1 queue.delete-ok'], 'a frame that was put off may make the channel wait again');
  broker.sync();
  t.same(client.received(), ['1 queue.declare-ok']);
});

t.test('a channel that waits again puts off what is left, and what comes then stays behind it', async (t) => {
  const broker = new SlowBroker();
  const client = broker.connect(1);
  const names = ['a', 'b', 'c', 'd', 'e'];
  client.sendFleeting(...names.map((name) => declareDurable(1, name)));
  for (const [i, name] of names.entries()) {
    t.same([...broker.virtualHost.queues.keys()], names.slice(0, i + 1));
    client.sendFleeting(declareDurable(1, `${name}${name}`));
    broker.sync();
    t.same(client.received(), ['1 queue.declare-ok']);
  }
  for (const name of names) {
    t.equal([...broker.virtualHost.queues.keys()].pop(), `${name}${name}`);
    broker.sync();
    t.same(client.received(), ['1 queue.declare-ok']);
  }
  checkBroker(t, broker);
});

t.test('a body may be put off in the middle', async (t) => {
  const body = Buffer.from('abcdefghij'.repeat(20_000));
  const publish = bytes(
    basicPublish(1, { routingKey: 'q' }),
    contentHeader(1, body.length),
    contentBody(1, body.subarray(0, 100_000)),
    contentBody(1, body.subarray(100_000)),
  );
  for (const cut of [20, 60, 300, 65_536, 100_095, 100_105, 150_000, publish.length - 1]) {
    const broker = new SlowBroker();
    const client = broker.connect(1);
    client.sendFleeting(declareDurable(1, 'q'), publish.subarray(0, cut));
    client.sendFleeting(publish.subarray(cut, cut + 1));
    broker.sync();
    // The rest is not put off: only now may it pin its chunk.
    client.send(publish.subarray(cut + 1), basicGet(1, 'q'));
    const [, got] = client.methods();
    t.ok(got.body === body.toString(), `cut at ${cut}`);
    client.send(basicAck(1, 1));
    checkBroker(t, broker);
  }
});

t.test('what came while the channel waited is handled at the end of the turn, before what comes later', async (t) => {
  const { broker, client } = withQueue('1', '2');
  client.send(deleteQueue(1, 'q'), queueDeclare(1, 'a'));
  broker.store.sync();
  client.stream.emit('data', queueDeclare(1, 'b'));
  t.notOk(broker.virtualHost.queues.has('a'), 'not in the middle of what the disk does');
  broker.endTurn();
  t.same([...broker.virtualHost.queues.keys()], ['a', 'b']);
  t.same(client.received(), ['1 queue.delete-ok', '1 queue.declare-ok', '1 queue.declare-ok']);
});

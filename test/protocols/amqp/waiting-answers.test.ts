// What comes late from the disk: messages to get, commits, confirms, and what goes with them.
import t from 'tap';
import {
  basicAck,
  basicConsume,
  basicGet,
  basicPublish,
  bytes,
  channelClose,
  channelCloseOk,
  channelOpen,
  connectionClose,
  contentHeader,
  type Header,
  message,
  method,
  octet,
  queueDeclare,
  queuePurge,
  shortString,
} from '../../helper/wire-bytes.ts';
import {
  checkBroker,
  declareDurable,
  deleteQueue,
  getNoAck,
  passive,
  persistentMessage,
  txCommit,
  txSelect,
  withQueue,
} from './waiting-helper.ts';

// basic.get

t.test('a message that is read from disk is given when it is there', async (t) => {
  const { broker, client } = withQueue('1', '2');
  for (const queue of broker.store.queues) queue.page();
  client.send(basicGet(1, 'q'), basicGet(1, 'q'), queueDeclare(2));
  t.same(client.received(), ['2 queue.declare-ok']);
  broker.read();
  const got = client.methods();
  t.match(got, [
    { method: { deliveryTag: 1, messageCount: 1, redelivered: false }, body: '1' },
    { method: { deliveryTag: 2, messageCount: 0, redelivered: false }, body: '2' },
  ]);
  client.send(basicAck(1, 2, true));
  t.equal(broker.virtualHost.queues.get('q')?.unacknowledgedCount, 0);
  checkBroker(t, broker);
});

t.test('a message that is read too late goes back to its queue', async (t) => {
  const { broker, client } = withQueue('1', '2');
  const queue = broker.virtualHost.queues.get('q');
  for (const each of broker.store.queues) each.page();
  client.send(basicGet(1, 'q'), connectionClose());
  broker.read();
  t.equal(queue?.messageCount, 2);
  t.equal(queue?.unacknowledgedCount, 0);
  const other = broker.connect(1);
  other.send(basicConsume(1, 'q'));
  const bodies = other.methods().map(({ body }) => body);
  t.same(bodies, [undefined, '1', '2']);
});

t.test('without acknowledgements a message that is read too late counts as delivered', async (t) => {
  const { broker, client } = withQueue('1', '2');
  for (const each of broker.store.queues) each.page();
  client.send(getNoAck('q'), connectionClose());
  broker.read();
  t.equal(broker.virtualHost.queues.get('q')?.messageCount, 1);
});

t.test('a queue that goes while one of its messages is read leaves nothing to get', async (t) => {
  const { broker, client } = withQueue('1');
  for (const each of broker.store.queues) each.page();
  client.send(basicGet(1, 'q'), queueDeclare(1, 'next'), deleteQueue(2, 'q'), basicGet(1, 'next'));
  t.same(client.received(), ['1 basic.get-empty', '1 queue.declare-ok', '1 basic.get-empty']);
  broker.sync();
  t.same(client.received(), ['2 queue.delete-ok']);
  broker.read();
  t.same(broker.defects, []);
});

// Transactions

t.test('commit-ok comes when all of the transaction is durable, behind returned messages', async (t) => {
  const { broker, client } = withQueue('old');
  client.send(txSelect, basicGet(1, 'q'), persistentMessage(1, 'q', '1'), persistentMessage(1, 'q', '2'));
  client.send(basicAck(1, 1), message(1, 'm', { mandatory: true }));
  t.same(client.received(), ['1 tx.select-ok', '1 basic.get-ok']);
  const before = broker.store.stored.length;
  client.send(txCommit, persistentMessage(1, 'q', '3'), txCommit);
  t.equal(broker.store.stored.length, before + 2, 'all in one turn');
  t.same(client.received(), ['1 basic.return']);
  broker.sync();
  t.same(client.received(), ['1 tx.commit-ok']);
  t.equal(broker.store.stored.length, before + 3);
  broker.sync();
  t.same(client.received(), ['1 tx.commit-ok']);
  client.send(queuePurge(1, 'q'));
  checkBroker(t, broker);
});

// Confirms

const confirmSelect = (channel: number) => method(channel, 85, 10, octet(0));

t.test('confirms come when messages are durable, and go on while the channel waits', async (t) => {
  const { broker, client } = withQueue();
  client.send(confirmSelect(1), persistentMessage(1, 'q', '1'), message(1, '2', { routingKey: 'q' }));
  t.match(client.methods(), [{ channel: 1 }, { method: { deliveryTag: 2, multiple: false } }]);
  client.send(declareDurable(1, 'a'), persistentMessage(1, 'q', '3'));
  broker.sync(1);
  t.match(client.methods(), [{ method: { deliveryTag: 1, multiple: false } }], 'the answer still waits');
  broker.sync(1);
  t.same(client.received(), ['1 queue.declare-ok']);
  broker.sync();
  t.match(client.methods(), [{ method: { deliveryTag: 3, multiple: false } }]);
});

t.test('what was put off is confirmed in the turn in which it is handled', async (t) => {
  const { broker, client } = withQueue();
  client.send(confirmSelect(1), deleteQueue(1, 'q'), message(1, 'm', { routingKey: 'q' }));
  broker.sync();
  t.same(client.received(), ['1 confirm.select-ok', '1 queue.delete-ok', '1 basic.ack']);
});

t.test('channel.close does not wait for confirms, and late ones are dropped', async (t) => {
  const { broker, client } = withQueue();
  client.send(
    confirmSelect(1),
    persistentMessage(1, 'q', '1'),
    message(1, '2', { routingKey: 'q' }),
    channelClose(1),
    channelOpen(1),
    confirmSelect(1),
  );
  t.same(client.received(), [
    '1 confirm.select-ok',
    '1 basic.ack',
    '1 channel.close-ok',
    '1 channel.open-ok',
    '1 confirm.select-ok',
  ]);
  broker.sync();
  t.same(client.received(), []);
  client.send(persistentMessage(1, 'q', '3'));
  broker.sync();
  t.match(client.methods(), [{ method: { deliveryTag: 1 } }]);
});

t.test('late confirms of a channel or a connection that ended for an error are dropped, too', async (t) => {
  const { broker, client } = withQueue();
  client.send(confirmSelect(1), confirmSelect(2));
  client.send(persistentMessage(1, 'q', '1'), message(1, '2', { routingKey: 'q' }), passive(1, 'missing'));
  t.same(client.received(), ['1 confirm.select-ok', '2 confirm.select-ok', '1 basic.ack', '1 channel.close']);
  client.send(channelCloseOk(1), persistentMessage(2, 'q', '3'));
  broker.sync();
  t.same(client.received(), ['2 basic.ack']);
  client.send(persistentMessage(2, 'q', '4'), connectionClose());
  t.same(client.received(), ['0 connection.close-ok']);
  broker.sync();
  t.same(client.received(), []);
});

// Cancelled consumers

t.test('delete-ok still comes before the cancel of the consumers', async (t) => {
  const { broker, client } = withQueue();
  client.send(basicConsume(1, 'q'), basicConsume(2, 'q'), deleteQueue(1, 'q'), queueDeclare(1));
  t.same(client.received(), ['1 basic.consume-ok', '2 basic.consume-ok', '2 basic.cancel']);
  broker.sync();
  t.same(client.received(), ['1 queue.delete-ok', '1 basic.cancel', '1 queue.declare-ok']);
  client.send(declareDurable(1, 'q'));
  broker.sync();
  client.send(basicConsume(1, 'q'), deleteQueue(1, 'q'));
  broker.sync();
  t.same(client.received(), ['1 queue.declare-ok', '1 basic.consume-ok', '1 queue.delete-ok', '1 basic.cancel']);
});

// What the disk must know of a message

t.test('messages say whether they are persistent, and when they expire', async (t) => {
  const { broker, client } = withQueue();
  const seen: [boolean, number][] = [];
  const queue = broker.virtualHost.queues.get('q');
  Object.assign(queue ?? {}, {
    publish: (each: { persistent: boolean; expiresAtMs: number }) => seen.push([each.persistent, each.expiresAtMs]),
  });
  const publish = (header: Header) => bytes(basicPublish(1, { routingKey: 'q' }), contentHeader(1, 0, header));
  const frames = [
    publish({ flags: 0x1000, properties: octet(2) }),
    publish({}),
    publish({ flags: 0x1000, properties: octet(1) }),
    publish({ flags: 0x0100, properties: shortString('60000') }),
    publish({ flags: 0x0100, properties: shortString('0') }),
    persistentMessage(1, 'q', 'm', '+5'),
    publish({ flags: 0x0010, properties: shortString('guest') }),
  ];
  const expected = (now: number) => [
    [true, 0],
    [false, 0],
    [false, 0],
    [false, now + 60_000],
    [false, now],
    [true, now + 5],
    [false, 0],
  ];
  client.send(...frames);
  t.same(seen.splice(0), expected(broker.clock.epoch));
  client.send(txSelect, ...frames);
  broker.clock.epoch += 1000;
  client.send(txCommit);
  t.same(seen, expected(broker.clock.epoch), 'in a transaction they count from the commit on');
});

// broker.accept: AMQP on streams that the program brings, without a socket.
import type { Duplex } from 'node:stream';
import t, { type Test } from 'tap';
import { type Broker, createBroker, type PeerAddresses } from '../../lib/index.ts';
import { closeText, EmbedClient, NumberedInbox, numberedMessages, sharedQueueDeclare } from '../helper/embed-client.ts';
import { createPair, type Delivery } from '../helper/embed-pair.ts';
import {
  basicConsume,
  basicPublish,
  confirmSelect,
  contentBody,
  contentHeader,
  message,
} from '../helper/wire-bytes.ts';

async function startBroker(t: Test): Promise<Broker> {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  return broker;
}

function join(broker: Broker, delivery: Delivery, peer?: PeerAddresses): Duplex {
  const [ours, theirs] = createPair(delivery);
  broker.accept(ours, peer);
  return theirs;
}

for (const delivery of ['next-turn', 'synchronous'] as const) {
  t.test(`a pair of streams in memory speaks AMQP, ${delivery}`, async (t) => {
    const broker = await startBroker(t);
    const client = await new EmbedClient(join(broker, delivery)).open();
    await client.openChannel();
    t.equal(broker.connectionCount, 1);

    const count = 5_000;
    const inbox = new NumberedInbox();
    client.onMessage = inbox.take;
    await client.call(1, 85, 11, confirmSelect(1));
    await client.call(1, 50, 11, sharedQueueDeclare(1, 'memory'));
    await client.call(1, 60, 21, basicConsume(1, 'memory'));
    client.send(numberedMessages(1, { routingKey: 'memory' }, { count, size: 1000 }));
    await inbox.count(count);
    t.equal(inbox.received, count);
    t.same(inbox.misplaced, [], 'in order, each once');

    await client.close();
    t.equal(broker.connectionCount, 0);
    t.same([...broker.connectionEnds], [['client-close', 1]]);
  });
}

t.test('a client that answers within the write that it reads from loses nothing', async (t) => {
  const broker = await startBroker(t);
  const client = await new EmbedClient(join(broker, 'synchronous')).open();
  await client.openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'ping'));
  await client.call(1, 60, 21, basicConsume(1, 'ping'));
  const rounds = 2_000;
  const inbox = new NumberedInbox();
  client.onMessage = (received) => {
    inbox.take(received);
    // From within the broker's write: the next message is published while this one is still being written.
    if (inbox.received < rounds) {
      client.send(
        numberedMessages(1, { routingKey: 'ping' }, { first: inbox.received, count: 1, size: 1 + inbox.received * 40 }),
      );
    }
  };
  client.send(numberedMessages(1, { routingKey: 'ping' }, { count: 1, size: 4 }));
  await inbox.count(rounds);
  t.same(inbox.misplaced, []);
});

t.test('messages travel between a stream in memory and a socket', async (t) => {
  const broker = await startBroker(t);
  const inMemory = await new EmbedClient(join(broker, 'synchronous')).open();
  const onSocket = await EmbedClient.connect(t, broker.port);
  await inMemory.openChannel();
  await onSocket.openChannel();
  const inbox = new NumberedInbox();
  onSocket.onMessage = inbox.take;
  await onSocket.call(1, 50, 11, sharedQueueDeclare(1, 'across'));
  await onSocket.call(1, 60, 21, basicConsume(1, 'across'));
  inMemory.send(numberedMessages(1, { routingKey: 'across' }, { count: 100, size: 50_000 }));
  await inbox.count(100);
  t.same(inbox.misplaced, []);
});

t.test('a stream in memory counts as this machine, so that guest may log in', async (t) => {
  const broker = await startBroker(t);
  const client = await new EmbedClient(join(broker, 'next-turn')).open();
  await client.close();
});

t.test('guest is refused when the stream comes from elsewhere', async (t) => {
  const elsewhere = { remoteAddress: '192.0.2.7', remotePort: 40_000 };

  await t.test('with connection.close 403 for a client that understands it', async (t) => {
    const broker = await startBroker(t);
    const client = new EmbedClient(join(broker, 'next-turn', elsewhere));
    const capable = { clientProperties: { capabilities: { authentication_failure_close: true } } };
    const refused = client.expect(0, 10, 50);
    await t.rejects(client.open(capable), /the connection ended/);
    const args = await refused;
    t.equal(args.readUInt16BE(0), 403);
    t.equal(
      closeText(args),
      'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
    );
    t.same([...broker.connectionEnds.keys()], ['authentication-failed']);
  });

  await t.test('by a closed stream for any other', async (t) => {
    const broker = await startBroker(t);
    const client = new EmbedClient(join(broker, 'next-turn', elsewhere));
    await t.rejects(client.open(), /the connection ended/);
    await client.closed;
    t.same([...broker.connectionEnds.keys()], ['authentication-failed']);
  });

  await t.test('but not a user who may come from anywhere', async (t) => {
    const broker = await createBroker({ port: 0, users: [{ name: 'traveller', password: 'secret' }] });
    t.teardown(() => broker.close());
    const client = new EmbedClient(join(broker, 'next-turn', elsewhere));
    await client.open({ response: '\0traveller\0secret' });
    await client.close();
  });
});

t.test('a stream that is destroyed in the middle of a body gives back what it held', async (t) => {
  const broker = await startBroker(t);
  const client = await new EmbedClient(join(broker, 'next-turn')).open();
  await client.openChannel();
  client.send(basicPublish(1, { routingKey: 'x' }), contentHeader(1, 300_000), contentBody(1, Buffer.alloc(100_000)));
  // The answer to this comes after the piece of the body was taken.
  const second = await client.openChannel(2);
  t.ok(broker.memoryUsedBytes >= 100_000, `${broker.memoryUsedBytes} bytes are held`);
  second.stream.destroy();
  await client.closed;
  const other = await new EmbedClient(join(broker, 'next-turn')).open();
  t.equal(broker.memoryUsedBytes, 0);
  t.equal(broker.connectionCount, 1);
  await other.close();
});

t.test('a stream that fails ends its connection, not the process', async (t) => {
  const broker = await startBroker(t);
  const [ours, theirs] = createPair('next-turn');
  broker.accept(ours);
  const client = await new EmbedClient(theirs).open();
  ours.destroy(new Error('the cable was cut'));
  await client.closed;
  t.same([...broker.connectionEnds], [['socket-error', 1]]);
});

t.test('a closed broker closes the streams that it is given', async (t) => {
  const broker = await startBroker(t);
  await broker.close();
  const client = new EmbedClient(join(broker, 'next-turn'));
  await client.closed;
  t.equal(broker.connectionCount, 0);
  t.pass('closed');
});

t.test('messages of zero bytes and of several frames pass a stream in memory', async (t) => {
  const broker = await startBroker(t);
  const client = await new EmbedClient(join(broker, 'synchronous')).open({ frameMax: 4096 });
  await client.openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'sizes'));
  const bodies: Buffer[] = [];
  const all = new Promise<void>((resolve) => {
    client.onMessage = ({ body }) => {
      if (bodies.push(body ?? Buffer.alloc(0)) === 2) resolve();
    };
  });
  await client.call(1, 60, 21, basicConsume(1, 'sizes'));
  const large = Buffer.alloc(1_000_000, 'abc');
  client.send(message(1, '', { routingKey: 'sizes' }));
  client.send(basicPublish(1, { routingKey: 'sizes' }), contentHeader(1, large.length));
  for (let at = 0; at < large.length; at += 4000) client.send(contentBody(1, large.subarray(at, at + 4000)));
  await all;
  t.equal(bodies[0].length, 0);
  t.ok(bodies[1].equals(large), 'the large body is the same');
});

// A client that asks and asks but does not read the answers: what waits for it in the broker stays bounded, the rest waits
// in its own socket.
import t, { type Test } from 'tap';
import { createBroker } from '../../lib/index.ts';
import {
  EmbedClient,
  heldUp,
  messageCountOf,
  NumberedInbox,
  passiveDeclare,
  sharedQueueDeclare,
  turnsUntil,
} from '../helper/embed-client.ts';
import { connectObserved, type ObservedClient } from '../helper/embed-socket.ts';
import {
  basicConsume,
  basicGet,
  basicPublish,
  bytes,
  contentBody,
  contentHeader,
  heartbeat,
  message,
  method,
  octet,
  short,
  shortString,
  table,
} from '../helper/wire-bytes.ts';

/** Some MB, as the answers to what one read from the socket brings may come on top. The requests below ask for far more. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;

interface Stuck extends ObservedClient {
  readonly port: number;
}

/** A broker, and a client with a channel whose reading is up to the test. */
async function openStuck(t: Test): Promise<Stuck> {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const observed = await connectObserved(t, broker.port);
  await observed.client.openChannel();
  return { ...observed, port: broker.port };
}

const requests = [
  {
    what: 'the answers to its methods',
    request: bytes(...Array(100).fill(sharedQueueDeclare(1, 'q'.repeat(200)))),
    count: 2_000,
    answer: [50, 11],
    answers: 200_000,
  },
  {
    what: 'its returned messages',
    request: message(1, Buffer.alloc(100_000), { mandatory: true }),
    count: 500,
    answer: undefined,
    answers: 500,
  },
] as const;

for (const { what, request, count, answer, answers } of requests) {
  t.test(`a client that does not read ${what} is not read from until it does`, async (t) => {
    const { client, waitingBytes, port } = await openStuck(t);
    client.stream.pause();
    for (let i = 0; i < count; i++) client.send(request);
    await heldUp(client);
    t.ok(waitingBytes() <= MOST_WAITING_BYTES, `${waitingBytes()} bytes wait in the broker`);
    t.ok(client.stream.writableLength > 0, 'the rest waits in the client');

    const other = await EmbedClient.connect(t, port);
    await other.openChannel();
    t.pass('others are served');

    let received = 0;
    client.onMessage = () => {
      received++;
    };
    client.stream.resume();
    if (answer === undefined) await turnsUntil(() => received === answers);
    else for (; received < answers; received++) await client.expect(1, ...answer);
    t.equal(received, answers, 'every answer came when it read again');
  });
}

t.test('direct replies to a client that does not read wait in the broker as messages, and count as such', async (t) => {
  const broker = await createBroker({ port: 0, memoryLimitBytes: '1GiB' });
  t.teardown(() => broker.close());
  const { client: requester, waitingBytes } = await connectObserved(t, broker.port);
  const responder = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await requester.openChannel();
  const consumeReplies = [short(0), shortString('amq.rabbitmq.reply-to'), shortString(''), octet(0b0010), table()];
  await requester.call(1, 60, 21, method(1, 60, 20, ...consumeReplies));
  const inbox = new NumberedInbox();
  requester.onMessage = inbox.take;
  const replyTo = await replyAddress(requester, responder);

  requester.stream.pause();
  const count = 500;
  for (let number = 0; number < count; number++) {
    const body = Buffer.alloc(100_000);
    body.writeUInt32BE(number);
    await responder.sendPaced(message(1, body, { routingKey: replyTo }));
  }
  await responder.openChannel(2);
  t.ok(waitingBytes() <= MOST_WAITING_BYTES, `${waitingBytes()} bytes wait in the output`);
  t.ok(broker.memoryUsedBytes > (count * 100_000) / 2, `${broker.memoryUsedBytes} bytes count as used`);

  requester.stream.resume();
  await inbox.count(count);
  t.same(inbox.misplaced, []);
  await requester.openChannel(2);
  t.equal(broker.memoryUsedBytes, 0);
});

/** Sends a request for direct replies, and gives the address that the responder sees. */
async function replyAddress(requester: EmbedClient, responder: EmbedClient): Promise<string> {
  await responder.call(1, 50, 11, sharedQueueDeclare(1, 'requests'));
  let seen = '';
  const see = (data: Buffer): void => {
    seen += data.toString('latin1');
  };
  responder.stream.on('data', see);
  const came = new Promise((resolve) => {
    responder.onMessage = resolve;
  });
  await responder.call(1, 60, 21, basicConsume(1, 'requests'));
  const replyTo = { flags: 0x0200, properties: shortString('amq.rabbitmq.reply-to') };
  requester.send(basicPublish(1, { routingKey: 'requests' }), contentHeader(1, 1, replyTo), contentBody(1, '?'));
  await came;
  responder.stream.off('data', see);
  const address = /amq\.rabbitmq\.reply-to\.[\w+/=.-]+/.exec(seen)?.[0];
  if (address === undefined) throw new Error('the request came without a reply address');
  return address;
}

t.test('a client that neither reads nor shows life is cut off for its missing heartbeats', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const publisher = await (await EmbedClient.connect(t, broker.port)).openChannel();
  const client = await (await EmbedClient.connect(t, broker.port, { heartbeat: 1 })).openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'orphaned'));
  const count = 200;
  for (let i = 0; i < count; i++) {
    await publisher.sendPaced(message(1, Buffer.alloc(100_000), { routingKey: 'orphaned' }));
  }
  await publisher.openChannel(2);
  client.stream.pause();
  // Few bytes ask for many: none of its own are left that could be taken for life.
  client.send(...Array(count).fill(basicGet(1, 'orphaned')));
  await turnsUntil(() => broker.connectionCount === 1);
  t.same([...broker.connectionEnds], [['heartbeat-timeout', 1]]);
  const orphaned = await publisher.call(1, 50, 11, passiveDeclare(1, 'orphaned'));
  t.equal(messageCountOf(orphaned), count, 'what it took is there for others');
});

t.test('a client that takes long to read a large message but sends heartbeats stays', async (t) => {
  const broker = await createBroker({ port: 0 });
  t.teardown(() => broker.close());
  const { client, waitingBytes } = await connectObserved(t, broker.port, { heartbeat: 1 });
  await client.openChannel();
  await client.call(1, 50, 11, sharedQueueDeclare(1, 'large'));
  const body = Buffer.alloc(32 * 1024 * 1024, 'large');
  client.send(basicPublish(1, { routingKey: 'large' }), contentHeader(1, body.length));
  for (let at = 0; at < body.length; at += 131_000) client.send(contentBody(1, body.subarray(at, at + 131_000)));
  const received = new Promise<Buffer>((resolve) => {
    client.onMessage = (message) => resolve(message.body);
  });
  await client.call(1, 60, 21, basicConsume(1, 'large'));
  client.stream.pause();
  await turnsUntil(() => waitingBytes() > body.length / 2);
  // Its own beats are the clock: for longer than the broker bears silence it reads a little at each.
  for (let beat = 0; beat < 10; beat++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    client.send(heartbeat());
    client.stream.read();
  }
  t.equal(broker.connectionCount, 1);
  client.stream.resume();
  t.ok((await received).equals(body));
});

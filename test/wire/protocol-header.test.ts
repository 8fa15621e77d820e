// The first eight bytes of a connection, and what may follow them (AMQP 0-9-1 section 4.2.2).
import t from 'tap';
import { againstPeer, startTarget } from '../helper/broker.ts';
import {
  bytes,
  channelOpen,
  connectionOpen,
  octet,
  type Piece,
  PROTOCOL_HEADER,
  queueDeclare,
  startOk,
  tuneOk,
} from '../helper/wire-bytes.ts';
import { wireTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);
// RabbitMQ waits its 10 s, which is Leveret's default as well.
const hasty = await startTarget(t, againstPeer ? {} : { handshakeTimeoutMs: 300 });

const header = (...numbers: number[]) => bytes('AMQP', ...numbers.map(octet));

const WRONG: [string, Piece][] = [
  ['an HTTP request', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['AMQP 0-10', header(1, 1, 0, 10)],
  ['AMQP 0-9-0 in the new form', header(0, 0, 9, 0)],
  ['AMQP 0-9-2', header(0, 0, 9, 2)],
  ['AMQP 1.0', header(0, 1, 0, 0)],
  ['AMQP 1.0 over SASL', header(3, 1, 0, 0)],
  ['AMQP 1.0 over TLS', header(2, 1, 0, 0)],
  ['a TLS client hello', bytes(...[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01].map(octet))],
  ['the right header in lower case', bytes('amqp', ...[0, 0, 9, 1].map(octet))],
];

for (const [name, sent] of WRONG) {
  wireTest(target, `${name} is answered with the header that we speak, then the socket is closed`, async (test) => {
    test.client.send(sent);
    test.t.same(await test.client.read(8), PROTOCOL_HEADER);
    await test.client.expectEnd();
  });
}

wireTest(target, 'the header of 0-9, AMQP 1 1 0 9, is taken as 0-9-1', async ({ t, client }) => {
  client.send(header(1, 1, 0, 9));
  const start = await client.expectMethod(0, 10, 10);
  t.same([start[0], start[1]], [0, 9]);
  client.send(startOk());
  await client.expectMethod(0, 10, 30);
});

wireTest(target, 'a header that comes one byte at a time is a header', async ({ client }) => {
  for (const byte of PROTOCOL_HEADER) await client.sendAll(octet(byte));
  await client.expectMethod(0, 10, 10);
});

wireTest(target, 'a client may send its whole handshake and more without waiting for an answer', async ({ client }) => {
  client.send(PROTOCOL_HEADER, startOk(), tuneOk(), connectionOpen(), channelOpen(1), queueDeclare(1));
  await client.expectMethod(0, 10, 10);
  await client.expectMethod(0, 10, 30);
  await client.expectMethod(0, 10, 41);
  await client.expectMethod(1, 20, 11);
  await client.expectMethod(1, 50, 11);
});

wireTest(
  target,
  'bytes that are no frame after the header: the socket is closed without an answer',
  async ({ client }) => {
    await client.start();
    client.send('this is no frame');
    await client.expectEnd();
  },
);

const UNFINISHED: [string, Piece][] = [
  ['nothing', ''],
  ['half a header', 'AMQP'],
  ['seven bytes that no header begins with', 'GET / H'],
];

for (const [name, sent] of UNFINISHED) {
  wireTest(hasty, `${name}, then silence: the socket is closed after the handshake timeout`, async ({ client }) => {
    client.send(sent);
    await client.expectEnd();
  });
}

wireTest(hasty, 'silence after connection.start: closed after the handshake timeout', async ({ client }) => {
  await client.start();
  await client.expectEnd();
});

wireTest(hasty, 'silence after connection.tune: closed after the handshake timeout', async ({ client }) => {
  await client.authenticate();
  await client.expectEnd();
});

wireTest(hasty, 'silence before connection.open: closed after the handshake timeout', async ({ client }) => {
  await client.authenticate();
  client.send(tuneOk());
  await client.expectEnd();
});

wireTest(target, 'a client that goes away in the handshake leaves nothing behind', async ({ client }) => {
  await client.start();
  client.end();
  await client.expectEnd();
});

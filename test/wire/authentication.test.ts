// connection.start and start-ok: what the broker offers, and how it takes what it does not like. Before a client has
// authenticated RabbitMQ does not trust it: nearly every error is a socket closed without a word, after a delay.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  bytes,
  channelOpen,
  connectionClose,
  connectionOpen,
  frame,
  frameStart,
  heartbeat,
  long,
  longString,
  method,
  octet,
  type Piece,
  PROTOCOL_HEADER,
  shortString,
  startOk,
  table,
  tuneOk,
} from '../helper/wire-bytes.ts';
import { wireTest } from '../helper/wire-test.ts';

t.jobs = 24;

// A timeout so long that no test passes because of it.
const target = await startTarget(t, { handshakeTimeoutMs: 60_000 });

const REFUSED = (mechanism: string) =>
  `ACCESS_REFUSED - Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`;
const TELL_ME = { capabilities: { authentication_failure_close: true } };

const field = (name: string, type: string, value: Buffer) => bytes(shortString(name), type, value);
const credentials = (login: string, password: string) =>
  bytes(field('LOGIN', 'S', longString(login)), field('PASSWORD', 'S', longString(password)));

wireTest(target, 'connection.start offers version 0-9, PLAIN and AMQPLAIN, en_US', async ({ t, client }) => {
  const start = await client.start();
  t.same([start[0], start[1]], [0, 9]);
  const rest = start.subarray(2 + 4 + start.readUInt32BE(2));
  const mechanisms = rest.toString('utf8', 4, 4 + rest.readUInt32BE(0)).split(' ');
  t.same(mechanisms.sort(), ['AMQPLAIN', 'PLAIN']);
  t.same(rest.subarray(4 + rest.readUInt32BE(0)), longString('en_US'));
});

wireTest(target, "server properties begin with RabbitMQ's capabilities, each true", async ({ t, client }) => {
  const capabilities = [
    'publisher_confirms',
    'exchange_exchange_bindings',
    'basic.nack',
    'consumer_cancel_notify',
    'connection.blocked',
    'consumer_priorities',
    'authentication_failure_close',
    'per_consumer_qos',
    'direct_reply_to',
  ];
  const expected = field('capabilities', 'F', table(Object.fromEntries(capabilities.map((name) => [name, true]))));
  const start = await client.start();
  t.same(start.subarray(6, 6 + expected.length), expected);
  const product = field('product', 'S', longString('RabbitMQ'));
  t.ok(start.includes(product), 'product is RabbitMQ');
  for (const name of ['cluster_name', 'copyright', 'information', 'platform', 'version']) {
    t.ok(start.includes(bytes(shortString(name), 'S')), `${name} is a string`);
  }
});

wireTest(target, 'connection.tune proposes 2047 channels, frames of 131072 bytes, 60 s', async ({ t, client }) => {
  t.equal((await client.authenticate()).toString('hex'), '07ff00020000003c');
});

const ACCEPTED: [string, Parameters<typeof startOk>[0]][] = [
  ['AMQPLAIN with the right password', { mechanism: 'AMQPLAIN', response: credentials('guest', 'guest') }],
  ['an unknown locale', { locale: 'xx_XX' }],
  ['an empty locale', { locale: '' }],
  ['capabilities that are no table', { clientProperties: { capabilities: true } }],
];

for (const [name, options] of ACCEPTED) {
  wireTest(target, `start-ok: ${name} goes on to tune`, async ({ client }) => {
    await client.start();
    client.send(startOk(options));
    await client.expectMethod(0, 10, 30);
  });
}

wireTest(target, 'start-ok may have a payload of 4096 bytes', async ({ client }) => {
  const size = startOk({ clientProperties: { padding: '' } }).length - 8;
  await client.start();
  client.send(startOk({ clientProperties: { padding: 'x'.repeat(4096 - size) } }));
  await client.expectMethod(0, 10, 30);
});

wireTest(target, 'a heartbeat before start-ok does not matter', async ({ client }) => {
  await client.start();
  client.send(heartbeat(), startOk());
  await client.expectMethod(0, 10, 30);
});

const WRONG_CREDENTIALS: [string, string, Piece][] = [
  ['a wrong password', 'PLAIN', '\0guest\0wrong'],
  ['an unknown user', 'PLAIN', '\0nobody\0guest'],
  ['an empty user', 'PLAIN', '\0\0'],
  ['a wrong password in AMQPLAIN', 'AMQPLAIN', credentials('guest', 'wrong')],
];

for (const [name, mechanism, response] of WRONG_CREDENTIALS) {
  wireTest(target, `${name}: 403 for a client with authentication_failure_close`, async ({ client }) => {
    await client.start();
    client.send(startOk({ mechanism, response, clientProperties: TELL_ME }));
    await client.expectClose(403, REFUSED(mechanism), 0, 0);
  });

  wireTest(target, `${name}: for any other client the socket is closed without an answer`, async ({ client }) => {
    await client.start();
    client.send(startOk({ mechanism, response }));
    await client.expectEnd();
  });
}

wireTest(target, 'a refused client that never sends close-ok is cut off', async ({ client }) => {
  await client.start();
  client.send(startOk({ response: '\0guest\0wrong', clientProperties: TELL_ME }));
  await client.expectCloseUnanswered(403, REFUSED('PLAIN'), 0, 0);
  await client.expectEnd();
});

const start = (mechanism: string, response: Piece) => startOk({ mechanism, response, clientProperties: TELL_ME });

// Even clients with authentication_failure_close are told nothing of these.
const SILENTLY_CLOSED: [string, Piece][] = [
  ['unknown mechanism', start('FOO', '')],
  ['empty mechanism', start('', '')],
  ['mechanism in lower case', start('plain', '\0guest\0guest')],
  ['EXTERNAL, which is not offered', start('EXTERNAL', '')],
  ['PLAIN response without NUL', start('PLAIN', 'guest')],
  ['empty PLAIN response', start('PLAIN', '')],
  ['PLAIN response with an authorization identity', start('PLAIN', 'x\0guest\0guest')],
  ['PLAIN response with a NUL too many', start('PLAIN', '\0guest\0guest\0')],
  ['AMQPLAIN response without PASSWORD', start('AMQPLAIN', field('LOGIN', 'S', longString('guest')))],
  ['empty AMQPLAIN response', start('AMQPLAIN', '')],
  ['AMQPLAIN response that is no table', start('AMQPLAIN', Buffer.from([0xff, 0xff, 0xff]))],
  [
    'AMQPLAIN response with keys in lower case',
    start('AMQPLAIN', bytes(field('login', 'S', longString('guest')), field('password', 'S', longString('guest')))),
  ],
  [
    'AMQPLAIN response whose LOGIN is a number',
    start('AMQPLAIN', bytes(field('LOGIN', 'I', long(1)), field('PASSWORD', 'S', longString('guest')))),
  ],
  ['start-ok cut short', method(0, 10, 11, table())],
  [
    'client properties with an unknown field type',
    method(
      0,
      10,
      11,
      longString(bytes(shortString('a'), '?')),
      shortString('PLAIN'),
      longString('\0guest\0guest'),
      shortString('en_US'),
    ),
  ],
  ['tune-ok instead of start-ok', tuneOk()],
  ['connection.open instead of start-ok', connectionOpen()],
  ['connection.close instead of start-ok', connectionClose()],
  ['channel.open instead of start-ok', channelOpen(1)],
  ['the protocol header once more', PROTOCOL_HEADER],
  ['a frame of unknown type', frame(4, 0, 'abc')],
  ['a frame with a payload of 4097 bytes', bytes(frameStart(1, 0, 4097), Buffer.alloc(4098))],
  ['start-ok with a wrong frame end', bytes(startOk().subarray(0, -1), octet(0))],
];

for (const [name, sent] of SILENTLY_CLOSED) {
  wireTest(target, `${name}: the socket is closed without an answer`, async ({ client }) => {
    await client.start();
    client.send(sent);
    await client.expectEnd();
  });
}

wireTest(target, 'start-ok twice: closed without an answer to the second', async ({ client }) => {
  await client.authenticate();
  client.send(startOk());
  await client.expectEnd();
});

// Methods where they do not belong: unknown ones, ones of the wrong class for their channel, ones that only a server sends,
// and arguments that cannot be read.
import t from 'tap';
import { startTarget } from '../helper/broker.ts';
import {
  basicAck,
  basicGet,
  basicPublish,
  bytes,
  channelClose,
  channelCloseOk,
  channelOpen,
  confirmSelect,
  connectionClose,
  connectionCloseOk,
  connectionOpen,
  contentHeader,
  long,
  longLong,
  longString,
  method,
  octet,
  queueDeclare,
  short,
  shortString,
  startOk,
  table,
  tuneOk,
} from '../helper/wire-bytes.ts';
import { channelTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const ON_CHANNEL_0: [string, Buffer, number, number][] = [
  ['start-ok once more', startOk(), 10, 11],
  ['tune-ok once more', tuneOk(), 10, 31],
  ['connection.open once more', connectionOpen(), 10, 40],
  ['connection.open-ok', method(0, 10, 41, shortString('')), 10, 41],
  ['connection.close-ok for no close', connectionCloseOk(), 10, 51],
  ['connection.blocked', method(0, 10, 60, shortString('x')), 10, 60],
  ['connection.unblocked', method(0, 10, 61), 10, 61],
  ['update-secret-ok', method(0, 10, 71), 10, 71],
  ['secure-ok', method(0, 10, 21, longString('x')), 10, 21],
  ['channel.open', channelOpen(0), 20, 10],
  ['queue.declare', queueDeclare(0), 50, 10],
  ['basic.publish', basicPublish(0), 60, 40],
  ['basic.ack', basicAck(0, 1), 60, 80],
  ['confirm.select', confirmSelect(0), 85, 10],
];

for (const [name, sent, classId, methodId] of ON_CHANNEL_0) {
  channelTest(target, `${name} on channel 0: 504`, async ({ client }) => {
    client.send(sent);
    const text = 'CHANNEL_ERROR - unexpected method in connection state running';
    await client.expectClose(504, text, classId, methodId);
  });
}

const UNIMPLEMENTED: [string, Buffer, number, number][] = [
  ['connection.close', onChannel1(connectionClose()), 10, 50],
  ['connection.open', onChannel1(connectionOpen()), 10, 40],
  ['channel.open-ok', method(1, 20, 11, longString('')), 20, 11],
  ['channel.flow-ok', method(1, 20, 21, octet(1)), 20, 21],
  ['channel.close-ok for no close', channelCloseOk(1), 20, 41],
  ['queue.declare-ok', method(1, 50, 11, shortString('x'), long(0), long(0)), 50, 11],
  ['basic.get-empty', method(1, 60, 72, shortString('')), 60, 72],
  ['basic.cancel-ok', method(1, 60, 31, shortString('x')), 60, 31],
  [
    'basic.deliver with its content',
    bytes(
      method(1, 60, 60, shortString('t'), longLong(1), octet(0), shortString(''), shortString('')),
      contentHeader(1, 0),
    ),
    60,
    60,
  ],
  [
    'basic.return with its content',
    bytes(method(1, 60, 50, short(312), shortString(''), shortString(''), shortString('')), contentHeader(1, 0)),
    60,
    50,
  ],
];

for (const [name, sent, classId, methodId] of UNIMPLEMENTED) {
  channelTest(target, `${name} on a channel: 503`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(503, 'COMMAND_INVALID - unimplemented method', classId, methodId);
  });
}

const NOT_OPEN: [string, Buffer, number, number][] = [
  ['queue.declare', queueDeclare(2), 50, 10],
  ['basic.publish with its content', bytes(basicPublish(2), contentHeader(2, 0)), 60, 40],
  ['channel.close', channelClose(2), 20, 40],
  ['channel.close-ok', channelCloseOk(2), 20, 41],
  ['a method on the highest channel', queueDeclare(65535), 50, 10],
];

for (const [name, sent, classId, methodId] of NOT_OPEN) {
  channelTest(target, `${name} on a channel that is not open: 504`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(504, "CHANNEL_ERROR - expected 'channel.open'", classId, methodId);
  });
}

// RabbitMQ's reader crashes on these: the socket is closed and nothing is sent. We may say why.
const UNKNOWN: [string, Buffer][] = [
  ['unknown class', method(1, 1234, 1)],
  ['unknown class on channel 0', method(0, 1234, 1)],
  ['unknown class on a channel that is not open', method(2, 1234, 1)],
  ['unknown method', method(1, 60, 999)],
  ['unknown method on channel 0', method(0, 10, 999)],
];

for (const [name, sent] of UNKNOWN) {
  channelTest(target, `${name}: the connection ends`, async ({ client }) => {
    client.send(sent);
    await client.expectEndWith(501, 502, 503, 540);
  });
}

const declareArguments = (args: Buffer) => queueDeclare(1, '', longString(args));

const BROKEN_TABLES: [string, Buffer][] = [
  ['a field of unknown type', bytes(shortString('a'), '?')],
  ['a field cut short', bytes(shortString('a'), 'I', short(1))],
  ['a name without a value', shortString('abc')],
  ['a name that overruns the table', bytes(octet(20), 'abc')],
  ['a table in it that overruns it', bytes(shortString('a'), 'F', long(50), 'abc')],
  ['an array with half a value', bytes(shortString('a'), 'A', long(2), 'I', octet(0))],
];

for (const [name, args] of BROKEN_TABLES) {
  channelTest(target, `a field table with ${name}: the connection ends`, async ({ client }) => {
    client.send(declareArguments(args));
    await client.expectEndWith(501, 502);
  });
}

const UNREADABLE: [string, Buffer, string, number, number][] = [
  ['queue.declare without arguments', method(1, 50, 10), '', 50, 10],
  ['a short string that overruns', method(1, 50, 10, short(0), octet(20), 'abc'), '0,0,20,97,98,99', 50, 10],
  ['queue.declare without its table', method(1, 50, 10, short(0), shortString('x'), octet(4)), '0,0,1,120,4', 50, 10],
  [
    'a table that overruns',
    method(1, 50, 10, short(0), octet(0), octet(4), long(100), 'abc'),
    '0,0,0,4,0,0,0,100,97,98,99',
    50,
    10,
  ],
  [
    'queue.declare with bytes after it',
    method(1, 50, 10, short(0), octet(0), octet(4), table(), 'z'),
    '0,0,0,4,0,0,0,0,122',
    50,
    10,
  ],
  [
    'basic.publish without its bits',
    method(1, 60, 40, short(0), shortString(''), shortString('x')),
    '0,0,0,1,120',
    60,
    40,
  ],
  ['basic.ack with half a tag', method(1, 60, 80, long(1)), '0,0,0,1', 60, 80],
  ['basic.qos cut short', method(1, 60, 10, long(0)), '0,0,0,0', 60, 10],
  ['channel.open without its argument', method(2, 20, 10), '', 20, 10],
  ['channel.open with bytes after it', method(2, 20, 10, shortString(''), 'zz'), '0,122,122', 20, 10],
  ['tx.select with bytes after it', method(1, 90, 10, 'zz'), '122,122', 90, 10],
];

for (const [name, sent, args, classId, methodId] of UNREADABLE) {
  channelTest(target, `${name}: 501`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(501, `FRAME_ERROR - cannot decode <<${args}>>`, classId, methodId);
  });
}

channelTest(target, 'a connection method cut short: 541', async ({ client }) => {
  client.send(method(0, 10, 50, short(200)));
  await client.expectClose(541, 'INTERNAL_ERROR', 0, 0);
});

const NOT_UTF8 = shortString(Buffer.from([0xff, 0xfe]));

// Only basic.publish is spared, since this check costs time there.
const MALFORMED: [string, Buffer, number, number][] = [
  ['queue.declare', method(1, 50, 10, short(0), NOT_UTF8, octet(0), table()), 0, 0],
  ['basic.consume', method(1, 60, 20, short(0), shortString(''), NOT_UTF8, octet(0), table()), 0, 0],
  ['queue.bind', queueBind(NOT_UTF8), 0, 0],
  ['queue.bind, overlong', queueBind(shortString(Buffer.from([0xc0, 0x80]))), 0, 0],
  ['channel.close', method(1, 20, 40, short(200), NOT_UTF8, short(0), short(0)), 0, 0],
  ['connection.close', method(0, 10, 50, short(200), NOT_UTF8, short(0), short(0)), 10, 50],
];

for (const [name, sent, classId, methodId] of MALFORMED) {
  channelTest(target, `a short string that is not UTF-8 in ${name}: 501`, async ({ client }) => {
    client.send(sent);
    await client.expectClose(501, 'FRAME_ERROR - Malformed UTF-8 in shortstr', classId, methodId);
  });
}

channelTest(target, 'a routing key need not be UTF-8 and comes back as it was', async ({ t, client }) => {
  client.send(method(1, 60, 40, short(0), shortString(''), NOT_UTF8, octet(1)), contentHeader(1, 0));
  const returned = await client.expectMethod(1, 60, 50);
  t.same(returned.subarray(-3), NOT_UTF8);
});

channelTest(target, 'bits without meaning, tickets and rare field types do not matter', async ({ client }) => {
  const rare = bytes(shortString('a'), 'B', octet(1), shortString('b'), 'u', short(1), shortString('c'), 'i', long(7));
  client.send(method(1, 50, 10, short(65535), shortString(''), octet(0xe4), longString(rare)));
  await client.expectMethod(1, 50, 11);
});

channelTest(target, 'access.request, long gone from the specification, is granted', async ({ t, client }) => {
  client.send(method(1, 30, 10, shortString('/data'), octet(0)));
  t.same(await client.expectMethod(1, 30, 11), short(1));
});

channelTest(target, 'a reply text over 255 bytes is cut to 252 and three dots', async ({ client }) => {
  client.send(basicGet(1, 'n'.repeat(255)));
  const text = `${`NOT_FOUND - no queue '${'n'.repeat(255)}`.slice(0, 252)}...`;
  await client.expectChannelClose(1, 404, text, 60, 70);
});

channelTest(target, 'what came before a soft error is answered before it', async ({ client }) => {
  client.send(queueDeclare(1), confirmSelect(1), basicAck(1, 99));
  await client.expectMethod(1, 50, 11);
  await client.expectMethod(1, 85, 11);
  await client.expectChannelClose(1, 406, 'PRECONDITION_FAILED - unknown delivery tag 99', 60, 80);
});

/** The same frame for channel 1. */
function onChannel1(sent: Buffer): Buffer {
  return bytes(sent.subarray(0, 1), short(1), sent.subarray(3));
}

function queueBind(routingKey: Buffer): Buffer {
  return method(1, 50, 20, short(0), shortString(''), shortString('amq.direct'), routingKey, octet(0), table());
}

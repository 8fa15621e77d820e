// Properties and sizes of content: what cannot be read, what is refused, and what passes through untouched.
import t from 'tap';
import { againstPeer, startTarget } from '../helper/broker.ts';
import {
  basicPublish,
  bytes,
  contentBody,
  contentHeader,
  type Header,
  long,
  longLong,
  longString,
  octet,
  queueDeclare,
  short,
  shortString,
  table,
} from '../helper/wire-bytes.ts';
import { channelTest } from '../helper/wire-test.ts';

t.jobs = 16;

const target = await startTarget(t);

const CONTENT_TYPE = 0x8000;
const HEADERS = 0x2000;
const DELIVERY_MODE = 0x1000;
const PRIORITY = 0x0800;
const REPLY_TO = 0x0200;
const EXPIRATION = 0x0100;
const TIMESTAMP = 0x0040;
const USER_ID = 0x0010;

const publish = (header: Header) => bytes(basicPublish(1, { mandatory: true }), contentHeader(1, 0, header));

const UNREADABLE: [string, Header][] = [
  ['a flag without its value', { flags: CONTENT_TYPE }],
  ['a short string that overruns', { flags: CONTENT_TYPE, properties: bytes(octet(10), 'abc') }],
  ['half a timestamp', { flags: TIMESTAMP, properties: long(1) }],
  ['a headers table that overruns', { flags: HEADERS, properties: bytes(long(100), 'abc') }],
  ['a header of unknown type', { flags: HEADERS, properties: longString(bytes(shortString('a'), '?')) }],
  ['a header cut short', { flags: HEADERS, properties: longString(bytes(shortString('a'), 'I', short(1))) }],
  ['bytes after the last value', { flags: CONTENT_TYPE, properties: bytes(shortString('a'), 'zzz') }],
  ['bytes without a flag', { properties: 'zzz' }],
  ['a second word of flags', { flags: 1, properties: bytes(short(0x8000), shortString('x')) }],
];

for (const [name, header] of UNREADABLE) {
  channelTest(target, `properties with ${name}: 541`, async ({ client }) => {
    client.send(publish(header));
    await client.expectClose(541, 'INTERNAL_ERROR', 0, 0);
  });
}

const REFUSED: [string, Header, string][] = [
  ['delivery-mode 0', { flags: DELIVERY_MODE, properties: octet(0) }, 'invalid message: {delivery_mode_unknown,0}'],
  ['delivery-mode 3', { flags: DELIVERY_MODE, properties: octet(3) }, 'invalid message: {delivery_mode_unknown,3}'],
  [
    'CC that is no array',
    { flags: HEADERS, properties: table({ CC: 'abc' }) },
    'invalid message: {unacceptable_type_in_header,"CC",longstr}',
  ],
  [
    'BCC that is no array',
    { flags: HEADERS, properties: table({ BCC: 'abc' }) },
    'invalid message: {unacceptable_type_in_header,"BCC",longstr}',
  ],
  ['expiration abc', expiration('abc'), "invalid expiration 'abc': no_integer"],
  ['an empty expiration', expiration(''), "invalid expiration '': no_integer"],
  ['a negative expiration', expiration('-1'), "invalid expiration '-1': {value_negative,-1}"],
  ['an expiration with a blank', expiration('1 '), `invalid expiration '1 ': {leftover_string," "}`],
  [
    'an expiration beyond ten years',
    expiration('315360000001'),
    "invalid expiration '315360000001': {value_too_large,315360000001}",
  ],
  [
    'the user-id of somebody else',
    { flags: USER_ID, properties: shortString('other') },
    "user_id property set to 'other' but authenticated user was 'guest'",
  ],
  [
    'direct reply-to without a consumer',
    { flags: REPLY_TO, properties: shortString('amq.rabbitmq.reply-to') },
    'fast reply consumer does not exist',
  ],
];

for (const [name, header, text] of REFUSED) {
  channelTest(target, `${name}: 406, and the connection goes on`, async ({ client }) => {
    client.send(publish(header));
    await client.expectChannelClose(1, 406, `PRECONDITION_FAILED - ${text}`, 60, 40);
    await client.openChannel(1);
  });
}

const NOT_UTF8 = Buffer.from([0xff, 0xfe]);

const UNTOUCHED: [string, Header][] = [
  ['no properties', {}],
  [
    'all properties',
    {
      flags: 0xfffc,
      properties: bytes(
        ...[shortString('text/plain'), shortString('gzip'), table({ a: 1, b: { c: true } }), octet(2), octet(5)],
        ...['correlation', 'reply', '1000', 'message'].map(shortString),
        ...[longLong(2n ** 64n - 1n), shortString('type'), shortString('guest'), shortString('app'), shortString('')],
      ),
    },
  ],
  ['priority 255', { flags: PRIORITY, properties: octet(255) }],
  ['an expiration beyond 32 bits', expiration('4294967296')],
  ['a content-type that is not UTF-8', { flags: CONTENT_TYPE, properties: shortString(NOT_UTF8) }],
  [
    'headers that are not UTF-8',
    { flags: HEADERS, properties: longString(bytes(shortString(NOT_UTF8), 'S', longString(NOT_UTF8))) },
  ],
  ['an empty headers table', { flags: HEADERS, properties: table() }],
  ['the flag bit without a meaning', { flags: 2 }],
];

for (const [name, header] of UNTOUCHED) {
  channelTest(target, `${name}: the content header comes back byte for byte`, async ({ t, client }) => {
    client.send(publish(header));
    await client.expectMethod(1, 60, 50);
    const { payload } = await client.nextFrame();
    t.same(payload, contentHeader(1, 0, header).subarray(7, -1));
  });
}

// 128 MiB for RabbitMQ, whose limit is not ours to set.
const LIMIT = againstPeer ? 134_217_728 : 1_000_000;
const CHUNK = 131_064;
const limited = await startTarget(t, { maxMessageSizeBytes: LIMIT });

for (const [name, size] of [
  ['as large as the limit', LIMIT],
  ['one byte over the limit', LIMIT + 1],
] as const) {
  channelTest(limited, `a message ${name}: ${size > LIMIT ? '406' : 'fine'}`, async ({ client }) => {
    client.send(basicPublish(1), contentHeader(1, size));
    const chunk = contentBody(1, Buffer.alloc(CHUNK));
    for (let sent = 0; sent < Math.floor(size / CHUNK); sent++) await client.sendAll(chunk);
    client.send(contentBody(1, Buffer.alloc(size % CHUNK)));
    if (size <= LIMIT) {
      client.send(queueDeclare(1));
      await client.expectMethod(1, 50, 11);
      return;
    }
    const text = `PRECONDITION_FAILED - message size ${size} is larger than configured max size ${LIMIT}`;
    await client.expectChannelClose(1, 406, text, 60, 40);
    await client.openChannel(1);
  });
}

function expiration(value: string): Header {
  return { flags: EXPIRATION, properties: shortString(value) };
}

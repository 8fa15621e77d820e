// Message properties and headers: what a client publishes is what the consumer receives.
import type { Options } from 'amqplib';
import t from 'tap';
import { openSession, present } from '../helper/messages.ts';

const body = Buffer.from('hare');

async function roundTrip(t: Parameters<typeof openSession>[0], options: Options.Publish) {
  const { publisher, queue } = await openSession(t);
  publisher.sendToQueue(queue, body, options);
  await publisher.waitForConfirms();
  return present(await publisher.get(queue)).properties;
}

t.test('no options: no properties but empty headers', async (t) => {
  const properties = await roundTrip(t, {});
  const { headers, ...others } = properties;
  t.same(headers, {});
  t.ok(Object.values(others).every((value) => value === undefined));
});

const options: Options.Publish = {
  contentType: 'application/json',
  contentEncoding: 'gzip',
  priority: 7,
  correlationId: 'correlation-1',
  replyTo: 'somewhere',
  expiration: '60000',
  messageId: 'message-1',
  timestamp: 1_700_000_000,
  type: 'hare.seen',
  userId: 'guest',
  appId: 'leveret',
};

t.test('every property at once', async (t) => {
  t.match(await roundTrip(t, { ...options, headers: { a: 1 } }), { ...options, headers: { a: 1 } });
});

for (const [name, value] of Object.entries(options)) {
  t.test(`property ${name} alone`, async (t) => {
    const { headers: _, ...properties } = await roundTrip(t, { [name]: value });
    const present = Object.entries(properties).filter(([, value]) => value !== undefined);
    t.same(present, [[name, value]]);
  });
}

t.test('persistent and deliveryMode in every form', async (t) => {
  const forms: [Options.Publish, number | undefined][] = [
    [{ persistent: true }, 2],
    [{ persistent: false }, 1],
    [{ deliveryMode: 2 }, 2],
    [{ deliveryMode: 1 }, 1],
    [{ deliveryMode: true }, 2],
    [{ deliveryMode: false }, undefined],
  ];
  const { publisher, queue } = await openSession(t);
  for (const [form] of forms) publisher.sendToQueue(queue, body, form);
  await publisher.waitForConfirms();
  for (const [form, expected] of forms)
    t.equal(present(await publisher.get(queue)).properties.deliveryMode, expected, JSON.stringify(form));
});

t.test('short strings of 255 bytes and of several bytes a character', async (t) => {
  const properties = await roundTrip(t, { correlationId: 'x'.repeat(255), messageId: 'żółw ', appId: '' });
  t.match(properties, { correlationId: 'x'.repeat(255), messageId: 'żółw ', appId: '' });
});

t.test('priority 0 and 255, timestamp 0 and large', async (t) => {
  t.match(await roundTrip(t, { priority: 0, timestamp: 0 }), { priority: 0, timestamp: 0 });
  t.match(await roundTrip(t, { priority: 255, timestamp: 253_402_300_799 }), {
    priority: 255,
    timestamp: 253_402_300_799,
  });
});

/** The value given to amqplib, and the value that it decodes on the other side when that is another. */
const headerValues: [string, unknown, unknown?][] = [
  ['string', 'a string'],
  ['empty string', ''],
  ['long string', 'x'.repeat(20_000)],
  ['unicode', '兎 🐇'],
  ['boolean true', true],
  ['boolean false', false],
  ['null', null],
  ['byte', -128],
  ['short', 30_000],
  ['int', -2_000_000_000],
  ['long', 2 ** 40],
  ['largest safe long', -Number.MAX_SAFE_INTEGER],
  ['double', Math.PI],
  ['array', [1, 'two', false, null, [3]]],
  ['empty array', []],
  ['table', { a: { b: { c: [{ d: 1 }] } } }],
  ['empty table', {}],
  ['bytes', Buffer.from([0, 1, 254, 255])],
  ['double!', { '!': 'double', value: 2 }, 2],
  ['float64!', { '!': 'float64', value: -0.5 }, -0.5],
  ['float!', { '!': 'float', value: 0.25 }, 0.25],
  ['byte!', { '!': 'byte', value: -1 }, -1],
  ['int8!', { '!': 'int8', value: 127 }, 127],
  ['uint8!', { '!': 'uint8', value: 255 }, 255],
  ['unsignedbyte!', { '!': 'unsignedbyte', value: 200 }, 200],
  ['short!', { '!': 'short', value: -5 }, -5],
  ['int16!', { '!': 'int16', value: 5 }, 5],
  ['uint16!', { '!': 'uint16', value: 65_535 }, 65_535],
  ['unsignedshort!', { '!': 'unsignedshort', value: 40_000 }, 40_000],
  ['int!', { '!': 'int', value: 1 }, 1],
  ['int32!', { '!': 'int32', value: -1 }, -1],
  ['uint32!', { '!': 'uint32', value: 4_294_967_295 }, 4_294_967_295],
  ['unsignedint!', { '!': 'unsignedint', value: 3_000_000_000 }, 3_000_000_000],
  ['long!', { '!': 'long', value: 1 }, 1],
  ['int64!', { '!': 'int64', value: -1 }, -1],
  ['timestamp!', { '!': 'timestamp', value: 1_700_000_000 }],
  ['decimal!', { '!': 'decimal', value: { places: 2, digits: 314 } }],
  ['string!', { '!': 'string', value: 'typed' }, 'typed'],
];

t.test('headers of every type, all in one message', async (t) => {
  const sent = Object.fromEntries(headerValues.map(([name, value]) => [name, value]));
  const { headers } = await roundTrip(t, { headers: sent });
  t.same(Object.keys(headers ?? {}), Object.keys(sent), 'order of keys');
  for (const [name, value, decoded = value] of headerValues) t.same(headers?.[name], decoded, name);
});

t.test('a header table of 60 KB', async (t) => {
  const sent = { big: 'x'.repeat(60_000) };
  t.same((await roundTrip(t, { headers: sent })).headers, sent);
});

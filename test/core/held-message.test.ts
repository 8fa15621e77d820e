import t from 'tap';
import { decodeFieldTable, type FieldTable, type FieldValue } from '../../codec/field-table.ts';
import { readUInt32 } from '../../codec/integers.ts';
import { type BasicProperties, decodeProperties, locateHeaders } from '../../codec/properties.ts';
import { release, withKeys } from '../../lib/core/held-message.ts';
import type { Message } from '../../lib/core/message.ts';
import { bodyText, messageOf, propertyBytes, table } from './helper.ts';

const NOW = 1_700_000_000_000;

/** The headers with their types. */
function headersOf(message: Message): FieldTable {
  const bytes = propertyBytes(message);
  const at = locateHeaders(bytes, 0, bytes.length);
  return at < 0 ? new Map() : decodeFieldTable(bytes, at, at + 4 + readUInt32(bytes, at));
}

function released(delay: FieldValue, properties: BasicProperties = {}): Message {
  return release(messageOf('b', { properties: { ...properties, headers: table({ 'x-delay': delay }) } }), NOW).message;
}

function texts(...values: string[]): FieldValue {
  return { type: 'A', value: values.map((value) => ({ type: 'S', value })) };
}

t.test('a delay is negated, in its own type where that has negative numbers', async (t) => {
  const cases: [delay: FieldValue, negated: FieldValue][] = [
    [
      { type: 'b', value: 127 },
      { type: 'b', value: -127 },
    ],
    [
      { type: 's', value: 32_767 },
      { type: 's', value: -32_767 },
    ],
    [
      { type: 'I', value: 2 ** 31 - 1 },
      { type: 'I', value: 1 - 2 ** 31 },
    ],
    [
      { type: 'l', value: 2 ** 40 },
      { type: 'l', value: -(2 ** 40) },
    ],
    [
      { type: 'l', value: 2n ** 63n - 1n },
      { type: 'l', value: 1n - 2n ** 63n },
    ],
    [
      { type: 'L', value: 2n ** 63n - 1n },
      { type: 'L', value: 1n - 2n ** 63n },
    ],
    [
      { type: 'f', value: 1.5 },
      { type: 'f', value: -1.5 },
    ],
    [
      { type: 'd', value: 1e300 },
      { type: 'd', value: -1e300 },
    ],
    [
      { type: 'B', value: 255 },
      { type: 'l', value: -255 },
    ],
    [
      { type: 'u', value: 65_535 },
      { type: 'l', value: -65_535 },
    ],
    [
      { type: 'i', value: 2 ** 32 - 1 },
      { type: 'l', value: 1 - 2 ** 32 },
    ],
    [
      { type: 'S', value: '+100' },
      { type: 'l', value: -100 },
    ],
    [
      { type: 'S', value: '9'.repeat(400) },
      { type: 'l', value: Number.MIN_SAFE_INTEGER },
    ],
  ];
  for (const [delay, negated] of cases) {
    t.same([...headersOf(released(delay))], [['x-delay', negated]], `${delay.type} ${delay.value}`);
  }
  for (const other of [texts('1'), { type: 't', value: true } as const]) {
    t.same(headersOf(released(other)).get('x-delay'), other, 'what is no number stays');
  }
});

t.test('all else of a message is as it was, and stands where it stood', async (t) => {
  const properties: BasicProperties = {
    contentType: 'text/plain',
    deliveryMode: 2,
    priority: 4,
    correlationId: 'c',
    timestamp: 7,
    appId: 'a',
  };
  const headers = table({ a: '\udcff', 'x-delay': { type: 'I', value: 5 }, z: { type: 'x', value: Buffer.from([1]) } });
  const message = messageOf('body', { exchange: 'x', routingKey: 'k', properties: { ...properties, headers } });
  message.persistent = true;
  const { message: sent, extraKeys } = release(message, NOW);
  t.same(extraKeys, []);
  t.equal(bodyText(sent), 'body');
  t.equal(sent.route, message.route);
  t.equal(sent.persistent, true);
  t.equal(sent.expiresAtMs, 0);
  t.same([...headersOf(sent).keys()], ['a', 'x-delay', 'z']);
  const bytes = propertyBytes(sent);
  const decoded = decodeProperties(bytes, 0, bytes.length);
  t.match(decoded, properties);
  t.same(headersOf(sent).get('a'), { type: 'S', value: '\udcff' }, 'bytes that are no text come through');
  t.same(headersOf(message).get('x-delay'), { type: 'I', value: 5 }, 'others may have the message as it was');
});

t.test('a message begins to expire when it goes on', async (t) => {
  const delay: FieldValue = { type: 'I', value: 5 };
  t.equal(released(delay, { expiration: '1000' }).expiresAtMs, NOW + 1000);
  t.equal(released(delay, { expiration: '0' }).expiresAtMs, NOW);
  t.equal(released(delay).expiresAtMs, 0);
});

t.test('further routing keys are noted in the message, and no longer when it goes on', async (t) => {
  const headers = table({ 'x-delay': { type: 'I', value: 5 }, CC: texts('1', '2') });
  const message = messageOf('b', { properties: { headers, expiration: '9' } });
  message.expiresAtMs = 77;
  t.equal(withKeys(message, ['1', '2']), message, 'those of CC are there');
  t.equal(withKeys(message, []), message);
  const held = withKeys(message, ['1', '2', '3', '4', '4']);
  t.equal(held.expiresAtMs, 77);
  t.ok(headersOf(held).has('BCC'));
  const { message: sent, extraKeys } = release(held, NOW);
  t.same([...new Set(extraKeys)], ['1', '2', '3', '4']);
  t.same([...headersOf(sent).keys()], ['x-delay', 'CC']);
  t.same(release(message, NOW).extraKeys, ['1', '2']);
});

t.test('a message without headers can have further keys', async (t) => {
  const held = withKeys(messageOf('b'), ['1']);
  const { message, extraKeys } = release(held, NOW);
  t.same(extraKeys, ['1']);
  t.same([...headersOf(message)], []);
});

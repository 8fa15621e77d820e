import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { decodeFieldValue } from '../../codec/field-table.ts';
import {
  type BasicProperties,
  decodeProperties,
  encodeProperties,
  locateHeaders,
  peekCorrelationId,
  peekDeliveryMode,
  peekExpiration,
  peekMessageId,
  peekReplyTo,
  peekTimestamp,
  peekUserId,
  validateProperties,
  withHeaders,
  withoutExpiration,
  withReplyTo,
} from '../../codec/properties.ts';
import { findKey } from '../../codec/table-scan.ts';
import { camelCase } from '../../spec/names.ts';
import { properties, protocol } from './arbitraries.ts';
import { codecError, hex } from './helper.ts';

t.test('every set of properties survives encoding and decoding', (t) => {
  fc.assert(
    fc.property(properties, (value) => {
      const buffer = encodeProperties(value);
      assert.deepStrictEqual(decodeProperties(buffer, 0, buffer.length), value);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('headers and reply-to are replaced, an expiration is removed; the bytes of the others stay', (t) => {
  fc.assert(
    fc.property(properties, properties, (value, { headers = new Map() }) => {
      const buffer = Buffer.concat([Buffer.alloc(3), encodeProperties(value)]);
      const replaced = withHeaders(buffer, 3, buffer.length, headers);
      assert.deepStrictEqual(replaced, encodeProperties({ ...value, headers }));
      const { expiration: _, ...others } = value;
      assert.deepStrictEqual(withoutExpiration(buffer, 3, buffer.length), encodeProperties(others));
      const replyTo = `${value.correlationId ?? ''}.reply`;
      const setReplyTo = (): Buffer => withReplyTo(buffer, 3, buffer.length, replyTo);
      if (value.replyTo === undefined) assert.throws(setReplyTo, /no reply-to/);
      else if (replyTo.length < 60) assert.deepStrictEqual(setReplyTo(), encodeProperties({ ...value, replyTo }));
    }),
  );
  t.end();
});

t.test('flags and order are those of the specification', (t) => {
  const fields = protocol.classes.find(({ name }) => name === 'basic')?.properties ?? [];
  t.equal(fields.length, 14);
  const samples: Record<string, readonly [value: unknown, bytes: string]> = {
    shortstr: ['a', '0161'],
    table: [new Map(), '00000000'],
    octet: [7, '07'],
    timestamp: [1, '0000000000000001'],
  };
  let [all, bytes]: [Record<string, unknown>, string] = [{}, ''];
  fields.forEach(({ name, domain }, i) => {
    const [value, encoded] = samples[domain];
    const flag = (0x8000 >>> i).toString(16).padStart(4, '0');
    t.equal(encodeProperties({ [camelCase(name)]: value }).toString('hex'), flag + encoded, name);
    all = { ...all, [camelCase(name)]: value };
    bytes += encoded;
  });
  t.equal(encodeProperties(all).toString('hex'), `fffc${bytes}`);
  t.end();
});

t.test('peeks see what decoding sees, at any place in a buffer', (t) => {
  fc.assert(
    fc.property(properties, (value) => {
      const encoded = encodeProperties(value);
      const buffer = Buffer.concat([Buffer.from('xyz'), encoded, Buffer.from('xyz')]);
      const range = [buffer, 3, 3 + encoded.length] as const;
      validateProperties(...range);
      assert.equal(peekDeliveryMode(...range), value.deliveryMode ?? 0);
      assert.equal(peekReplyTo(...range), value.replyTo);
      assert.equal(peekExpiration(...range), value.expiration);
      assert.equal(peekUserId(...range), value.userId);
      assert.equal(peekCorrelationId(...range), value.correlationId);
      assert.equal(peekMessageId(...range), value.messageId);
      assert.equal(peekTimestamp(...range), value.timestamp);
      const headers = locateHeaders(...range);
      assert.equal(headers === -1, value.headers === undefined);
      for (const [key, field] of value.headers ?? []) {
        assert.deepStrictEqual(decodeFieldValue(buffer, findKey(buffer, headers, key), range[2]), field);
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('properties cut anywhere, or with a byte too many, are refused', (t) => {
  fc.assert(
    fc.property(properties, (value) => {
      const buffer = encodeProperties(value);
      for (let end = 0; end < buffer.length; end++) {
        assert.equal(codecError(() => validateProperties(buffer, 0, end)).replyCode, 541);
        assert.equal(codecError(() => decodeProperties(buffer, 0, end)).replyCode, 541);
      }
      const longer = Buffer.concat([buffer, Buffer.alloc(1)]);
      assert.match(codecError(() => validateProperties(longer, 0, longer.length)).detail, /after the last property$/);
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('random bytes either validate and decode or are refused by both', (t) => {
  const flags = fc.array(fc.nat(15), { maxLength: 3 }).map((bits) => bits.reduce((sum, bit) => sum | (1 << bit), 0));
  fc.assert(
    fc.property(flags, fc.uint8Array({ maxLength: 30, max: 6 }), (flag, bytes) => {
      const buffer = Buffer.from([flag >>> 8, flag & 0xff, ...bytes]);
      try {
        validateProperties(buffer, 0, buffer.length);
      } catch {
        return codecError(() => decodeProperties(buffer, 0, buffer.length)).replyCode === 541;
      }
      return decodeProperties(buffer, 0, buffer.length) !== undefined;
    }),
    { numRuns: 3000 },
  );
  t.end();
});

// What RabbitMQ 3.10.8 replied to a publish with these: 541 and the bare name, or nothing.
t.test('malformed properties are an internal error without a text', (t) => {
  for (const bytes of [
    '',
    '80',
    '8000 05 41',
    '8000 0161 0102',
    '0001 0000',
    '2000 00000004 016b 7a01',
    '2000 00000002 016b',
  ]) {
    t.match(
      codecError(() => validateProperties(hex(bytes), 0, hex(bytes).length)),
      { replyCode: 541, message: '', methodId: 0 },
    );
  }
  const notFinite = hex('2000 0000000b 016b 64 7ff8000000000000');
  t.match(
    codecError(() => validateProperties(notFinite, 0, notFinite.length)),
    { detail: 'malformed properties: headers' },
  );
  t.end();
});

t.test('the two flags that name no property are ignored', (t) => {
  for (const bytes of ['0001', '0002', '0003']) t.same(decodeProperties(hex(bytes), 0, 2), {});
  t.end();
});

t.test('a peek into nothing finds nothing', (t) => {
  t.equal(peekDeliveryMode(Buffer.alloc(0), 0, 0), 0);
  t.equal(locateHeaders(Buffer.alloc(1), 0, 1), -1);
  t.end();
});

t.test('values that do not fit are refused', (t) => {
  const wrong: readonly BasicProperties[] = [
    { contentType: 'x'.repeat(256) },
    { deliveryMode: 256 },
    { priority: -1 },
    { timestamp: -1 },
    { timestamp: 1.5 },
    { headers: new Map([['k', { type: 'B', value: 256 }]]) },
  ];
  for (const value of wrong) t.equal(codecError(() => encodeProperties(value)).replyCode, 541);
  t.end();
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeFieldTable,
  decodeFieldValue,
  emptyFieldTable,
  encodedFieldTableSize,
  encodeFieldTable,
  FIELD_TABLE_DEPTH_MAX,
  type FieldTable,
  type FieldValue,
} from '../../codec/field-table.ts';
import { checkTable, findKey } from '../../codec/table-scan.ts';
import { fieldTable } from './arbitraries.ts';
import { codecError, hex } from './helper.ts';

function encoded(table: FieldTable): Buffer {
  const size = encodedFieldTableSize(table);
  const buffer = Buffer.alloc(size + 2, 0xaa);
  assert.equal(encodeFieldTable(table, buffer, 1), size + 1);
  assert.equal(buffer[0], 0xaa);
  assert.equal(buffer[size + 1], 0xaa);
  return buffer.subarray(1, size + 1);
}

function decoded(buffer: Buffer): FieldTable {
  return decodeFieldTable(buffer, 0, buffer.length);
}

/** The bytes as the fields of a table. */
function table(fields: string | Buffer): Buffer {
  const body = typeof fields === 'string' ? hex(fields) : fields;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** A table of `depth` tables or arrays within one another. */
function nested(type: 'A' | 'F', depth: number): FieldTable {
  let value: FieldValue = { type: 'V', value: null };
  for (let i = 1; i < depth; i++)
    value = type === 'A' ? { type, value: [value] } : { type, value: new Map([['k', value]]) };
  return new Map([['k', value]]);
}

t.test('every table survives encoding and decoding', (t) => {
  fc.assert(
    fc.property(fieldTable, (value) => {
      const buffer = encoded(value);
      assert.deepStrictEqual(decoded(buffer), value);
      assert.ok(encoded(decoded(buffer)).equals(buffer));
      assert.ok(checkTable(buffer, 0, buffer.length));
    }),
    { numRuns: 1000 },
  );
  t.end();
});

t.test('a table is a CodecError wherever it is cut', (t) => {
  fc.assert(
    fc.property(fieldTable, (value) => {
      const buffer = encoded(value);
      for (let end = 0; end < buffer.length; end++) {
        assert.equal(codecError(() => decodeFieldTable(buffer, 0, end)).replyCode, 502);
        assert.ok(!checkTable(buffer, 0, end));
        if (end < 4) continue;
        // The same with a length that agrees: the cut is within a field or between two.
        const shorter = table(buffer.subarray(4, end));
        if (checkTable(shorter, 0, shorter.length)) decoded(shorter);
        else assert.equal(codecError(() => decoded(shorter)).replyCode, 502);
      }
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('checkTable accepts exactly what decodes', (t) => {
  const letters = fc.constantFrom(...Buffer.from('tbBsuIilLTfdDSxAFVz'), 0, 1, 2, 5, 0x7f, 0xf0, 0xff);
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 30 }), (bytes) => {
      const buffer = table(Buffer.from(bytes));
      if (checkTable(buffer, 0, buffer.length)) decoded(buffer);
      else assert.equal(codecError(() => decoded(buffer)).replyCode, 502);
    }),
    { numRuns: 20_000 },
  );
  t.end();
});

t.test('letters mean what they mean to RabbitMQ', (t) => {
  const meanings: readonly [bytes: string, value: FieldValue][] = [
    ['74 02', { type: 't', value: true }],
    ['62 ff', { type: 'b', value: -1 }],
    ['42 ff', { type: 'B', value: 255 }],
    ['73 ffff', { type: 's', value: -1 }],
    ['75 ffff', { type: 'u', value: 65535 }],
    ['49 ffffffff', { type: 'I', value: -1 }],
    ['69 ffffffff', { type: 'i', value: 0xffffffff }],
    ['6c ffffffffffffffff', { type: 'l', value: -1 }],
    ['4c ffffffffffffffff', { type: 'L', value: -1 }],
    ['54 ffffffffffffffff', { type: 'T', value: 2n ** 64n - 1n }],
    ['66 3f800000', { type: 'f', value: 1 }],
    ['64 3ff8000000000000', { type: 'd', value: 1.5 }],
    ['44 02 ffffffff', { type: 'D', value: { scale: 2, unscaled: 0xffffffff } }],
    ['53 00000001 ff', { type: 'S', value: '\udcff' }],
    ['78 00000002 00ff', { type: 'x', value: hex('00ff') }],
    [
      '41 00000003 56 74 00',
      {
        type: 'A',
        value: [
          { type: 'V', value: null },
          { type: 't', value: false },
        ],
      },
    ],
    ['46 00000003 0161 56', { type: 'F', value: new Map([['a', { type: 'V', value: null }]]) }],
    ['56', { type: 'V', value: null }],
  ];
  for (const [bytes, value] of meanings) {
    t.strictSame(decoded(table(`016b ${bytes}`)), new Map([['k', value]]), bytes);
    t.strictSame(decodeFieldValue(hex(bytes), 0, hex(bytes).length), value);
  }
  t.end();
});

t.test('of two fields with one key the first counts', (t) => {
  const twice = table('016b 42 01 016b 42 02');
  t.strictSame(decoded(twice), new Map([['k', { type: 'B', value: 1 }]]));
  t.equal(findKey(twice, 0, 'k'), 6);
  t.end();
});

t.test('errors of decoding name the key', (t) => {
  const errors: readonly [bytes: string, message: string][] = [
    ['016b 7a', "'k': unknown type 0x7a"],
    ['016b 01', "'k': unknown type 0x01"],
    ['016b', "'k': cut short"],
    ['056b', "'table': cut short"],
    ['016b 53 00000009 61', "'k': cut short"],
    ['016b 53 0000', "'k': cut short"],
    ['016b 46 00000003 0161 7a', "'a': unknown type 0x7a"],
    ['016b 41 00000001 7a', "'k': unknown type 0x7a"],
    ['016b 64 7ff8000000000000', "'k': float is not finite"],
    ['016b 66 ff800000', "'k': float is not finite"],
  ];
  for (const [bytes, message] of errors) {
    const error = codecError(() => decoded(table(bytes)));
    t.equal(error.message, `malformed field table: ${message}`);
    t.notOk(checkTable(table(bytes), 0, table(bytes).length));
  }
  t.match(codecError(() => decodeFieldTable(hex('00000000 00'), 0, 5)).message, /length does not fit/);
  t.match(codecError(() => decodeFieldTable(hex('ffffffff'), 0, 4)).message, /length does not fit/);
  t.end();
});

t.test('a byte string is a copy of the received bytes', (t) => {
  const chunk = table('016b 78 00000001 41');
  const field = decoded(chunk).get('k');
  chunk.fill(0);
  t.same(field?.value, hex('41'));
  t.end();
});

t.test('nesting is limited, both ways', (t) => {
  for (const type of ['A', 'F'] as const) {
    const deepest = nested(type, FIELD_TABLE_DEPTH_MAX);
    t.strictSame(decoded(encoded(deepest)), deepest);
    t.match(
      codecError(() => encodedFieldTableSize(nested(type, FIELD_TABLE_DEPTH_MAX + 1))).message,
      /nested deeper than 256/,
    );
    for (const depth of [FIELD_TABLE_DEPTH_MAX, 200_000]) {
      const buffer = nestedBytes(type, depth);
      t.match(
        codecError(() => decoded(buffer)),
        { replyCode: 502, message: /nested deeper than 256/ },
      );
      t.notOk(checkTable(buffer, 0, buffer.length));
    }
  }
  t.end();
});

/** `depth` arrays or tables within the outermost table. */
function nestedBytes(type: 'A' | 'F', depth: number): Buffer {
  const each = type === 'A' ? 5 : 7;
  // The innermost is empty: no key in it.
  const body = Buffer.alloc(2 + depth * each - (each - 5));
  body.write('\x01k', 'latin1');
  for (let i = 0; i < depth; i++) {
    const at = 2 + i * each;
    body.write(type, at, 'latin1');
    body.writeUInt32BE(body.length - at - 5, at + 1);
    body.write('\x01k'.slice(0, each - 5), at + 5, 'latin1');
  }
  return table(body);
}

t.test('values out of their range are refused by the name of their key', (t) => {
  const wrong: readonly FieldValue[] = [
    { type: 'b', value: 128 },
    { type: 'B', value: -1 },
    { type: 's', value: 32768 },
    { type: 'u', value: 65536 },
    { type: 'I', value: 2 ** 31 },
    { type: 'i', value: -1 },
    { type: 'l', value: 2n ** 63n },
    { type: 'L', value: 2 ** 60 },
    { type: 'T', value: -1 },
    { type: 'f', value: 1e300 },
    { type: 'd', value: Number.NaN },
    { type: 'D', value: { scale: 256, unscaled: 0 } },
    { type: 'D', value: { scale: 0, unscaled: -1 } },
    { type: 'A', value: [{ type: 'B', value: 256 }] },
    { type: 'F', value: new Map([['inner', { type: 'B', value: 256 }]]) },
  ];
  for (const value of wrong) {
    const error = codecError(() => encoded(new Map([['outer', value]])));
    t.match(error, { replyCode: 541, message: /^field 'outer': / }, error.message);
  }
  const long = codecError(() =>
    encoded(new Map([['k', { type: 'F', value: new Map([['é'.repeat(128), wrong[0]]]) }]])),
  );
  t.match(long.message, /^field 'k': field 'é+': short string of 256 bytes is longer than 255$/);
  t.end();
});

t.test('the empty table', (t) => {
  t.equal(encodedFieldTableSize(emptyFieldTable), 4);
  t.same(encoded(emptyFieldTable), Buffer.alloc(4));
  t.equal(findKey(Buffer.alloc(4), 0, 'k'), -1);
  t.end();
});

t.test('findKey finds what decoding finds', (t) => {
  fc.assert(
    fc.property(fieldTable, (value) => {
      const buffer = encoded(value);
      for (const [key, field] of value) {
        assert.deepStrictEqual(decodeFieldValue(buffer, findKey(buffer, 0, key), buffer.length), field);
      }
      for (const key of ['CC', 'BCC', 'né']) assert.equal(findKey(buffer, 0, key) !== -1, value.has(key));
    }),
  );
  t.end();
});

t.test('findKey compares whole keys', (t) => {
  const buffer = table('024343 56 03424343 56 02c3a9 56');
  t.equal(findKey(buffer, 0, 'CC'), 7);
  t.equal(findKey(buffer, 0, 'BCC'), 12);
  t.equal(findKey(buffer, 0, 'é'), 16);
  for (const key of ['C', 'CCC', 'BC', 'cc', 'è', '']) t.equal(findKey(buffer, 0, key), -1, key);
  t.equal(findKey(table('016b 7a'), 0, 'later'), -1, 'a value that it cannot skip ends the search');
  t.end();
});

import t from 'tap';
import type { FieldTable } from '../../codec/field-table.ts';
import {
  fromFieldTable,
  fromFieldValue,
  type PlainObject,
  type PlainValue,
  toFieldTable,
  toFieldValue,
} from '../../codec/plain-values.ts';
import { codecError } from './helper.ts';

t.test('a plain object becomes a table of the expected types, and comes back', (t) => {
  const object: PlainObject = {
    yes: true,
    int: -5,
    long: 2 ** 40,
    huge: 2n ** 62n,
    half: 0.5,
    text: 'hé',
    none: null,
    when: new Date(1_700_000_000_000),
    bytes: Buffer.from('ab'),
    list: [1, 'a', [true]],
    sub: { a: 1 },
  };
  const table = toFieldTable({ ...object, absent: undefined });
  t.equal([...table.values()].map(({ type }) => type).join(''), 'tIlldSVTxAF');
  t.strictSame(fromFieldTable(table), object);
  t.end();
});

t.test('byte strings are copied', (t) => {
  const bytes = new Uint8Array([1]);
  const field = toFieldValue(bytes);
  bytes[0] = 2;
  t.same(field, { type: 'x', value: Buffer.from([1]) });
  t.end();
});

t.test('types without a plain value of their own', (t) => {
  t.equal(fromFieldValue({ type: 'D', value: { scale: 2, unscaled: 314 } }), 3.14);
  t.equal(fromFieldValue({ type: 'T', value: 2n ** 60n }), 2n ** 60n, 'beyond what a Date holds');
  t.same(fromFieldValue({ type: 'T', value: 8_640_000_000_000 }), new Date(8.64e15));
  t.end();
});

t.test('__proto__ is a key like any other', (t) => {
  const table: FieldTable = new Map([['__proto__', { type: 'S', value: 'x' }]]);
  const object = fromFieldTable(table);
  t.equal(Object.getPrototypeOf(object), Object.prototype);
  t.strictSame(toFieldTable(object), table);
  t.end();
});

t.test('what has no type is refused', (t) => {
  // Not of the type, as a caller without types may pass it.
  const wrong = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    () => 1,
    Symbol('s'),
    new Date(Number.NaN),
    new Date(-1),
  ] as PlainValue[];
  for (const value of wrong) t.match(codecError(() => toFieldValue(value)).message, /^no field type for /);
  t.end();
});

import fc from 'fast-check';
import t from 'tap';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { fieldTablesEqual, fieldValuesEqual } from '../../codec/field-table-equality.ts';
import { fieldTable } from './arbitraries.ts';

const one = (value: FieldValue): FieldTable => new Map([['k', value]]);

t.test('a table equals itself in any order', (t) => {
  fc.assert(fc.property(fieldTable, (table) => fieldTablesEqual(table, new Map([...table].reverse()))));
  fc.assert(fc.property(fieldTable, (table) => fieldTablesEqual(table, structuredCopy(table))));
  t.end();
});

t.test('another key, value or type makes a difference', (t) => {
  fc.assert(
    fc.property(fieldTable, fieldTable, (a, b) => fieldTablesEqual(a, b) === fieldTablesEqual(b, a)),
    { numRuns: 500 },
  );
  const differ: readonly [a: FieldValue, b: FieldValue][] = [
    [
      { type: 'I', value: 1 },
      { type: 'I', value: 2 },
    ],
    [
      { type: 'I', value: 1 },
      { type: 'l', value: 1 },
    ],
    [
      { type: 'I', value: 1 },
      { type: 'd', value: 1 },
    ],
    [
      { type: 'T', value: 1 },
      { type: 'l', value: 1 },
    ],
    [
      { type: 'T', value: 1 },
      { type: 'T', value: 2n ** 60n },
    ],
    [
      { type: 'l', value: 1 },
      { type: 'T', value: 1 },
    ],
    [
      { type: 'S', value: 'a' },
      { type: 'x', value: Buffer.from('a') },
    ],
    [
      { type: 'x', value: Buffer.from('a') },
      { type: 'x', value: Buffer.from('b') },
    ],
    [
      { type: 'D', value: { scale: 1, unscaled: 10 } },
      { type: 'D', value: { scale: 0, unscaled: 1 } },
    ],
    [
      { type: 'A', value: [] },
      { type: 'A', value: [{ type: 'V', value: null }] },
    ],
    [
      { type: 'A', value: [{ type: 't', value: true }] },
      { type: 'A', value: [{ type: 't', value: false }] },
    ],
    [
      { type: 'F', value: one({ type: 't', value: true }) },
      { type: 'F', value: one({ type: 't', value: false }) },
    ],
    [
      { type: 'F', value: new Map() },
      { type: 'A', value: [] },
    ],
  ];
  for (const [a, b] of differ) {
    t.notOk(fieldValuesEqual(a, b));
    t.notOk(fieldTablesEqual(one(a), one(b)));
  }
  t.notOk(fieldTablesEqual(one({ type: 'V', value: null }), new Map()));
  t.notOk(fieldTablesEqual(one({ type: 'V', value: null }), new Map([['other', { type: 'V', value: null }]])));
  t.end();
});

t.test('l and L are one type, and a bigint equals the same number', (t) => {
  t.ok(fieldValuesEqual({ type: 'l', value: 1 }, { type: 'L', value: 1n }));
  t.ok(fieldValuesEqual({ type: 'T', value: 5n }, { type: 'T', value: 5 }));
  t.end();
});

function structuredCopy(table: FieldTable): FieldTable {
  return new Map(Array.from(table, ([key, field]) => [key, copyOf(field)]));
}

function copyOf(field: FieldValue): FieldValue {
  switch (field.type) {
    case 'F':
      return { type: 'F', value: structuredCopy(field.value) };
    case 'A':
      return { type: 'A', value: field.value.map(copyOf) };
    case 'x':
      return { type: 'x', value: Buffer.from(field.value) };
    case 'D':
      return { type: 'D', value: { ...field.value } };
    default:
      return { ...field };
  }
}

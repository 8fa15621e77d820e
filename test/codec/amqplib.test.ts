// The same bytes as another implementation's: amqplib, a client that RabbitMQ understands.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import t from 'tap';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { encodeContentFrames, encodeMethodFrame } from '../../codec/frame-writer.ts';
import { decodeMethod, type Method, methodName } from '../../codec/generated/methods.ts';
import { fromFieldTable, type PlainObject, toFieldTable } from '../../codec/plain-values.ts';
import { decodeProperties, encodeProperties } from '../../codec/properties.ts';
import { methods } from './arbitraries.ts';

// amqplib has no types for its codec.
interface Definitions {
  readonly decode: (id: number, payload: Buffer) => Record<string, unknown>;
  readonly encodeMethod: (id: number, channel: number, fields: object) => Buffer;
  readonly encodeProperties: (id: number, channel: number, size: number, fields: object) => Buffer;
}
// Not among its exports, hence by path.
const amqplib = createRequire(import.meta.url).resolve('amqplib');
const definitions: Definitions = createRequire(amqplib)('./lib/defs.js');
const BASIC_PROPERTIES = 60;

// What both write the same way: amqplib chooses the letter of a number by its value.
const plainTable: fc.Arbitrary<PlainObject> = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 12 }).filter((key) => !['!', '__proto__'].includes(key)),
  fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.integer({ min: 0x10000, max: 0x7fffffff }),
    fc.array(fc.string()),
  ),
  { maxKeys: 4, noNullPrototype: true },
);

const isTable = (value: unknown): value is FieldTable => value instanceof Map;

/** Fields by amqplib's names and in its values. */
function theirFields(method: Method): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(method)) {
    if (name === 'id') continue;
    fields[name === 'noWait' ? 'nowait' : name] = isTable(value) ? fromFieldTable(value) : value;
  }
  for (const name of ['response', 'challenge', 'mechanisms', 'locales', 'newSecret']) {
    if (fields[name] !== undefined) fields[name] = Buffer.from(String(fields[name]));
  }
  return fields;
}

/** The method with strings and tables that amqplib can take. */
function simplified(method: Method, text: string, table: FieldTable): Method {
  const entries = Object.entries(method).map(([name, value]) => {
    if (typeof value === 'string') return [name, text];
    return [name, isTable(value) ? table : value];
  });
  return Object.fromEntries(entries);
}

for (const [name, arbitrary] of methods) {
  t.test(`${name}: amqplib writes the same bytes and reads ours`, (t) => {
    const text = fc.string({ maxLength: 40 });
    fc.assert(
      fc.property(arbitrary, text, plainTable, (method, shortText, plain) => {
        const ours = simplified(method, shortText, toFieldTable(plain));
        const fields = theirFields(ours);
        const written = encodeMethodFrame(7, ours);
        const theirs = definitions.encodeMethod(ours.id, 7, fields);
        assert.equal(written.toString('hex'), theirs.toString('hex'), methodName(ours.id));
        assert.deepStrictEqual(decodeMethod(theirs, 7, theirs.length - 1), ours);
        const read = definitions.decode(ours.id, written.subarray(11));
        for (const [field, value] of Object.entries(fields)) assert.deepStrictEqual(read[field], value, field);
      }),
      { numRuns: 20 },
    );
    t.end();
  });
}

t.test('content headers are the same bytes', (t) => {
  const short = fc.string({ maxLength: 40 });
  const fields = fc.record(
    {
      contentType: short,
      contentEncoding: short,
      headers: plainTable,
      deliveryMode: fc.constantFrom(1, 2),
      priority: fc.nat(255),
      correlationId: short,
      replyTo: short,
      expiration: short,
      messageId: short,
      timestamp: fc.maxSafeNat(),
      type: short,
      userId: short,
      appId: short,
      clusterId: short,
    },
    { noNullPrototype: true, requiredKeys: [] },
  );
  fc.assert(
    fc.property(fields, fc.nat(100_000), (plain, size) => {
      const { headers, ...rest } = plain;
      const properties = headers === undefined ? rest : { ...rest, headers: toFieldTable(headers) };
      const ours = encodeContentFrames(3, encodeProperties(properties), Buffer.alloc(size), 0);
      const theirs = definitions.encodeProperties(BASIC_PROPERTIES, 3, size, plain);
      assert.equal(ours.toString('hex', 0, theirs.length), theirs.toString('hex'));
      assert.deepStrictEqual(decodeProperties(theirs, 19, theirs.length - 1), properties);
    }),
  );
  t.end();
});

t.test('a table of every kind of value that amqplib writes', (t) => {
  const values: PlainObject = {
    text: 'hé',
    yes: true,
    no: false,
    none: null,
    half: 0.5,
    list: ['a', ['b']],
    sub: { a: 'b' },
  };
  const table = decodeMethod(
    Buffer.concat([
      Buffer.from([0, 0x32, 0, 0x0a]),
      definitions
        .encodeMethod(0x32000a, 1, { queue: '', arguments: { ...values, long: 2 ** 40, int: -5 } })
        .subarray(11, -1),
    ]),
    0,
    definitions.encodeMethod(0x32000a, 1, { queue: '', arguments: { ...values, long: 2 ** 40, int: -5 } }).length - 8,
  );
  const letters =
    'arguments' in table ? [...table.arguments].map(([, { type }]: [string, FieldValue]) => type).join('') : '';
  t.equal(letters, 'SttVdAFlb');
  t.match('arguments' in table && fromFieldTable(table.arguments), { ...values, long: 2 ** 40, int: -5 });
  t.end();
});

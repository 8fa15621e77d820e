// fast-check arbitraries for everything that the codec encodes.
import fc from 'fast-check';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import type { Method } from '../../codec/generated/methods.ts';
import type { BasicProperties } from '../../codec/properties.ts';
import { decodeString, encodedStringSize } from '../../codec/strings.ts';
import { readSpecification } from '../../spec/generate.ts';
import { mergeExtensions, wireType } from '../../spec/model.ts';
import { camelCase } from '../../spec/names.ts';

const specification = await readSpecification();
export const protocol = mergeExtensions(specification.protocol, specification.extensions);

/** Well-formed text that fits a short string. */
export const shortText = fc.string({ unit: 'binary', maxLength: 120 }).filter((text) => encodedStringSize(text) <= 255);
/** Any bytes, as the string that stands for them. */
export const anyString = fc
  .uint8Array({ maxLength: 255 })
  .map((bytes) => decodeString(Buffer.from(bytes), 0, bytes.length));
export const longText = fc.oneof(anyString, fc.string({ unit: 'binary', maxLength: 600 }));

const signed64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(normalized);
const unsigned64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(normalized);
const plain = { noNullPrototype: true } as const;
const finite = { noNaN: true, noDefaultInfinity: true } as const;

export const { table: fieldTable, value: fieldValue } = fc.letrec<{ table: FieldTable; value: FieldValue }>((tie) => ({
  table: fc
    .uniqueArray(fc.tuple(anyString, tie('value')), { selector: ([key]) => key, maxLength: 5 })
    .map((fields) => new Map(fields)),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ type: fc.constant('V' as const), value: fc.constant(null) }, plain),
    fc.record({ type: fc.constant('t' as const), value: fc.boolean() }, plain),
    fc.record({ type: fc.constant('b' as const), value: fc.integer({ min: -128, max: 127 }) }, plain),
    fc.record({ type: fc.constant('B' as const), value: fc.integer({ min: 0, max: 255 }) }, plain),
    fc.record({ type: fc.constant('s' as const), value: fc.integer({ min: -32768, max: 32767 }) }, plain),
    fc.record({ type: fc.constant('u' as const), value: fc.integer({ min: 0, max: 65535 }) }, plain),
    fc.record({ type: fc.constant('I' as const), value: fc.integer() }, plain),
    fc.record({ type: fc.constant('i' as const), value: fc.integer({ min: 0, max: 0xffffffff }) }, plain),
    fc.record({ type: fc.constantFrom('l' as const, 'L' as const), value: signed64 }, plain),
    fc.record({ type: fc.constant('T' as const), value: unsigned64 }, plain),
    fc.record({ type: fc.constant('f' as const), value: fc.float(finite) }, plain),
    fc.record({ type: fc.constant('d' as const), value: fc.double(finite) }, plain),
    fc.record(
      {
        type: fc.constant('D' as const),
        value: fc.record(
          { scale: fc.integer({ min: 0, max: 255 }), unscaled: fc.integer({ min: 0, max: 0xffffffff }) },
          plain,
        ),
      },
      plain,
    ),
    fc.record({ type: fc.constant('S' as const), value: longText }, plain),
    fc.record(
      { type: fc.constant('x' as const), value: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
      plain,
    ),
    fc.record({ type: fc.constant('A' as const), value: fc.array(tie('value'), { maxLength: 4 }) }, plain),
    fc.record({ type: fc.constant('F' as const), value: tie('table') }, plain),
  ),
}));

export const properties: fc.Arbitrary<BasicProperties> = fc.record(
  {
    contentType: anyString,
    contentEncoding: anyString,
    headers: fieldTable,
    deliveryMode: fc.integer({ min: 0, max: 255 }),
    priority: fc.integer({ min: 0, max: 255 }),
    correlationId: anyString,
    replyTo: anyString,
    expiration: anyString,
    messageId: anyString,
    timestamp: unsigned64,
    type: anyString,
    userId: anyString,
    appId: anyString,
    clusterId: anyString,
  },
  { ...plain, requiredKeys: [] },
);

/** Every method of the specification, by name. */
export const methods: ReadonlyMap<string, fc.Arbitrary<Method>> = new Map(
  protocol.classes.flatMap((cls) =>
    cls.methods.map((method): [string, fc.Arbitrary<Method>] => {
      const fields: Record<string, fc.Arbitrary<unknown>> = { id: fc.constant(cls.id * 0x10000 + method.id) };
      for (const field of method.fields) {
        if (!field.reserved)
          fields[camelCase(field.name)] = wireValue(wireType(protocol, field), method.content ?? false);
      }
      // The specification describes the type that the generator wrote; the compiler can't see it.
      return [`${cls.name}.${method.name}`, fc.record(fields, plain) as fc.Arbitrary<unknown> as fc.Arbitrary<Method>];
    }),
  ),
);

export const anyMethod: fc.Arbitrary<Method> = fc.oneof(...methods.values());

function wireValue(type: ReturnType<typeof wireType>, content: boolean): fc.Arbitrary<unknown> {
  switch (type) {
    case 'bit':
      return fc.boolean();
    case 'octet':
      return fc.integer({ min: 0, max: 255 });
    case 'short':
      return fc.integer({ min: 0, max: 65535 });
    case 'long':
      return fc.integer({ min: 0, max: 0xffffffff });
    case 'shortstr':
      return content ? anyString : shortText;
    case 'longstr':
      return longText;
    case 'table':
      return fieldTable;
    default:
      return fc.maxSafeNat();
  }
}

function normalized(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

// Plain JavaScript values to and from field values, for code that embeds the broker and for configuration.
// Not for what passes through: it picks types by value and so forgets the letters.
import { CodecError } from './errors.ts';
import type { FieldTable, FieldValue } from './field-table.ts';
import { INTERNAL_ERROR } from './generated/constants.ts';

/** What `fromFieldValue` gives and `toFieldValue` takes; `undefined` members of an object are left out. */
export type PlainValue =
  | boolean
  | number
  | bigint
  | string
  | null
  | Date
  | Uint8Array
  | readonly PlainValue[]
  | PlainObject;

export interface PlainObject {
  readonly [key: string]: PlainValue | undefined;
}

/**
 * Integers become I when 32 bits hold them and l otherwise, other numbers d, dates T (whole seconds), null V.
 * @throws CodecError for what no type stands for: functions, symbols, non-finite numbers, invalid dates.
 */
export function toFieldValue(value: PlainValue): FieldValue {
  switch (typeof value) {
    case 'string':
      return { type: 'S', value };
    case 'boolean':
      return { type: 't', value };
    case 'bigint':
      return { type: 'l', value };
    case 'number':
      return numberValue(value);
    case 'object':
      return objectValue(value);
    default:
      throw new CodecError(INTERNAL_ERROR, `no field type for a ${typeof value}`);
  }
}

/** See `toFieldValue`. */
export function toFieldTable(object: PlainObject): FieldTable {
  const table = new Map<string, FieldValue>();
  for (const [key, value] of Object.entries(object)) {
    if (value !== undefined) table.set(key, toFieldValue(value));
  }
  return table;
}

/** Timestamps become dates where a Date can hold them, decimals numbers, byte strings Buffers. */
export function fromFieldValue(field: FieldValue): PlainValue {
  switch (field.type) {
    case 'A':
      return field.value.map(fromFieldValue);
    case 'F':
      return fromFieldTable(field.value);
    case 'D':
      return field.value.unscaled / 10 ** field.value.scale;
    case 'T':
      return field.value <= MAX_DATE_SECONDS ? new Date(Number(field.value) * 1000) : field.value;
    default:
      return field.value;
  }
}

/** A plain object; a key of `__proto__` becomes an own property like any other. */
export function fromFieldTable(table: FieldTable): PlainObject {
  return Object.fromEntries(Array.from(table, ([key, value]) => [key, fromFieldValue(value)]));
}

const MAX_DATE_SECONDS = 8_640_000_000_000;

function numberValue(value: number): FieldValue {
  if (!Number.isFinite(value)) throw new CodecError(INTERNAL_ERROR, `no field type for ${value}`);
  if ((value | 0) === value) return { type: 'I', value };
  return Number.isSafeInteger(value) ? { type: 'l', value } : { type: 'd', value };
}

function objectValue(value: null | Date | Uint8Array | readonly PlainValue[] | PlainObject): FieldValue {
  if (value === null) return { type: 'V', value };
  if (value instanceof Date) {
    const seconds = Math.floor(value.getTime() / 1000);
    if (!(seconds >= 0)) throw new CodecError(INTERNAL_ERROR, 'no field type for a date before 1970 or an invalid one');
    return { type: 'T', value: seconds };
  }
  if (value instanceof Uint8Array) return { type: 'x', value: Buffer.from(value) };
  if (isArray(value)) return { type: 'A', value: value.map(toFieldValue) };
  return { type: 'F', value: toFieldTable(value) };
}

// Array.isArray alone does not narrow a readonly array.
function isArray(value: readonly PlainValue[] | PlainObject): value is readonly PlainValue[] {
  return Array.isArray(value);
}

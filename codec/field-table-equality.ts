// Whether two field tables are the same, for what is found again by its arguments: bindings above all.
// Knows nothing of the arguments that a redeclaration compares; that is the core's, and looser.
import type { FieldTable, FieldValue } from './field-table.ts';

/**
 * Same keys in any order, same types, same values. RabbitMQ sorts the arguments of a binding by key and compares Erlang
 * terms, in which l and L are one type and 1 is not 1.0. (Its comparison of redeclared arguments takes any integer type
 * for another; this one does not.)
 */
export function fieldTablesEqual(a: FieldTable, b: FieldTable): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined || !fieldValuesEqual(value, other)) return false;
  }
  return true;
}

/** Same type and value; see `fieldTablesEqual`. */
export function fieldValuesEqual(a: FieldValue, b: FieldValue): boolean {
  if (a.type === 'F') return b.type === 'F' && fieldTablesEqual(a.value, b.value);
  if (a.type === 'A') {
    return (
      b.type === 'A' &&
      a.value.length === b.value.length &&
      a.value.every((item, i) => fieldValuesEqual(item, b.value[i]))
    );
  }
  if (a.type === 'x') return b.type === 'x' && a.value.equals(b.value);
  if (a.type === 'D') return b.type === 'D' && a.value.scale === b.value.scale && a.value.unscaled === b.value.unscaled;
  if (a.type === 'l' || a.type === 'L') return (b.type === 'l' || b.type === 'L') && sameInteger(a.value, b.value);
  if (a.type === 'T') return b.type === 'T' && sameInteger(a.value, b.value);
  return a.type === b.type && a.value === b.value;
}

function sameInteger(a: number | bigint, b: number | bigint): boolean {
  // A caller may give a bigint where decoding gives a number.
  return a === b || BigInt(a) === BigInt(b);
}

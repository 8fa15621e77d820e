// Values of field tables as RabbitMQ names and sorts them in its reply texts. What they are good for is their user's business.
import type { FieldValue } from '../../codec/field-table.ts';
import { typeName } from '../../exchanges/field-value.ts';

const INTEGER_TYPES = 'bBsuIilL';

/** The name that RabbitMQ gives to the type of a field table value: `longstr`, `signedint`. */
export function fieldTypeName(type: FieldValue['type']): string {
  return typeName(type);
}

/** True for an integer of any width; a timestamp is none. */
export function isInteger(value: FieldValue): boolean {
  return INTEGER_TYPES.includes(value.type);
}

/** What RabbitMQ says of a value that should be an integer, quotes included; undefined when it is one. */
export function integerProblem(value: FieldValue): string | undefined {
  return isInteger(value) ? undefined : `"expected integer, got ${fieldTypeName(value.type)}"`;
}

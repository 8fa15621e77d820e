// When are two values of field tables equal, and how does RabbitMQ print one in an error text? Both as RabbitMQ 3.10 answers.
// Must not know what the tables are for.
import { isUtf8 } from 'node:buffer';
import type { Arguments, TypedValue } from './exchange-type.ts';

/**
 * A stand-in for a field value: equal values have the same stand-in (by `===`, or as the key of a Map), others never do.
 *
 * RabbitMQ ignores the type of a header itself: 1 is the same in every width, as an integer, timestamp or float; a long
 * string is a byte array. Inside of arrays and tables types do count (but `l` and `L` are one), and so does the order.
 */
export type Comparable = string | number | bigint | boolean;

// A string that begins with a zero octet is none that came over the wire as it is, but one of these.
const VOID = '\0V';
const DECIMAL = '\0D';
const OTHER = '\0?';
const ESCAPED_TEXT = '\0S';
const NOT_UTF8 = '\0X';
const LIST = '\0L';

/** The stand-in to compare a value by. */
export function comparable(field: TypedValue): Comparable {
  if (isList(field)) return LIST + listText(field);
  return comparableScalar(field);
}

/** True for the types whose values hold values: their stand-in costs as much as they are large. */
export function isList(field: TypedValue): boolean {
  return field.type === 'A' || field.type === 'F';
}

function comparableScalar({ type, value }: TypedValue): Comparable {
  if (type === 'V') return VOID;
  if (type === 'D') return DECIMAL + Object.values(Object(value)).join();
  if (typeof value === 'string') return value.startsWith('\0') ? ESCAPED_TEXT + value : value;
  if (typeof value === 'number') return comparableNumber(value);
  if (typeof value === 'bigint') return isSafe(value) ? Number(value) : value;
  if (typeof value === 'boolean') return value;
  if (value instanceof Uint8Array) return comparableBytes(value);
  return OTHER + String(value);
}

/** Beyond the safe integers a float is compared by its exact value. */
function comparableNumber(value: number): number | bigint {
  if (value === 0) return 0; // and not -0
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(value) : value;
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}

function comparableBytes(bytes: Uint8Array): string {
  const buffer = asBuffer(bytes);
  if (!isUtf8(bytes)) return NOT_UTF8 + buffer.toString('latin1');
  const text = buffer.toString('utf8');
  return text.startsWith('\0') ? ESCAPED_TEXT + text : text;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Element = readonly [keyText: string, element: TypedValue];

/**
 * Array or table as a text that no other has. `(` opens a list, `)` closes it; a scalar is `<type><length>:<text>`; in a
 * table, `<length>:<key>` stands before each. Not recursive: a peer chooses how deep its tables are.
 */
function listText(root: TypedValue): string {
  let text = '';
  const open: Iterator<Element>[] = [elementsOf(root)];
  while (open.length > 0) {
    const next = open[open.length - 1].next();
    if (next.done) {
      open.pop();
      text += ')';
      continue;
    }
    const [keyText, element] = next.value;
    text += keyText + (element.type === 'L' ? 'l' : element.type);
    if (isList(element)) {
      text += '(';
      open.push(elementsOf(element));
    } else text += withLength(String(comparableScalar(element)));
  }
  return text;
}

function* elementsOf({ type, value }: TypedValue): Generator<Element, undefined> {
  // The type octet says what the value is: an array of fields, or a table.
  if (type === 'A') for (const element of value as readonly TypedValue[]) yield ['', element];
  else for (const [key, element] of value as Arguments) yield [withLength(key), element];
}

function withLength(text: string): string {
  return `${text.length}:${text}`;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  t: 'bool',
  b: 'byte',
  B: 'unsignedbyte',
  s: 'short',
  u: 'unsignedshort',
  I: 'signedint',
  i: 'unsignedint',
  l: 'long',
  L: 'long',
  f: 'float',
  d: 'double',
  D: 'decimal',
  S: 'longstr',
  x: 'binary',
  T: 'timestamp',
  A: 'array',
  F: 'table',
  V: 'void',
};

/** What RabbitMQ calls the type of a field value: `S` is `longstr`. */
export function typeName(type: string): string {
  return TYPE_NAMES[type] ?? type;
}

/** Deeper than any text that fits into a reply. */
const MAX_PRINTED_DEPTH = 64;

/**
 * The value as RabbitMQ prints it (Erlang's `~p`): `<<"all">>`, `[{signedint,1}]`, `1.0`. Not reproduced: the line breaks
 * that Erlang puts into arrays and tables wider than 80 columns.
 */
export function formatTerm({ type, value }: TypedValue, depth = 0): string {
  if (depth > MAX_PRINTED_DEPTH) return '...';
  if (type === 'V') return 'undefined';
  if (type === 'D') return `{${Object.values(Object(value)).join()}}`;
  if (type === 'A') return `[${(value as readonly TypedValue[]).map((field) => formatPair(field, depth)).join()}]`;
  if (type === 'F') {
    const fields = Array.from(value as Arguments, ([key, field]) => formatField(key, field, depth));
    return `[${fields.join()}]`;
  }
  if (typeof value === 'string') return formatBytes(Buffer.from(value));
  if (value instanceof Uint8Array) return formatBytes(value);
  if (typeof value === 'number' && (type === 'f' || type === 'd')) return formatFloat(value);
  return String(value);
}

function formatPair(field: TypedValue, depth: number): string {
  return `{${typeName(field.type)},${formatTerm(field, depth + 1)}}`;
}

function formatField(key: string, field: TypedValue, depth: number): string {
  return `{${formatBytes(Buffer.from(key))},${typeName(field.type)},${formatTerm(field, depth + 1)}}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
};

/** Bytes that all are printable Latin-1 stand as they are, in quotes; others as numbers. */
function formatBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return '<<>>';
  if (!bytes.every(isPrintable)) return `<<${bytes.join()}>>`;
  const text = asBuffer(bytes).toString('utf8');
  return `<<"${Array.from(text, (character) => ESCAPES[character] ?? character).join('')}">>`;
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x20 && byte <= 0x7e) || byte >= 0xa0 || (byte >= 0x08 && byte <= 0x0d) || byte === 0x1b;
}

function formatFloat(value: number): string {
  const [digits, exponent] = String(value).split('e');
  const mantissa = digits.includes('.') ? digits : `${digits}.0`;
  return exponent === undefined ? mantissa : `${mantissa}e${exponent.replace('+', '')}`;
}

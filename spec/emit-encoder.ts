// Text of one method's cases in `encodedMethodSize` and `encodeMethod`.
import type { EmittedField, EmittedMethod } from './emit-methods.ts';

const FIXED_SIZES = { octet: 1, short: 2, long: 4, longlong: 8, timestamp: 8 } as const;
const WRITERS = {
  octet: 'writeUInt8',
  short: 'writeUInt16',
  long: 'writeUInt32',
  longlong: 'writeUInt64',
  timestamp: 'writeUInt64',
  shortstr: 'encodeShortString',
  longstr: 'encodeLongString',
  table: 'encodeFieldTable',
} as const;

export function sizeCase({ constant, fields }: EmittedMethod): string {
  let fixed = 4;
  const terms: string[] = [];
  fields.forEach((field, i) => {
    const { name, type, reserved } = field;
    if (type === 'bit') fixed += startsBits(fields, i) ? 1 : 0;
    else if (type === 'shortstr' && !reserved) terms.push(`shortStringSize(method.${name})`);
    else if (type === 'longstr' && !reserved) terms.push(`longStringSize(method.${name})`);
    else if (type === 'table' && !reserved) terms.push(`encodedFieldTableSize(method.${name})`);
    else if (type === 'shortstr') fixed += 1;
    else if (type === 'longstr' || type === 'table') fixed += 4;
    else fixed += FIXED_SIZES[type];
  });
  return `    case ${constant}:\n      return ${[fixed, ...terms].join(' + ')};`;
}

export function encodeCase({ constant, fields }: EmittedMethod): string {
  const lines = fields.flatMap((field, i) => {
    if (field.type !== 'bit') return [`at = ${write(field)};`];
    return startsBits(fields, i) ? [`buffer[at++] = ${bits(fields, i)};`] : [];
  });
  const last = lines.pop() ?? '';
  const tail = last.startsWith('at = ') ? [last.replace('at = ', 'return ')] : [last, 'return at;'];
  return `    case ${constant}:\n${[...lines, ...tail].map((line) => `      ${line}`).join('\n')}`;
}

function write({ name, type, reserved }: EmittedField): string {
  if (type === 'bit') throw new Error('bits are written together');
  if (!reserved) return `${WRITERS[type]}(method.${name}, buffer, at)`;
  // A reserved string is empty, so its length is all that there is to write.
  if (type === 'shortstr') return 'writeUInt8(0, buffer, at)';
  if (type === 'longstr' || type === 'table') return 'writeUInt32(0, buffer, at)';
  return `${WRITERS[type]}(0, buffer, at)`;
}

/** Bits that follow one another share an octet, the first in its lowest bit, up to eight. */
function startsBits(fields: readonly EmittedField[], at: number): boolean {
  let run = 0;
  while (at - run >= 0 && fields[at - run].type === 'bit') run++;
  return (run - 1) % 8 === 0;
}

function bits(fields: readonly EmittedField[], from: number): string {
  const terms: string[] = [];
  for (let bit = 0; bit < 8 && fields[from + bit]?.type === 'bit'; bit++) {
    const { name, reserved } = fields[from + bit];
    if (!reserved) terms.push(`(method.${name} ? ${1 << bit} : 0)`);
  }
  return terms.join(' | ') || '0';
}

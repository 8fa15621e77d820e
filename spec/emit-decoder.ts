// Text of one method's decoder. It finds every field's offset with bounds checks first and only then decodes the fields, as
// RabbitMQ does: arguments of the wrong length are one error, whatever else is wrong with them.
import type { EmittedField, EmittedMethod } from './emit-methods.ts';

const FIXED_SIZES = { octet: 1, short: 2, long: 4, longlong: 8, timestamp: 8 } as const;

export function decodeFunction(emitted: EmittedMethod): string {
  const { constant, typeName, fields } = emitted;
  const layout = new Layout(constant);
  const values = fields.map((field) => layout.read(field, emitted));
  const properties = fields.flatMap((field, i) => (field.reserved ? [] : [`${field.name}: ${values[i]}`]));
  const body = [...layout.statements(), `return { id: ${[constant, ...properties].join(', ')} };`];
  return `function decode${typeName}(buffer: Buffer, start: number, end: number): ${typeName} {
${body.map((line) => `  ${line}`).join('\n')}
}`;
}

/** Where the next field starts: an offset variable plus a number known while generating. */
class Layout {
  readonly #constant: string;
  readonly #statements: string[] = [];
  #base = 'start';
  #plus = 0;
  #variables = 0;
  #bit = 8;

  constructor(constant: string) {
    this.#constant = constant;
  }

  /** Moves over the field; returns the expression of its value. */
  read(field: EmittedField, method: EmittedMethod): string {
    if (field.type === 'bit') return this.#readBit();
    this.#bit = 8;
    if (field.type === 'shortstr') return this.#readVariable(1, `buffer[${this.#here()}]`, field, method);
    if (field.type === 'longstr' || field.type === 'table') {
      return this.#readVariable(4, `readUInt32(buffer, ${this.#here()})`, field, method);
    }
    const at = this.#here();
    this.#plus += FIXED_SIZES[field.type];
    if (field.type === 'octet') return `buffer[${at}]`;
    if (field.type === 'short') return `readUInt16(buffer, ${at})`;
    if (field.type === 'long') return `readUInt32(buffer, ${at})`;
    if (field.domain === 'delivery-tag') return `deliveryTagArgument(buffer, ${at}, ${this.#constant})`;
    throw new Error(`${method.fullName}: no decoder for ${field.domain}`);
  }

  statements(): string[] {
    return [
      ...this.#statements,
      `if (${this.#here()} !== end) throw undecodable(${this.#constant}, buffer, start, end);`,
    ];
  }

  #readBit(): string {
    if (this.#bit === 8) {
      this.#bit = 0;
      this.#plus += 1;
    }
    return `(buffer[${this.#here(-1)}] & ${1 << this.#bit++}) !== 0`;
  }

  #readVariable(prefix: number, size: string, field: EmittedField, method: EmittedMethod): string {
    const lengthAt = this.#here();
    const variable = `p${this.#variables++}`;
    this.#statements.push(
      `if (${this.#here(prefix)} > end) throw undecodable(${this.#constant}, buffer, start, end);`,
      `const ${variable} = ${this.#here(prefix)} + ${size};`,
    );
    const from = this.#here(prefix);
    this.#base = variable;
    this.#plus = 0;
    if (field.type === 'table') return `tableArgument(buffer, ${lengthAt}, ${variable}, ${this.#constant})`;
    // RabbitMQ checks the short strings of methods without content; those with content pass through as they are.
    if (field.type === 'shortstr' && !method.method.content) {
      return `utf8Argument(buffer, ${from}, ${variable}, ${this.#constant})`;
    }
    return `decodeString(buffer, ${from}, ${variable})`;
  }

  #here(plus = 0): string {
    const total = this.#plus + plus;
    return total === 0 ? this.#base : `${this.#base} + ${total}`;
  }
}

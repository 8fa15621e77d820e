// RabbitMQ's frame errors quote Erlang terms, printed as io_lib's ~w and ~p print them, and clients match on those texts.
// This prints the few terms that occur in them. It knows no frame, method or reply code.

// ~p breaks a term that does not fit in 80 columns over lines.
const LINE_WIDTH = 80;

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [8, '\\b'],
  [9, '\\t'],
  [10, '\\n'],
  [11, '\\v'],
  [12, '\\f'],
  [13, '\\r'],
  [27, '\\e'],
  [34, '\\"'],
  [92, '\\\\'],
]);

/** A binary as ~w prints it: `<<1,2,3>>`. */
export function formatBinary(bytes: Uint8Array): string {
  return `<<${bytes.join(',')}>>`;
}

/**
 * `text` followed by a binary as ~p prints it: quoted when every byte is printable in Latin-1, as numbers otherwise.
 * A byte over 127 within quotes comes out as itself, not as UTF-8, hence as an escape of strings.ts.
 */
export function appendBinary(text: string, bytes: Uint8Array): string {
  if (bytes.length === 0) return `${text}<<>>`;
  if (bytes.every(isPrintable)) return `${text}<<"${Array.from(bytes, printable).join('')}">>`;
  return appendNumbers(`${text}<<`, bytes);
}

/** `text` followed by a tuple of an atom and integers as ~p prints it. */
export function appendTuple(text: string, elements: readonly (string | number)[]): string {
  const column = columnAfter(text);
  const line = `{${elements.join(',')}}`;
  // As io_lib measures it, which wants a column or two to spare.
  if (column + line.length < LINE_WIDTH - 1) return text + line;
  return `${text}{${elements.join(`,\n${' '.repeat(column + 1)}`)}}`;
}

function appendNumbers(opened: string, bytes: Uint8Array): string {
  const indent = columnAfter(opened);
  let text = opened;
  let column = indent;
  for (let i = 0; i < bytes.length; i++) {
    const number = bytes[i].toString();
    const last = i === bytes.length - 1;
    // A comma has to fit as well; io_lib doesn't count the closing brackets.
    if (i > 0 && column + number.length + (last ? 0 : 1) >= LINE_WIDTH) {
      text += `\n${' '.repeat(indent)}`;
      column = indent;
    }
    text += number + (last ? '>>' : ',');
    column += number.length + 1;
  }
  return text;
}

function isPrintable(byte: number): boolean {
  return (byte >= 32 && byte < 127) || byte >= 160 || (ESCAPES.has(byte) && byte < 32);
}

function printable(byte: number): string {
  return ESCAPES.get(byte) ?? String.fromCharCode(byte < 128 ? byte : 0xdc00 + byte);
}

function columnAfter(text: string): number {
  return text.length - (text.lastIndexOf('\n') + 1);
}

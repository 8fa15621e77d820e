// Where a JSON text is wrong. JSON.parse does the parsing; its message names no position for every error, and quotes the
// text, which may hold a password. Knows nothing of options.

/** The first place where a text is not JSON; line and column count from 1. */
export interface JsonError {
  readonly line: number;
  readonly column: number;
  /** What should stand there: `a value`, `',' or '}'`. */
  readonly expected: string;
}

class Mismatch extends Error {
  readonly at: number;
  constructor(at: number, expected: string) {
    super(expected);
    this.at = at;
  }
}

// Of the characters, all but the control characters, the quote and the backslash.
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

/** Finds the first error of a text that JSON.parse refuses. */
export function findJsonError(text: string): JsonError {
  let mismatch = new Mismatch(text.length, 'the end of the text');
  try {
    const end = skip(SPACE, text, readValue(text, 0));
    mismatch = new Mismatch(end, 'the end of the text');
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    mismatch = error;
  }
  const before = text.slice(0, mismatch.at).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, expected: mismatch.message };
}

/** Where a match that begins at a place ends; the place itself when there is none. */
function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

function readValue(text: string, from: number): number {
  const at = skip(SPACE, text, from);
  if (text[at] === '{') return readList(text, at, '}', readMember);
  if (text[at] === '[') return readList(text, at, ']', readValue);
  if (text[at] === '"') return readString(text, at);
  const end = skip(SCALAR, text, at);
  if (end === at) throw new Mismatch(at, 'a value');
  return end;
}

function readString(text: string, from: number): number {
  const at = skip(SPACE, text, from);
  if (text[at] !== '"') throw new Mismatch(at, 'a name in double quotes');
  const end = skip(STRING, text, at);
  if (end === at) throw new Mismatch(at, 'a text with its closing quote and valid escapes');
  return end;
}

function readMember(text: string, from: number): number {
  const at = skip(SPACE, text, readString(text, from));
  if (text[at] !== ':') throw new Mismatch(at, "':'");
  return readValue(text, at + 1);
}

function readList(text: string, from: number, close: string, readItem: (text: string, from: number) => number): number {
  let at = skip(SPACE, text, from + 1);
  if (text[at] === close) return at + 1;
  while (true) {
    at = skip(SPACE, text, readItem(text, at));
    if (text[at] === close) return at + 1;
    if (text[at] !== ',') throw new Mismatch(at, `',' or '${close}'`);
    at++;
  }
}

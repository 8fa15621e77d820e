// Regular expressions as Erlang's re:run reads them (PCRE over bytes), turned into JavaScript's.
// A permission must never mean something else here than in RabbitMQ: what JavaScript can't express is refused, not guessed.

/** Letters beyond ASCII, and among them the small and the large, in Erlang's ISO Latin-1 tables. */
const SMALL = 'a-z\\xaa\\xb5\\xba\\xdf-\\xf6\\xf8-\\xff';
const LARGE = 'A-Z\\xc0-\\xd6\\xd8-\\xde';
const WORD = `0-9_${SMALL}${LARGE}`;

/** Members of the classes, within [ ]. */
const CLASSES: Readonly<Record<string, string>> = {
  d: '0-9',
  D: '\\x00-/:-\\xff',
  s: '\\t-\\r ',
  S: '\\x00-\\x08\\x0e-\\x1f!-\\xff',
  w: WORD,
  W: '\\x00-/:-@[-\\^`{-\\xa9\\xab-\\xb4\\xb6-\\xb9\\xbb-\\xbf\\xd7\\xf7',
};

/** Members of the POSIX classes. */
const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: `0-9${SMALL}${LARGE}`,
  alpha: `${SMALL}${LARGE}`,
  ascii: '\\x00-\\xff',
  blank: ' \\t',
  cntrl: '\\x00-\\x1f\\x7f-\\x9f',
  digit: '0-9',
  graph: '!-~\\xa0-\\xff',
  lower: SMALL,
  print: ' -~\\xa0-\\xff',
  punct: '!-\\/:-@[-`{-~\\xa0-\\xa9\\xab-\\xb4\\xb6-\\xb9\\xbb-\\xbf\\xd7\\xf7',
  space: '\\t-\\r ',
  upper: LARGE,
  word: WORD,
  xdigit: '0-9A-Fa-f',
};

/** Anchors: PCRE's `$` and `\Z` stand before a last newline too, and its words have Latin-1's letters. */
const ANCHORS: Readonly<Record<string, string>> = {
  A: '^',
  z: '$',
  Z: '(?=\\n?$)',
  b: `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`,
  B: `(?:(?<=[${WORD}])(?=[${WORD}])|(?<![${WORD}])(?![${WORD}]))`,
};

/** Text as one character a byte, the form in which names and patterns meet. */
export function toByteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * Compiles a pattern; match it against a `toByteString`, unanchored.
 * @throws {SyntaxError} for what is no regular expression, or is one that JavaScript can't match as PCRE would
 */
export function compilePcre(pattern: string): RegExp {
  const flags = /^\(\?([is]+)\)/.exec(pattern);
  const source = toByteString(pattern.slice(flags?.[0].length ?? 0));
  const isDotAll = flags?.[1]?.includes('s') ?? false;
  let output = '';
  for (let at = 0; at < source.length; ) {
    const piece = translate(source, at, isDotAll);
    output += piece.output;
    at += piece.length;
  }
  return new RegExp(output, flags?.[1]?.includes('i') ? 'i' : '');
}

interface Piece {
  readonly output: string;
  readonly length: number;
}

function translate(source: string, at: number, isDotAll: boolean): Piece {
  switch (source[at]) {
    case '\\':
      return translateEscape(source, at);
    case '[':
      return translateSet(source, at);
    case '(':
      return translateGroup(source, at);
    case '.':
      return { output: isDotAll ? '[^]' : '[^\\n]', length: 1 };
    case '$':
      return translateAnchor('Z', source, at, 1);
    case '*':
    case '+':
    case '?':
    case '}':
      if (source[at + 1] === '+') return refuse('a possessive quantifier');
  }
  return { output: source[at] ?? '', length: 1 };
}

function translateEscape(source: string, at: number): Piece {
  const next = source[at + 1] ?? refuse('\\ at the end');
  if (next === 'Q') return translateQuote(source, at);
  if (ANCHORS[next] !== undefined) return translateAnchor(next, source, at, 2);
  if (CLASSES[next] !== undefined) return { output: `[${CLASSES[next]}]`, length: 2 };
  return translateCharacter(source, at);
}

/** PCRE refuses to repeat an anchor, whereas JavaScript would repeat what it is turned into. */
function translateAnchor(name: string, source: string, at: number, length: number): Piece {
  if (/^(?:[?*+]|\{\d)/.test(source.slice(at + length))) return refuse('a repeated anchor');
  return { output: ANCHORS[name] ?? '', length };
}

/** `\Q...\E`: everything between stands for itself. */
function translateQuote(source: string, at: number): Piece {
  const end = source.indexOf('\\E', at);
  const text = source.slice(at + 2, end === -1 ? undefined : end);
  return { output: text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), length: text.length + (end === -1 ? 2 : 4) };
}

/** An escape that is one character, within a set or outside. */
function translateCharacter(source: string, at: number): Piece {
  const next = source[at + 1] ?? refuse('\\ at the end');
  if (next === 'a') return { output: '\\x07', length: 2 };
  if (next === 'e') return { output: '\\x1b', length: 2 };
  if ('fnrt'.includes(next)) return { output: `\\${next}`, length: 2 };
  if (next === 'x' && /^[\da-f]{2}$/i.test(source.slice(at + 2, at + 4)))
    return { output: source.slice(at, at + 4), length: 4 };
  if (/[a-z\d]/i.test(next)) return refuse(`\\${next}`);
  return { output: `\\${next}`, length: 2 };
}

function translateSet(source: string, at: number): Piece {
  if (/^\[:\^?\w+:\]/.test(source.slice(at))) return refuse('a POSIX class outside a set');
  let output = '[';
  let index = at + 1;
  if (source[index] === '^') output += source[index++];
  // A bracket that comes first stands for itself, whereas JavaScript would close an empty set.
  for (let isFirst = true; isFirst || source[index] !== ']'; isFirst = false) {
    if (index >= source.length) throw new SyntaxError('missing ] at the end of a set');
    const piece = translateSetMember(source, index);
    output += piece.output;
    index += piece.length;
  }
  return { output: `${output}]`, length: index + 1 - at };
}

function translateSetMember(source: string, at: number): Piece {
  const posix = /^\[:(\^?)(\w+):\]/.exec(source.slice(at));
  if (posix !== null) {
    const members = POSIX_CLASSES[posix[2] ?? ''];
    if (members === undefined || posix[1] === '^') return refuse(posix[0]);
    return { output: members, length: posix[0].length };
  }
  if (/^\[[.=]/.test(source.slice(at))) return refuse(source.slice(at, at + 2));
  if (source[at] === ']' || source[at] === '[') return { output: `\\${source[at]}`, length: 1 };
  if (source[at] !== '\\') return { output: source[at] ?? '', length: 1 };
  const next = source[at + 1] ?? '';
  if (CLASSES[next] !== undefined) return translateClassInSet(CLASSES[next], source, at);
  if (next === 'b') return { output: '\\x08', length: 2 };
  return translateCharacter(source, at);
}

/** A hyphen after a class is a hyphen, whereas JavaScript would take the class's last member for the start of a range. */
function translateClassInSet(members: string, source: string, at: number): Piece {
  const isHyphenNext = source[at + 2] === '-';
  return { output: isHyphenNext ? `${members}\\-` : members, length: isHyphenNext ? 3 : 2 };
}

function translateGroup(source: string, at: number): Piece {
  const rest = source.slice(at);
  if (rest.startsWith('(*')) return refuse('a (*VERB)');
  if (!rest.startsWith('(?')) return { output: '(', length: 1 };
  const plain = /^\(\?(?:[:=!]|<[=!])/.exec(rest);
  if (plain !== null) return { output: plain[0], length: plain[0].length };
  const named = /^\(\?(?:P?<\w+>|'\w+')/.exec(rest);
  if (named !== null) return { output: '(', length: named[0].length };
  const comment = /^\(\?#[^)]*\)/.exec(rest);
  if (comment !== null) return { output: '', length: comment[0].length };
  return refuse(rest.slice(0, 3));
}

function refuse(what: string): never {
  throw new SyntaxError(`${what} is not supported`);
}

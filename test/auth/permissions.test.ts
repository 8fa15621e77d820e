// Permissions mean what they mean in RabbitMQ: the expectations are what Erlang's re:run answers.
import fc from 'fast-check';
import t from 'tap';
import { Permissions } from '../../lib/auth/permissions.ts';

function matches(pattern: string, name: string): boolean {
  return new Permissions({ configure: pattern, write: '', read: '' }).allows('configure', name);
}

t.test("a pattern matches what Erlang's re:run matches", async (t) => {
  const cases: [pattern: string, name: string, expected: boolean][] = [
    ['', 'a', false],
    ['', '', false],
    ['.*', '', true],
    ['b', 'abc', true],
    ['^b', 'abc', false],
    ['^a$', 'a\n', true],
    ['^a\\z', 'a\n', false],
    ['^a\\Z', 'a\n', true],
    ['\\Aa', 'ba', false],
    ['a.b', 'a\nb', false],
    ['a.b', 'a\rb', true],
    ['(?s)a.b', 'a\nb', true],
    ['(?i)A', 'a', true],
    ['A', 'a', false],
    ['[]a]', ']', true],
    ['[^]a]', 'a', false],
    ['^.$', 'é', false],
    ['^\\w\\w$', 'ª', true],
    ['[[:alpha:]]', '1', false],
    ['^[[:alnum:]._-]+$', 'a.b_c-1', true],
    ['\\Qa.b\\E', 'a.b', true],
    ['\\Qa.b\\E', 'axb', false],
    ['a\\x20b', 'a b', true],
    ['[\\w-.]', '-', true],
    ['a{', 'a{', true],
    ['(?P<n>a)b', 'ab', true],
    ['(?#c)a', 'a', true],
    ['\\s', '\u00a0', false],
    ['[[:alpha:]]', 'é', true],
    ['_\\b', '_é', false],
    ['\\bb', 'a b', true],
    ['a\\B', 'ab', true],
    ['^(?!amq\\.)', 'amq.direct', false],
    ['^(amq\\.default|orders\\..*)$', '', true],
  ];
  for (const [pattern, name, expected] of cases) {
    t.equal(matches(pattern, name), expected, `${JSON.stringify(pattern)} on ${JSON.stringify(name)}`);
  }
});

t.test('the default exchange is checked as amq.default', async (t) => {
  t.ok(matches('^amq\\.default$', ''));
  t.notOk(matches('^$', ''));
});

t.test('what is no regular expression, or can not be matched alike, is refused with its kind and text', async (t) => {
  for (const pattern of [
    '(',
    '[a',
    '*',
    'a\\',
    'a++',
    '(?>a)',
    '(?i:a)',
    '(*ACCEPT)',
    '\\K',
    '[[:nope:]]',
    '[[.a.]]',
  ]) {
    t.throws(
      () => matches(pattern, 'x'),
      { name: 'SyntaxError', message: /^the configure permission '.*' is no usable/ },
      pattern,
    );
  }
});

t.test('a name that is quoted matches itself and nothing shorter', async () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (name) => {
      fc.pre(!name.includes('\\E') && !name.endsWith('\\'));
      return matches(`\\A\\Q${name}\\E\\z`, name) && !matches(`\\A\\Q${name}\\E\\z`, `${name}x`);
    }),
  );
});

t.test('a permission answers alike before, while and after its cache is full', async (t) => {
  const permissions = new Permissions({ configure: '^[02468]+$', write: '^w', read: '' });
  const expected = (name: string): boolean => /^[02468]+$/.test(name);
  for (let round = 0; round < 2; round++) {
    const wrong = Array.from({ length: 3000 }, (_, index) => String(index)).filter(
      (name) => permissions.allows('configure', name) !== expected(name),
    );
    t.strictSame(wrong, []);
  }
  t.notOk(permissions.allows('write', '2'), 'kinds do not share answers');
});

t.test('any pattern compiles or is refused as a SyntaxError', async () => {
  const piece = fc.constantFrom(
    '(',
    ')',
    '[',
    ']',
    '\\',
    '?',
    '*',
    '+',
    '{',
    '}',
    '^',
    '$',
    '.',
    'Q',
    'E',
    ':',
    'a',
    '-',
    '[:',
    ':]',
    '|',
  );
  fc.assert(
    fc.property(fc.array(piece), fc.string(), (pieces, name) => {
      try {
        return typeof matches(pieces.join(''), name) === 'boolean';
      } catch (error) {
        return error instanceof SyntaxError;
      }
    }),
  );
});

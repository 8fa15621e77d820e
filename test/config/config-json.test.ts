// Where a broken JSON text is broken.
import fc from 'fast-check';
import t from 'tap';
import { findJsonError } from '../../lib/config-json.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

t.test('the first error is found with its line and column', async (t) => {
  const cases: [string, number, number, string][] = [
    ['', 1, 1, 'a value'],
    ['{', 1, 2, 'a name in double quotes'],
    ['{"a":1,}', 1, 8, 'a name in double quotes'],
    ['{"a":1\n"b":2}', 2, 1, "',' or '}'"],
    ['[1 2]', 1, 4, "',' or ']'"],
    ['[1,]', 1, 4, 'a value'],
    ['{"a" 1}', 1, 6, "':'"],
    ["{'a': 1}", 1, 2, 'a name in double quotes'],
    ['{"a": "b}', 1, 7, 'a text with its closing quote and valid escapes'],
    ['{"a": 1}\n}', 2, 1, 'the end of the text'],
    ['{"a": 01}', 1, 8, "',' or '}'"],
  ];
  for (const [text, line, column, expected] of cases) {
    t.notOk(isJson(text), text);
    t.strictSame(findJsonError(text), { line, column, expected }, text);
  }
});

t.test('in a text that is cut short, the error is at the end or in the token that was cut', async () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), (text, cut) => {
      const short = text.slice(0, cut % text.length);
      fc.pre(!isJson(short));
      // fast-check's texts are on one line.
      const rest = short.slice(findJsonError(short).column - 1);
      return rest === '' || /^"|^[\w.+-]+$/.test(rest);
    }),
  );
});

t.test('any text that JSON.parse refuses gets a place within it', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[{}[\],:"\\a-c0-2 \n]*$/)), (text) => {
      fc.pre(!isJson(text));
      const { line, column } = findJsonError(text);
      const lines = text.split('\n');
      return line <= lines.length && column <= (lines[line - 1]?.length ?? 0) + 1;
    }),
  );
});

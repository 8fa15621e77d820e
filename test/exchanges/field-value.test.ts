import t from 'tap';
import type { TypedValue } from '../../exchanges/exchange-type.ts';
import { comparable, formatTerm, typeName } from '../../exchanges/field-value.ts';
import { field, table } from './helper.ts';

const equal = (a: TypedValue, b: TypedValue): boolean => comparable(a) === comparable(b);
const list = (...fields: TypedValue[]): TypedValue => field('A', fields);
const map = (entries: Record<string, TypedValue | string>): TypedValue => field('F', table(entries));

// RabbitMQ 3.10 was asked about every pair here.
t.test('numbers are equal whatever their type', async (t) => {
  const ones = [...'bBsuIiTfd'].map((type) => field(type, 1)).concat(field('l', 1n), field('L', 1n), field('T', 1n));
  for (const a of ones) {
    for (const b of ones) t.ok(equal(a, b), `${a.type} = ${b.type}`);
    t.notOk(equal(a, field('t', true)));
    t.notOk(equal(a, field('S', '1')));
    t.notOk(equal(a, field('D', { scale: 0, value: 1 })));
  }
  t.ok(equal(field('d', 0), field('d', -0)));
  t.ok(equal(field('l', 2n ** 62n), field('d', 2 ** 62)));
  t.ok(equal(field('l', 9007199254740992n), field('d', 2 ** 53)));
  t.notOk(equal(field('l', 9007199254740993n), field('d', 2 ** 53)));
  t.notOk(equal(field('T', 2n ** 64n - 1n), field('L', -1n)));
});

t.test('long strings and byte arrays are equal by their bytes', async (t) => {
  t.ok(equal(field('S', 'é'), field('x', Buffer.from('é'))));
  t.ok(equal(field('S', '\0V'), field('x', Buffer.from('\0V'))));
  t.notOk(equal(field('S', '\0V'), field('V')));
  t.notOk(equal(field('S', '\ufffd'), field('x', Buffer.from([0xff]))));
  t.ok(equal(field('S', Buffer.from([0xff])), field('x', new Uint8Array([0xff]))));
  t.notOk(equal(field('S', ''), list()));
  t.notOk(equal(field('S', 'true'), field('t', true)));
});

t.test('decimals are equal by scale and value', async (t) => {
  t.ok(equal(field('D', { scale: 1, value: 10 }), field('D', { scale: 1, value: 10 })));
  t.notOk(equal(field('D', { scale: 1, value: 10 }), field('D', { scale: 0, value: 1 })));
});

t.test('arrays and tables are equal element by element, in order, types included', async (t) => {
  const [a, b] = [field('S', 'a'), field('I', 1)];
  t.ok(equal(list(a, b), list(a, b)));
  t.notOk(equal(list(a, b), list(b, a)));
  t.notOk(equal(list(a), list(a, b)));
  t.notOk(equal(list(field('b', 1)), list(field('I', 1))));
  t.notOk(equal(list(field('S', '1')), list(field('x', Buffer.from('1')))));
  t.ok(equal(list(field('l', 1n)), list(field('L', 1))));
  t.ok(equal(list(field('d', 0)), list(field('d', -0))));
  t.ok(equal(map({ k: a, l: b }), map({ k: a, l: b })));
  t.notOk(equal(map({ k: a, l: b }), map({ l: b, k: a })));
  t.notOk(equal(map({ k: a }), map({ k: a, l: b })));
  t.notOk(equal(map({ k: field('V') }), map({ k: a })));
  t.notOk(equal(map({ k: b }), list(b)));
  t.ok(equal(list(), map({})), 'an empty array is an empty table');
  t.notOk(equal(list(list()), list(map({}))), 'but not within another value');
  t.ok(equal(list(map({ k: list(a) })), list(map({ k: list(a) }))));
  t.notOk(equal(list(list(a), b), list(list(a, b))));
  t.notOk(equal(list(field('S', 'aS1:b')), list(field('S', 'a'), field('S', 'b'))));
});

t.test('the depth of a table is not bounded by the stack', async (t) => {
  const deep = (): TypedValue => {
    let value = list();
    for (let i = 0; i < 50_000; i++) value = list(value);
    return value;
  };
  t.ok(equal(deep(), deep()));
  t.ok(formatTerm(deep()).includes('...'));
});

t.test('values of an unknown kind are compared as text', async (t) => {
  t.ok(equal(field('T', new Date(0)), field('T', new Date(0))));
  t.notOk(equal(field('T', new Date(0)), field('T', new Date(1000))));
});

t.test('values are printed as RabbitMQ prints them', async (t) => {
  const cases: [TypedValue, string][] = [
    [field('S', 'all'), '<<"all">>'],
    [field('S', ''), '<<>>'],
    [field('S', 'é'), '<<"é">>'],
    [field('S', 'a"b\\'), '<<"a\\"b\\\\">>'],
    [field('S', '\b\t\n\v\f\r\x1b'), '<<"\\b\\t\\n\\v\\f\\r\\e">>'],
    [field('S', '\x80'), '<<194,128>>'],
    [field('S', 'A\0'), '<<65,0>>'],
    [field('x', new Uint8Array([0, 200])), '<<0,200>>'],
    [field('t', true), 'true'],
    [field('I', 1), '1'],
    [field('l', 1n), '1'],
    [field('f', 1), '1.0'],
    [field('d', 1.5), '1.5'],
    [field('d', 1e22), '1.0e22'],
    [field('d', 0.0000001), '1.0e-7'],
    [field('D', { scale: 0, value: 1 }), '{0,1}'],
    [field('V'), 'undefined'],
    [list(), '[]'],
    [list(field('S', 'all'), field('I', 2)), '[{longstr,<<"all">>},{signedint,2}]'],
    [map({ k: 'v' }), '[{<<"k">>,longstr,<<"v">>}]'],
  ];
  for (const [value, expected] of cases) t.equal(formatTerm(value), expected);
});

t.test('a type that RabbitMQ has no name for keeps its own', async (t) => {
  t.equal(typeName('S'), 'longstr');
  t.equal(typeName('?'), '?');
});

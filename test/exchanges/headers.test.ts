import fc from 'fast-check';
import t from 'tap';
import type { Arguments, TypedValue } from '../../exchanges/exchange-type.ts';
import { comparable } from '../../exchanges/field-value.ts';
import { headersExchange } from '../../exchanges/headers.ts';
import { binding, field, message, routed, routerOf, table } from './helper.ts';

type Entries = Record<string, TypedValue | string>;

/** True when a message with the headers goes through a binding with the arguments. */
function passes(args: Entries, headers: Entries | null): boolean {
  const router = routerOf(headersExchange, binding('q', '', table(args)));
  return routed(router, message('', headers === null ? null : table(headers))).length === 1;
}

t.test('a binding without arguments matches everything, as all; nothing, as any', async (t) => {
  const messages: (Entries | null)[] = [null, {}, { a: '1' }];
  for (const headers of messages) {
    t.ok(passes({}, headers));
    t.ok(passes({ 'x-match': 'all' }, headers));
    t.ok(passes({ 'x-match': 'all-with-x' }, headers));
    t.notOk(passes({ 'x-match': 'any' }, headers));
    t.notOk(passes({ 'x-match': 'any-with-x' }, headers));
  }
  t.notOk(passes({ 'x-match': 'any-with-x' }, { 'x-match': 'any-with-x' }));
});

t.test('all wants every header, any wants one', async (t) => {
  t.ok(passes({ a: '1', b: '2' }, { a: '1', b: '2', c: '3' }));
  t.notOk(passes({ a: '1', b: '2' }, { a: '1' }));
  t.notOk(passes({ a: '1', b: '2' }, { a: '1', b: '3' }));
  t.notOk(passes({ a: '1' }, null));
  t.ok(passes({ 'x-match': 'any', a: '1', b: '2' }, { b: '2' }));
  t.notOk(passes({ 'x-match': 'any', a: '1', b: '2' }, { a: '2', b: '1' }));
  t.notOk(passes({ a: '1' }, { A: '1' }));
  t.ok(passes({ '': '1' }, { '': '1' }));
});

t.test('arguments that begin with x- count for the kinds that say so', async (t) => {
  t.ok(passes({ 'x-match': 'all', 'x-a': '1', 'x-': '1', b: '1' }, { b: '1' }));
  t.notOk(passes({ 'x-match': 'any', 'x-a': '1', b: '1' }, { 'x-a': '1' }));
  t.ok(passes({ 'x-match': 'all-with-x', 'x-a': '1' }, { 'x-a': '1' }));
  t.notOk(passes({ 'x-match': 'all-with-x', 'x-a': '1' }, { 'x-a': '2' }));
  t.notOk(passes({ 'x-match': 'all-with-x', 'x-a': '1' }, { a: '1' }));
  t.ok(passes({ 'x-match': 'any-with-x', 'x-a': '1', b: '1' }, { 'x-a': '1' }));
  t.notOk(passes({ 'x-match': 'any-with-x', 'x-a': '1' }, { 'x-a': '2' }));
  t.notOk(passes({ 'X-a': '1' }, { a: '1' }));
});

t.test('a void argument wants the header to be there', async (t) => {
  t.ok(passes({ a: field('V') }, { a: '1' }));
  t.ok(passes({ a: field('V') }, { a: field('V') }));
  t.notOk(passes({ a: field('V') }, { b: '1' }));
  t.ok(passes({ 'x-match': 'any', a: field('V') }, { a: field('I', 1) }));
  t.ok(passes({ a: field('V'), b: field('V') }, { a: '1', b: '2' }));
  t.notOk(passes({ a: '1' }, { a: field('V') }));
});

t.test('arrays and tables are compared deeply', async (t) => {
  const nested = (n: number) => field('F', table({ list: field('A', [field('I', n), field('S', 's')]) }));
  t.ok(passes({ a: nested(1), b: nested(2) }, { a: nested(1), b: nested(2) }));
  t.notOk(passes({ a: nested(1), b: nested(2) }, { a: nested(1), b: nested(3) }));
});

t.test('x-match is checked at bind, with the text of RabbitMQ', async (t) => {
  const refused = (value: TypedValue | string, text: string) =>
    t.throws(() => headersExchange.validateBinding?.('', table({ 'x-match': value })), {
      name: 'ArgumentError',
      message: text,
    });
  const expected = 'expected all, any, all-with-x, or any-with-x';
  refused('foo', `Invalid x-match field value <<"foo">>; ${expected}`);
  refused('', `Invalid x-match field value <<>>; ${expected}`);
  refused('ALL', `Invalid x-match field value <<"ALL">>; ${expected}`);
  refused(field('x', Buffer.from('all')), 'Invalid x-match field type binary (value <<"all">>); expected longstr');
  refused(field('I', 1), 'Invalid x-match field type signedint (value 1); expected longstr');
  refused(field('V'), 'Invalid x-match field type void (value undefined); expected longstr');
  for (const kind of ['all', 'any', 'all-with-x', 'any-with-x']) {
    headersExchange.validateBinding?.('', table({ 'x-match': kind }));
    headersExchange.validateBinding?.('', table({ 'x-match': field('S', Buffer.from(kind)) }));
  }
  headersExchange.validateBinding?.('', table());
});

t.test('a binding that nobody checked matches as all', async (t) => {
  t.ok(passes({ 'x-match': 'foo', a: '1' }, { a: '1' }));
  t.notOk(passes({ 'x-match': field('I', 1), a: '1' }, { b: '1' }));
});

t.test('headers are not decoded for an exchange that does not need them', async (t) => {
  const untouchable = {
    ...message(''),
    get headers(): Arguments | null {
      throw new Error('decoded');
    },
  };
  const demanding = binding('q', '', table({ a: '1' }));
  const router = routerOf(headersExchange, binding('all'), demanding);
  t.throws(() => routed(router, untouchable));
  router.unbind(demanding);
  router.unbind(demanding);
  t.same(routed(router, untouchable), ['all']);
  t.equal(router.routesByKeyOnly, false);
});

const value = fc.constantFrom(
  field('S', '1'),
  field('x', Buffer.from('1')),
  field('I', 1),
  field('l', 1n),
  field('t', true),
  field('V'),
  field('A', [field('I', 1)]),
);
const key = fc.constantFrom('a', 'b', 'c', 'x-a', 'x-match2');
const entries = fc.dictionary(key, value, { maxKeys: 4 });
const kind = fc.constantFrom(undefined, 'all', 'any', 'all-with-x', 'any-with-x');
const args = fc
  .tuple(entries, kind)
  .map(([fields, match]) => table(match === undefined ? fields : { ...fields, 'x-match': match }));

function naive(pattern: Arguments, headers: Arguments): boolean {
  const match = String(pattern.get('x-match')?.value ?? 'all');
  const wanted = [...pattern].filter(([name]) =>
    match.endsWith('with-x') ? name !== 'x-match' : !name.startsWith('x-'),
  );
  const hit = ([name, wants]: [string, TypedValue]): boolean => {
    const has = headers.get(name);
    return has !== undefined && (wants.type === 'V' || comparable(wants) === comparable(has));
  };
  return match.startsWith('any') ? wanted.some(hit) : wanted.every(hit);
}

t.test('a headers exchange routes as the definition says, for any bindings, also after unbinds', async () => {
  fc.assert(
    fc.property(fc.array(args, { maxLength: 15 }), fc.array(entries), fc.nat(15), (patterns, messages, kept) => {
      const bindings = patterns.map((each, index) => binding(`q${index}`, '', each));
      const router = routerOf(headersExchange, ...bindings);
      const right = (left: typeof bindings) =>
        messages.every((fields) => {
          const headers = table(fields);
          const expected = left.filter((each) => naive(each.arguments, headers)).map((each) => each.destination);
          return JSON.stringify(routed(router, message('', headers))) === JSON.stringify(expected.sort());
        });
      const before = right(bindings);
      for (const each of bindings.slice(kept)) router.unbind(each);
      return before && right(bindings.slice(0, kept));
    }),
    { numRuns: 500 },
  );
});

import t from 'tap';
import type { TypedValue } from '../../exchanges/exchange-type.ts';
import { recentHistoryExchange } from '../../exchanges/recent-history.ts';
import { binding, field, message, routed, routerOf, table } from './helper.ts';

const LENGTH = 'x-recent-history-length';

t.test('it routes as a fanout does', async (t) => {
  t.same(routed(routerOf(recentHistoryExchange, binding('a', 'x'), binding('b', 'y')), 'z'), ['a', 'b']);
});

t.test('it says how many messages are kept', async (t) => {
  t.equal(recentHistoryExchange.history?.(table()).length, 20);
  t.equal(recentHistoryExchange.history?.(table({ [LENGTH]: field('I', 7) })).length, 7);
  t.equal(recentHistoryExchange.history?.(table({ [LENGTH]: field('l', 2n ** 60n) })).length, 2 ** 60);
});

t.test('it says which messages are kept', async (t) => {
  const rule = recentHistoryExchange.history?.(table());
  const keeps = (value: TypedValue) => rule?.keeps(message('k', table({ 'x-recent-history-no-store': value })));
  t.equal(rule?.keeps(message('k')), true);
  t.equal(rule?.keeps(message('k', table())), true);
  t.equal(keeps(field('t', true)), false);
  for (const other of [field('t', false), field('I', 1), field('S', 'true'), field('V')]) t.equal(keeps(other), true);
});

t.test('a length is a positive integer of a signed type', async (t) => {
  const check = (value: TypedValue) => recentHistoryExchange.validateExchange?.(table({ [LENGTH]: value }));
  for (const type of 'bsIlL') check(field(type, 1));
  recentHistoryExchange.validateExchange?.(table());
  const refused: [value: TypedValue, printed: string][] = [
    [field('I', 0), '0'],
    [field('l', -(2n ** 63n)), '-9223372036854775808'],
    [field('S', '5'), '<<"5">>'],
    [field('d', 5), '5.0'],
    [field('B', 5), '5'],
    [field('T', 5), '5'],
    [field('V', null), 'undefined'],
  ];
  for (const [value, printed] of refused) {
    const text = `Invalid argument ${printed}, '${LENGTH}' must be a positive integer`;
    t.throws(() => check(value), { name: 'ArgumentError', message: text });
  }
});

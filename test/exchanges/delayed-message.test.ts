import t from 'tap';
import { delayedMessageExchange } from '../../exchanges/delayed-message.ts';
import type { TypedValue } from '../../exchanges/exchange-type.ts';
import { field, message, table } from './helper.ts';

const MOST = 315_360_000_000;

function delayMs(value: TypedValue): number | undefined {
  return delayedMessageExchange.delayMs?.(message('k', table({ 'x-delay': value })));
}

t.test('any positive number of milliseconds is a delay', async (t) => {
  for (const type of 'bBsuIilLfd') t.equal(delayMs(field(type, 100)), 100, type);
  t.equal(delayMs(field('l', 2n ** 33n)), 2 ** 33);
  t.equal(delayMs(field('d', 100.9)), 100);
  for (const text of ['100', '+100', '0100']) t.equal(delayMs(field('S', text)), 100, text);
});

t.test('nothing is held for more than ten years', async (t) => {
  t.equal(delayMs(field('l', MOST)), MOST);
  for (const value of [MOST + 1, Number.MAX_SAFE_INTEGER, 2n ** 63n - 1n]) t.equal(delayMs(field('l', value)), MOST);
  t.equal(delayMs(field('d', 1e300)), MOST);
  t.equal(delayMs(field('S', '9'.repeat(400))), MOST);
});

t.test('all else is none', async (t) => {
  t.equal(delayedMessageExchange.delayMs?.(message('k')), 0);
  t.equal(delayedMessageExchange.delayMs?.(message('k', table())), 0);
  t.equal(delayedMessageExchange.delayMs?.(message('k', table({ 'X-Delay': field('I', 5) }))), 0);
  for (const type of 'bsIlfd') t.equal(delayMs(field(type, -100)), 0, `negative ${type}`);
  for (const type of 'bBsuIilLfd') t.equal(delayMs(field(type, 0)), 0, `0 of ${type}`);
  t.equal(delayMs(field('d', 0.99)), 0);
  t.equal(delayMs(field('d', -0.99)), 0);
  for (const text of ['', ' ', ' 100', '100 ', '1e3', '1.5', '0x10', '-100', '١٠٠', 'soon']) {
    t.equal(delayMs(field('S', text)), 0, text);
  }
  for (const other of [field('t', true), field('T', 5), field('D', { scale: 0, unscaled: 5 }), field('V', null)]) {
    t.equal(delayMs(other), 0, other.type);
  }
  for (const other of [field('x', Buffer.from('5')), field('A', [field('I', 5)]), field('F', table())]) {
    t.equal(delayMs(other), 0, other.type);
  }
});

t.test('the arguments name the type that routes', async (t) => {
  const routesLike = (value: TypedValue) => delayedMessageExchange.routesLike?.(table({ 'x-delayed-type': value }));
  t.equal(routesLike(field('S', 'topic')), 'topic');
  t.equal(routesLike(field('S', 'x-anything')), 'x-anything', 'whether it is there is for others to know');
  const missing = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
  t.throws(() => delayedMessageExchange.routesLike?.(table()), { name: 'ArgumentError', message: missing });
  for (const other of [field('I', 1), field('V', null), field('A', []), field('t', true)]) {
    t.throws(() => routesLike(other), { name: 'ArgumentError', message: missing });
  }
  const message = "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'";
  t.throws(() => routesLike(field('S', 'x-delayed-message')), { name: 'ArgumentError', message });
});

t.test('it has no routing table of its own', async (t) => {
  t.throws(() => delayedMessageExchange.createRouter(table()), { message: /by another type/ });
});

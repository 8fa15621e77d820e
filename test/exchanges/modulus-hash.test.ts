import fc from 'fast-check';
import t from 'tap';
import { modulusHashExchange } from '../../exchanges/modulus-hash.ts';
import { phash2OfList } from '../../exchanges/phash2.ts';
import { binding, message, routed, routerOf } from './helper.ts';

t.test('a message goes through one binding, the hash of its routing keys modulo their number', async (t) => {
  const router = routerOf(modulusHashExchange, binding('c', 'c'), binding('a', 'a'), binding('b', 'b'));
  for (let i = 0; i < 50; i++) {
    const key = `key${i}`;
    t.same(routed(router, key), [['a', 'b', 'c'][phash2OfList([key]) % 3]]);
  }
  t.equal(router.routesByKeyOnly, true);
  t.same(routed(routerOf(modulusHashExchange), 'k'), []);
});

t.test('all routing keys are hashed together', async (t) => {
  const router = routerOf(modulusHashExchange, ...Array.from('abcdefg', (name) => binding(name, name)));
  const into: string[] = [];
  router.routeTogether?.(message('k'), [message('x'), message('y')], into);
  t.same(into, ['abcdefg'[phash2OfList(['k', 'x', 'y']) % 7]]);
});

t.test('bindings count by the bytes of their keys, then by their destinations', async (t) => {
  const router = modulusHashExchange.createRouter<string>(new Map(), (a, b) => (a < b ? -1 : 1));
  const sorted = [
    ['9', ''],
    ['b', 'k'],
    ['d', 'k'],
    ['a', 'kk'],
    ['c', '\uffff'],
    ['0', '\u{10000}'],
    // Bytes that are no UTF-8.
    ['1', '\udcf8'],
  ] as const;
  for (const [destination, key] of [...sorted].reverse()) router.bind(binding(destination, key));
  for (let i = 0; i < 60; i++) {
    t.same(routed(router, `${i}`), [sorted[phash2OfList([`${i}`]) % sorted.length][0]]);
  }
});

t.test('without an order of destinations they count as they were bound', async (t) => {
  const router = routerOf(modulusHashExchange, ...['z', 'a', 'm'].map((name) => binding(name, 'same')));
  for (let i = 0; i < 30; i++) t.same(routed(router, `${i}`), [['z', 'a', 'm'][phash2OfList([`${i}`]) % 3]]);
});

t.test('any bindings and unbinds leave the bindings that are left', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { maxLength: 10 }), fc.nat(10), fc.string(), (names, kept, key) => {
      const bindings = names.map((name) => binding(name, name));
      const router = routerOf(modulusHashExchange, ...bindings);
      routed(router, key);
      for (const each of bindings.slice(kept)) router.unbind(each);
      const left = names.slice(0, kept).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const wanted = left.length === 0 ? [] : [left[phash2OfList([key]) % left.length]];
      return JSON.stringify(routed(router, key)) === JSON.stringify(wanted);
    }),
  );
});

import t from 'tap';
import { directExchange } from '../../exchanges/direct.ts';
import { KeyTable } from '../../exchanges/key-table.ts';
import { binding, field, message, routed, routerOf, table } from './helper.ts';

t.test('a direct exchange routes to the destinations bound with the very routing key', async (t) => {
  const router = routerOf(directExchange, binding('a', 'red'), binding('b', 'red'), binding('c', 'blue'), binding('d'));
  t.same(routed(router, 'red'), ['a', 'b']);
  t.same(routed(router, 'blue'), ['c']);
  t.same(routed(router, ''), ['d']);
  t.same(routed(router, 'Red'), []);
  t.same(routed(router, 'constructor'), []);
  t.equal(router.routesByKeyOnly, true);
});

t.test('a direct exchange appends to what the caller has', async (t) => {
  const into = ['kept'];
  routerOf(directExchange, binding('a', 'k')).route(message('k'), into);
  t.same(into, ['kept', 'a']);
});

t.test('a direct exchange keeps bindings apart that differ in their arguments only', async (t) => {
  const plain = binding('a', 'k');
  const other = binding('a', 'k', table({ n: field('I', 1) }));
  const router = routerOf(directExchange, plain, other);
  router.unbind(plain);
  t.same(routed(router, 'k'), ['a']);
  router.unbind(other);
  t.same(routed(router, 'k'), []);
});

t.test('a direct exchange ignores an unbind of what is not bound', async (t) => {
  const router = routerOf(directExchange, binding('a', 'k'));
  router.unbind(binding('a', 'k'));
  router.unbind(binding('a', 'other'));
  t.same(routed(router, 'k'), ['a']);
});

t.test('a table by key leaves no key behind', async (t) => {
  const keys = new KeyTable<string>();
  const bindings = ['a', 'b', 'c'].flatMap((destination) => ['', 'k', 'k.l'].map((key) => binding(destination, key)));
  for (const each of bindings) keys.add(each);
  for (const each of bindings) {
    t.notOk(keys.isEmpty);
    keys.remove(each);
  }
  t.ok(keys.isEmpty);
});

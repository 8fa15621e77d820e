import t from 'tap';
import { fanoutExchange } from '../../exchanges/fanout.ts';
import { binding, routed, routerOf } from './helper.ts';

t.test('a fanout exchange routes to every destination, whatever the key', async (t) => {
  const router = routerOf(fanoutExchange, binding('a', 'x'), binding('b'));
  t.same(routed(router, ''), ['a', 'b']);
  t.same(routed(router, 'anything'), ['a', 'b']);
  t.equal(router.routesByKeyOnly, true);
});

t.test('a fanout exchange keeps a destination until its last binding goes', async (t) => {
  const first = binding('a', 'x');
  const second = binding('a', 'y');
  const router = routerOf(fanoutExchange, first, second);
  router.unbind(first);
  t.same(routed(router, ''), ['a']);
  router.unbind(second);
  t.same(routed(router, ''), []);
  router.unbind(second);
  t.same(routed(router, ''), []);
});

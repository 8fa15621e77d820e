import fc from 'fast-check';
import t from 'tap';
import { createRandomExchange, randomExchange } from '../../exchanges/random.ts';
import { binding, message, routed, routerOf } from './helper.ts';

t.test('a message goes through the binding that is drawn', async (t) => {
  const numbers = [0, 0.999_999_999, 0.5, 0.34, 0.32];
  const type = createRandomExchange(() => numbers.shift() ?? 0);
  const router = routerOf(type, binding('a'), binding('b'), binding('c'));
  t.equal(router.routesByKeyOnly, false);
  t.same(['a', 'c', 'b', 'b', 'a'], Array.from({ length: 5 }, () => routed(router, 'k')).flat());
  t.equal(type.name, 'x-random');
});

t.test('nothing is drawn without a binding', async (t) => {
  const router = routerOf(createRandomExchange(() => t.fail('drawn') as never));
  t.same(routed(router, 'k'), []);
});

t.test('one draw for all routing keys of a message', async (t) => {
  let draws = 0;
  const type = createRandomExchange(() => draws++ / 10);
  const into: string[] = [];
  routerOf(type, binding('a'), binding('b')).routeTogether?.(message('k'), [message('l'), message('m')], into);
  t.same(into, ['a']);
  t.equal(draws, 1);
});

t.test('after any unbinds each binding that is left is one of as many', async () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { maxLength: 10 }), fc.infiniteStream(fc.nat(9)), (names, removals) => {
      let drawn = 0;
      const type = createRandomExchange(() => drawn);
      const bindings = names.map((name, i) => binding(`d${name}`, `${i}`));
      const router = routerOf(type, ...bindings);
      while (bindings.length > 0) {
        const found = bindings.map((_, i) => {
          drawn = (i + 0.5) / bindings.length;
          return routed(router, 'k')[0];
        });
        const left = bindings.map((each) => each.destination);
        if (JSON.stringify(found.sort()) !== JSON.stringify(left.sort())) return false;
        const [removed] = bindings.splice(removals.next().value % bindings.length, 1);
        router.unbind(removed);
        router.unbind(removed);
      }
      return routed(router, 'k').length === 0;
    }),
  );
});

t.test('the built-in one draws fairly', async (t) => {
  const router = routerOf(randomExchange, binding('a'), binding('b'), binding('b', 'again'));
  let count = 0;
  for (let i = 0; i < 3000; i++) if (routed(router, 'k')[0] === 'b') count++;
  // Eight standard deviations: once in a million billion runs it is not.
  t.ok(Math.abs(count - 2000) < 207, `${count}`);
});

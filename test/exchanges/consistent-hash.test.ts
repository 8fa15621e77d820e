import fc from 'fast-check';
import t from 'tap';
import { consistentHashExchange } from '../../exchanges/consistent-hash.ts';
import type { Arguments, Binding, Routable, Router, TypedValue } from '../../exchanges/exchange-type.ts';
import { binding, field, message, routed, routerOf, table } from './helper.ts';

const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);

function placesOf(router: Router<string>, of: readonly string[] = keys): string[] {
  return of.map((key) => routed(router, key)[0] ?? '-');
}

t.test('a key goes to one destination: the one that RabbitMQ chooses', async (t) => {
  const router = routerOf(consistentHashExchange, binding('a', '1'), binding('b', '3'), binding('c', '2'));
  // Asked of RabbitMQ 3.10.8; test/interop asks about many more.
  t.equal(placesOf(router, keys.slice(0, 60)).join(''), 'bbcbcbbcbaacabbbcaccbcbcaccccbbcabbcbbacbbacbbcbbccbbbbbbabb');
  t.equal(router.routesByKeyOnly, true);
});

t.test('without a binding there is no destination', async (t) => {
  const only = binding('a', '1');
  const router = routerOf(consistentHashExchange, only);
  t.same(routed(router, 'k'), ['a']);
  router.unbind(only);
  t.same(routed(router, 'k'), []);
  router.unbind(only);
  t.same(routed(router, 'k'), []);
});

t.test('further keys count for nothing', async (t) => {
  const router = routerOf(consistentHashExchange, ...['a', 'b', 'c'].map((name) => binding(name, '5')));
  for (const key of keys) {
    const into: string[] = [];
    router.routeTogether?.(message(key), [message('other'), message('third')], into);
    t.same(into, routed(router, key));
  }
});

t.test('a header or a property is hashed when the declaration says so, and nothing else is asked for', async (t) => {
  const destinations = Array.from({ length: 20 }, (_, i) => binding(`d${i}`, '5'));
  const routerWith = (args: Arguments): Router<string> => {
    const router = consistentHashExchange.createRouter<string>(args);
    for (const each of destinations) router.bind(each);
    return router;
  };
  const decoded = (): never => {
    throw new Error('decoded');
  };
  const byHeader = routerWith(table({ 'hash-header': 'h' }));
  t.equal(byHeader.routesByKeyOnly, false);
  const withHeader = (value: TypedValue | string) => ({ ...message('k', table({ h: value })), property: decoded });
  const found = new Set(keys.map((key) => routed(byHeader, withHeader(key))[0]));
  t.equal(found.size, 20);
  t.same(routed(byHeader, withHeader('1')), routed(byHeader, { ...withHeader('1'), routingKey: 'other' }));
  t.not(routed(byHeader, withHeader('1'))[0], routed(byHeader, withHeader(field('I', 1)))[0], 'the type counts');
  t.same(routed(byHeader, message('k')), routed(byHeader, message('k2', table())), 'all that have none go to one');

  const byProperty = routerWith(table({ 'hash-property': 'message_id' }));
  t.equal(byProperty.routesByKeyOnly, false);
  const withId = (id: string): Routable =>
    Object.defineProperty(message('k', null, { message_id: id }), 'headers', { get: decoded });
  t.equal(new Set(keys.map((key) => routed(byProperty, withId(key))[0])).size, 20);
  t.same(routed(byProperty, message('k')), routed(byHeader, message('k')), 'what is missing hashes the same');
  t.not(routed(byProperty, withId(''))[0], routed(byProperty, message('k'))[0], 'an empty one is there');

  const byKey = routerWith(table());
  const keyOnly: Routable = Object.defineProperty({ ...message('k'), property: decoded }, 'headers', { get: decoded });
  t.same(routed(byKey, keyOnly), routed(byKey, 'k'));
});

t.test('a declaration hashes one thing', async (t) => {
  const refused = (args: Arguments, text: string) =>
    t.throws(() => consistentHashExchange.validateExchange?.(args), { name: 'ArgumentError', message: text });
  refused(table({ 'hash-header': 'h', 'hash-property': 'x' }), 'hash-header and hash-property are mutually exclusive');
  refused(table({ 'hash-property': 'x' }), 'Unsupported property: x');
  refused(table({ 'hash-header': field('x', Buffer.from('h')) }), "invalid type 'binary' for arg 'hash-header'");
  for (const property of ['message_id', 'correlation_id', 'timestamp']) {
    consistentHashExchange.validateExchange?.(table({ 'hash-property': property }));
  }
  consistentHashExchange.validateExchange?.(table({ 'hash-header': '', more: '1' }));
});

t.test('a weight is a positive integer', async (t) => {
  const refused = (key: string, text: string) =>
    t.throws(() => consistentHashExchange.validateBinding?.(key, table()), { name: 'ArgumentError', message: text });
  for (const key of ['a', '1.0', ' 1', '1\n', '+', '1e3', '0x1']) refused(key, notInteger(key));
  refused('', 'The binding key must be an integer: <<>>');
  for (const key of ['0', '-0', '-7']) refused(key, 'The binding key must be greater than 0');
  for (const key of ['2147483648', '9'.repeat(200)]) refused(key, 'The binding key must be at most 2147483647');
  for (const key of ['1', '+1', '007', '2147483647']) consistentHashExchange.validateBinding?.(key, table());
});

function notInteger(key: string): string {
  return `The binding key must be an integer: <<${JSON.stringify(key)}>>`;
}

t.test('large weights cost nothing', async (t) => {
  const router = routerOf(consistentHashExchange, ...['a', 'b', 'c', 'd'].map((name) => binding(name, '2147483647')));
  t.equal(new Set(placesOf(router)).size, 4);
});

/** Weights of d0, d1 and so on. */
const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 });

function bindingsOf(list: readonly number[]): Binding<string>[] {
  return list.map((weight, i) => binding(`d${i}`, `${weight}`));
}

t.test('a destination gets as many keys as its weight says', async () => {
  const many = Array.from({ length: 2000 }, (_, i) => `order.${i}`);
  fc.assert(
    fc.property(weights, (list) => {
      const router = routerOf(consistentHashExchange, ...bindingsOf(list));
      const counts = new Map<string, number>();
      for (const place of placesOf(router, many)) counts.set(place, (counts.get(place) ?? 0) + 1);
      const total = list.reduce((sum, weight) => sum + weight, 0);
      return list.every((weight, i) => {
        const share = weight / total;
        // Six standard deviations of a fair draw.
        const tolerance = 6 * Math.sqrt((share * (1 - share)) / many.length);
        return Math.abs((counts.get(`d${i}`) ?? 0) / many.length - share) <= tolerance;
      });
    }),
    { numRuns: 50 },
  );
});

t.test('a new destination takes keys, and no other gets any', async () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 20 }), (list, weight) => {
      const router = routerOf(consistentHashExchange, ...bindingsOf(list));
      const before = placesOf(router);
      router.bind(binding('new', `${weight}`));
      return placesOf(router).every((place, i) => place === before[i] || place === 'new');
    }),
    { numRuns: 50 },
  );
});

t.test('without the last destination only its keys move', async () => {
  fc.assert(
    fc.property(weights, (list) => {
      const bindings = bindingsOf(list);
      const router = routerOf(consistentHashExchange, ...bindings);
      const before = placesOf(router);
      router.unbind(bindings[bindings.length - 1]);
      const last = `d${list.length - 1}`;
      return placesOf(router).every((place, i) => place === before[i] || before[i] === last);
    }),
    { numRuns: 50 },
  );
});

/** The buckets as RabbitMQ keeps them: a list of destinations, one for each bucket. */
function naiveBuckets(bindings: readonly Binding<string>[], removed: readonly Binding<string>[]): string[] {
  let buckets: string[] = [];
  for (const { destination, bindingKey } of bindings) {
    if (!buckets.includes(destination)) buckets.push(...new Array<string>(Number(bindingKey)).fill(destination));
  }
  for (const { destination } of removed) buckets = buckets.filter((each) => each !== destination);
  return buckets;
}

t.test('after any binds and unbinds the buckets are those of RabbitMQ', async () => {
  const step = fc.record({ destination: fc.nat(5), weight: fc.integer({ min: 1, max: 5 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.nat(12), (steps, kept) => {
      const bindings = steps.map(({ destination, weight }) => binding(`d${destination}`, `${weight}`));
      const removed = bindings.slice(kept);
      const router = routerOf(consistentHashExchange, ...bindings);
      for (const each of removed) router.unbind(each);
      // One destination for each bucket, in order, is the same ring.
      const buckets = naiveBuckets(bindings, removed);
      const flat = routerOf(consistentHashExchange, ...buckets.map((_, i) => binding(`${i}`, '1')));
      return keys
        .slice(0, 50)
        .every((key) => (routed(router, key)[0] ?? '-') === (buckets[Number(routed(flat, key)[0])] ?? '-'));
    }),
    { numRuns: 200 },
  );
});

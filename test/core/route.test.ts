// Routes by their bytes, and the bounded cache of them.
import fc from 'fast-check';
import t from 'tap';
import { encodeShortString, shortStringSize } from '../../codec/strings.ts';
import { type Route, RouteCache } from '../../lib/core/route.ts';
import { anyString } from '../codec/arbitraries.ts';

const MOST_ROUTES = 16_384;

/** Two short strings, with bytes before and behind that are none of theirs. */
function encoded(exchange: string, routingKey: string): { buffer: Buffer; start: number; end: number } {
  const start = 3;
  const middle = start + shortStringSize(exchange);
  const end = middle + shortStringSize(routingKey);
  const buffer = Buffer.alloc(end + 3, 0x7e);
  encodeShortString(exchange, buffer, start);
  encodeShortString(routingKey, buffer, middle);
  return { buffer, start, end };
}

function find(cache: RouteCache, exchange: string, routingKey: string, version = 1): Route {
  const { buffer, start, end } = encoded(exchange, routingKey);
  return cache.find(buffer, start, end, version);
}

t.test('a route keeps both names without loss, whatever their bytes', async () => {
  fc.assert(
    fc.property(anyString, anyString, (exchange, routingKey) => {
      const cache = new RouteCache();
      const route = find(cache, exchange, routingKey);
      const { buffer, start, end } = encoded(exchange, routingKey);
      return (
        route.exchange === exchange &&
        route.routingKey === routingKey &&
        route.bytes.equals(buffer.subarray(start, end)) &&
        route.matches(buffer, start, end)
      );
    }),
  );
});

t.test('a route does not hold on to the chunk that its names came in', async (t) => {
  const { buffer, start, end } = encoded('exchange', 'key');
  const route = new RouteCache().find(buffer, start, end, 1);
  buffer.fill(0);
  t.equal(route.exchange, 'exchange');
  t.same(route.bytes, Buffer.from('\x08exchange\x03key'));
  t.not(route.bytes.buffer, buffer.buffer);
});

t.test('names that only differ in where the first ends are different routes', async (t) => {
  const cache = new RouteCache();
  const routes = [find(cache, 'ab', 'c'), find(cache, 'a', 'bc'), find(cache, '', 'abc'), find(cache, 'abc', '')];
  t.equal(new Set(routes).size, 4);
  const { buffer, start, end } = encoded('ab', 'c');
  t.ok(routes[0].matches(buffer, start, end));
  for (const route of routes.slice(1)) t.notOk(route.matches(buffer, start, end));
});

t.test('the cache gives the same route again, for any number of names that it has room for', async (t) => {
  const cache = new RouteCache();
  const routes = Array.from({ length: 20 }, (_, i) => find(cache, 'x', `key ${i}`));
  const again = Array.from({ length: 20 }, (_, i) => find(cache, 'x', `key ${i}`));
  t.ok(routes.filter((route, i) => route === again[i]).length >= 15, 'but for a few that met in a pair of slots');
});

t.test('another version of the topology drops all routes', async (t) => {
  const cache = new RouteCache();
  const before = find(cache, 'x', 'key', 1);
  t.equal(find(cache, 'x', 'key', 1), before);
  const after = find(cache, 'x', 'key', 2);
  t.not(after, before);
  t.equal(find(cache, 'x', 'key', 2), after);
});

t.test('a route that met others in its slots is right all the same', async () => {
  // 64 slots at first: with so many keys every pair of slots has had more than two routes.
  const keys = fc.array(fc.nat({ max: 500 }), { minLength: 200, maxLength: 600 });
  fc.assert(
    fc.property(keys, (numbers) => {
      const cache = new RouteCache();
      return numbers.every((number) => {
        const route = find(cache, 'x', `${number}`);
        return route.routingKey === `${number}` && find(cache, 'x', `${number}`) === route;
      });
    }),
    { numRuns: 50 },
  );
});

t.test('the two used last of a pair of slots stay', async (t) => {
  const cache = new RouteCache();
  const first = find(cache, 'x', '0');
  // The cache starts with 64 slots and looks at the low bits of the hash: these all belong into the pair of the first.
  const others: Route[] = [];
  for (let i = 1; others.length < 2; i++) {
    const route = find(new RouteCache(), 'x', `${i}`);
    if ((route.hash & 63) >> 1 === (first.hash & 63) >> 1 && (route.hash & 1) === (first.hash & 1)) others.push(route);
  }
  const [second, third] = others.map(({ routingKey }) => find(cache, 'x', routingKey));
  t.equal(find(cache, 'x', second.routingKey), second);
  t.equal(find(cache, 'x', third.routingKey), third);
  t.not(find(cache, 'x', '0'), first, 'the oldest made room');
});

t.test('the cache is bounded', async (t) => {
  const cache = new RouteCache();
  const total = 4 * MOST_ROUTES;
  const routes = Array.from({ length: total }, (_, i) => find(cache, 'x', `${i}`));
  const kept = routes.filter((route, i) => find(cache, 'x', `${i}`) === route);
  t.ok(kept.length <= MOST_ROUTES, `${kept.length} of ${total} stayed`);
  t.equal(find(cache, 'x', `${total - 1}`).routingKey, `${total - 1}`);
});

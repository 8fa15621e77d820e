// Routes by their bytes, and the bounded cache of them.
import fc from 'fast-check';
import t from 'tap';
import { encodeShortString, shortStringSize } from '../../codec/strings.ts';
import type { Exchange } from '../../lib/core/exchange.ts';
import type { MessageTarget } from '../../lib/core/queue.ts';
import { type Route, RouteCache } from '../../lib/core/route.ts';
import type { VirtualHost } from '../../lib/core/virtual-host.ts';
import { anyString } from '../codec/arbitraries.ts';
import { ownerOf, queueSettings } from './helper.ts';
import { bindingTo, createVirtualHost, exchangeSettings } from './virtual-host-helper.ts';

const MOST_ROUTES = 16_384;
const OWNER = ownerOf();
const NO_CONDITIONS = { ifUnused: false, ifEmpty: false };

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

function find(cache: RouteCache, exchange: string, routingKey: string): Route {
  const { buffer, start, end } = encoded(exchange, routingKey);
  return cache.find(buffer, start, end);
}

/** How many of so many keys have the same route when it is asked for again. */
function countKept(total: number, ask: (key: string) => Route): number {
  const routes = Array.from({ length: total }, (_, key) => ask(`${key}`));
  return routes.filter((route, key) => ask(`${key}`) === route).length;
}

const NOBODY: readonly MessageTarget[] = [];

/** A cache, and exchanges of the names that are wanted. */
function setUp(...names: string[]): { cache: RouteCache; exchanges: Exchange[] } {
  const host = createVirtualHost();
  return { cache: new RouteCache(), exchanges: names.map((name) => host.getExchange(name)) };
}

/** Finds a route, and tells that it leads to nobody. */
function remember(cache: RouteCache, target: Exchange, routingKey: string): Route {
  const route = find(cache, target.name, routingKey);
  cache.remember(route, target, NOBODY);
  return route;
}

function isKnown(route: Route): boolean {
  return route.target !== undefined && route.queues !== null;
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
  const route = new RouteCache().find(buffer, start, end);
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
  t.ok(routes.filter((route, i) => route === again[i]).length >= 15, 'but for a few that met in a set of slots');
});

t.test('a queue that comes or goes concerns the one route of the default exchange that names it', async (t) => {
  const { cache, exchanges } = setUp('', 'amq.direct');
  const [byDefault, direct] = exchanges;
  const others = [remember(cache, byDefault, 'other'), remember(cache, direct, 'q')];
  const route = remember(cache, byDefault, 'q');
  cache.queueChanged('q');
  t.notOk(isKnown(route));
  t.notOk(route.isCached);
  t.not(find(cache, '', 'q'), route);
  cache.queueChanged('nobody asked for it');
  t.ok(others.every(isKnown));
  t.ok(others.every((each) => find(cache, each.exchange, each.routingKey) === each));
});

t.test('a change of an exchange concerns the routes that begin at it', async (t) => {
  const { cache, exchanges } = setUp('', 'amq.direct', 'amq.topic');
  const [byDefault, direct, topic] = exchanges;
  const concerned = [remember(cache, direct, 'a'), remember(cache, direct, 'b')];
  const others = [remember(cache, topic, 'a'), remember(cache, byDefault, 'a')];
  cache.exchangeChanged(direct);
  t.notOk(concerned.some(isKnown));
  t.ok(others.every(isKnown));
  const again = remember(cache, direct, 'a');
  t.not(again, concerned[0]);
  t.ok(isKnown(again));
  cache.exchangesChanged();
  t.notOk([again, others[0]].some(isKnown));
  t.ok(isKnown(others[1]), 'nothing leads to or from the default exchange');
});

t.test('nothing is known of a route that made room, since no change would reach it', async (t) => {
  for (const name of ['', 'amq.direct']) {
    const { cache, exchanges } = setUp(name);
    const [exchange] = exchanges;
    const routes = Array.from({ length: 4 * MOST_ROUTES }, (_, i) => remember(cache, exchange, `${i}`));
    const gone = routes.filter((route) => !route.isCached);
    t.ok(gone.length >= 3 * MOST_ROUTES);
    t.notOk(gone.some(isKnown));
    cache.remember(gone[0], exchange, NOBODY);
    t.notOk(isKnown(gone[0]));
    const kept = routes.filter(({ isCached }) => isCached);
    t.ok(kept.every(isKnown));
    t.ok(kept.every((route) => find(cache, name, route.routingKey) === route));
    for (const { routingKey } of routes) cache.queueChanged(routingKey);
    cache.exchangesChanged();
    t.notOk(routes.some(isKnown));
  }
});

t.test('a route that met others in its slots is right all the same', async () => {
  // 64 slots at first: with so many keys every set of slots has had more than eight routes.
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

t.test('the eight made last of a set of slots stay', async (t) => {
  const cache = new RouteCache();
  const first = find(cache, 'x', '0');
  // The cache starts with 64 slots and looks at the low bits of the hash: these all belong into the set of the first.
  const others: string[] = [];
  for (let i = 1; others.length < 8; i++) {
    const { hash, routingKey } = find(new RouteCache(), 'x', `${i}`);
    if ((hash & 63) >> 3 === (first.hash & 63) >> 3) others.push(routingKey);
  }
  const [second, ...rest] = others.slice(0, 7).map((key) => find(cache, 'x', key));
  t.equal(find(cache, 'x', '0'), first);
  const last = find(cache, 'x', others[7]);
  for (const route of [second, ...rest, last]) t.equal(find(cache, 'x', route.routingKey), route);
  t.not(find(cache, 'x', '0'), first, 'the oldest made room');
  t.notOk(first.isCached);
});

t.test('the cache is bounded', async (t) => {
  const cache = new RouteCache();
  const total = 4 * MOST_ROUTES;
  const kept = countKept(total, (key) => find(cache, 'x', key));
  t.ok(kept <= MOST_ROUTES, `${kept} of ${total} stayed`);
  t.equal(find(cache, 'x', `${total - 1}`).routingKey, `${total - 1}`);
});

t.test('with as many queues and bindings there is room for the routes of all', async (t) => {
  const cache = new RouteCache();
  cache.ends = 2 * MOST_ROUTES;
  const total = cache.ends;
  const kept = countKept(total, (key) => find(cache, 'x', key));
  t.ok(kept > 0.9 * total, `${kept} of ${total} stayed`);
});

t.test('queues and bindings make room for routes while they are there', async (t) => {
  const TOTAL = 1.5 * MOST_ROUTES;
  const numbers = Array.from({ length: TOTAL }, (_, i) => `${i}`);
  const keptBy = (host: VirtualHost): number =>
    countKept(TOTAL, (key) => {
      const { buffer, start, end } = encoded('x', key);
      return host.findRoute(buffer, start, end);
    });
  const bindAll = (host: VirtualHost): void => {
    host.declareExchange(exchangeSettings());
    host.declareQueue(queueSettings({ name: 'q' }));
    for (const key of numbers) host.bind(bindingTo('x', 'queue', 'q', key), OWNER);
  };
  const withQueues = createVirtualHost();
  for (const name of numbers) withQueues.declareQueue(queueSettings({ name }));
  t.ok(keptBy(withQueues) > 0.9 * TOTAL);
  const withBindings = createVirtualHost();
  bindAll(withBindings);
  t.ok(keptBy(withBindings) > 0.9 * TOTAL);

  const withoutQueues = createVirtualHost();
  for (const name of numbers) withoutQueues.declareQueue(queueSettings({ name }));
  for (const name of numbers) withoutQueues.deleteQueue(name, NO_CONDITIONS, OWNER);
  const withoutBindings = createVirtualHost();
  bindAll(withoutBindings);
  for (const key of numbers) withoutBindings.unbind(bindingTo('x', 'queue', 'q', key), OWNER);
  const withoutExchange = createVirtualHost();
  bindAll(withoutExchange);
  withoutExchange.deleteExchange('x', false);
  const withoutQueue = createVirtualHost();
  bindAll(withoutQueue);
  withoutQueue.deleteQueue('q', NO_CONDITIONS, OWNER);
  for (const host of [withoutQueues, withoutBindings, withoutExchange, withoutQueue]) {
    t.ok(keptBy(host) <= MOST_ROUTES);
  }
});

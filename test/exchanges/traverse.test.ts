import fc from 'fast-check';
import t from 'tap';
import { directExchange } from '../../exchanges/direct.ts';
import type { Binding, ExchangeType, Routable, Router } from '../../exchanges/exchange-type.ts';
import { fanoutExchange } from '../../exchanges/fanout.ts';
import { headersExchange } from '../../exchanges/headers.ts';
import { type ExchangeNode, route } from '../../exchanges/traverse.ts';
import { message, table } from './helper.ts';

interface TestQueue {
  readonly isExchange: false;
  readonly name: string;
}

type Destination = TestQueue | TestExchange;

class TestExchange implements ExchangeNode<TestQueue> {
  readonly isExchange = true;
  readonly router: Router<Destination>;
  readonly bindings: Binding<Destination>[] = [];
  readonly asked: string[] = [];
  alternateExchange: TestExchange | undefined;

  constructor(type: ExchangeType = directExchange) {
    const router = type.createRouter<Destination>(table());
    const { asked } = this;
    this.router = {
      routesByKeyOnly: router.routesByKeyOnly,
      bind: (binding) => router.bind(binding),
      unbind: (binding) => router.unbind(binding),
      route(routable, into) {
        asked.push(routable.routingKey);
        router.route(routable, into);
      },
    };
  }

  alternate(): TestExchange | undefined {
    return this.alternateExchange;
  }

  bind(destination: Destination, bindingKey = 'k', copy = ''): this {
    const binding = { destination, bindingKey, arguments: table({ copy }) };
    this.bindings.push(binding);
    this.router.bind(binding);
    return this;
  }
}

function queue(name: string): TestQueue {
  return { isExchange: false, name };
}

function reached(start: TestExchange, routable: Routable = message('k'), copies?: Routable[]): string[] {
  const into: TestQueue[] = [];
  route(start, routable, into, copies);
  return into.map((each) => each.name).sort();
}

function holdsForKey(start: TestExchange, key: string): boolean {
  const into: TestQueue[] = [];
  return route(start, message(key), into);
}

t.test('a message reaches the queues of its exchange, each once', async (t) => {
  const [a, b] = [queue('a'), queue('b')];
  const few = new TestExchange().bind(a).bind(b).bind(a, 'k', 'again').bind(b, 'k', 'again');
  t.same(reached(few), ['a', 'b']);
  const many = new TestExchange();
  for (let copy = 0; copy < 10; copy++) many.bind(a, 'k', `${copy}`).bind(b, 'k', `${copy}`);
  t.same(reached(many), ['a', 'b']);
  t.same(reached(many, message('other')), []);
});

t.test('a message goes through bindings between exchanges', async (t) => {
  const [a, b, c] = [queue('a'), queue('b'), queue('c')];
  const last = new TestExchange(fanoutExchange).bind(c).bind(a);
  const middle = new TestExchange().bind(b).bind(last).bind(a, 'other');
  const start = new TestExchange().bind(a).bind(middle).bind(last);
  t.same(reached(start), ['a', 'b', 'c']);
  t.same(last.asked, ['k'], 'an exchange reached twice is asked once');
});

t.test('cycles end', async (t) => {
  const [a, b] = [queue('a'), queue('b')];
  const first = new TestExchange().bind(a);
  const second = new TestExchange().bind(b).bind(first);
  first.bind(second).bind(first);
  t.same(reached(first), ['a', 'b']);
  t.same([first.asked, second.asked], [['k'], ['k']]);
  const own = new TestExchange();
  own.alternateExchange = own;
  t.same(reached(own), []);
});

t.test('the alternate exchange takes what its exchange finds no destination for', async (t) => {
  const alternate = new TestExchange(fanoutExchange).bind(queue('alternate'));
  const between = new TestExchange();
  between.alternateExchange = alternate;
  const start = new TestExchange().bind(queue('a'));
  start.alternateExchange = between;
  t.same(reached(start), ['a']);
  t.same(reached(start, message('other')), ['alternate'], 'also through two of them');
});

t.test('the alternate exchange takes what reached its exchange by a binding', async (t) => {
  const inner = new TestExchange();
  inner.alternateExchange = new TestExchange(fanoutExchange).bind(queue('alternate'));
  t.same(reached(new TestExchange(fanoutExchange).bind(inner).bind(queue('a'))), ['a', 'alternate']);
});

t.test('an exchange that leads nowhere is a destination all the same: no alternate exchange', async (t) => {
  const start = new TestExchange().bind(new TestExchange());
  start.alternateExchange = new TestExchange(fanoutExchange).bind(queue('alternate'));
  t.same(reached(start), []);
});

t.test('further routing keys count at every exchange', async (t) => {
  const inner = new TestExchange().bind(queue('inner'), 'k');
  const a = queue('a');
  const start = new TestExchange().bind(inner, 'cc').bind(a, 'cc').bind(a, 'bcc');
  start.alternateExchange = new TestExchange(fanoutExchange).bind(queue('alternate'));
  t.same(reached(start, message('k'), [message('cc'), message('bcc')]), ['a', 'inner']);
  t.same(reached(start, message('k'), [message('none')]), ['alternate']);
});

t.test('route tells whether the result holds for every message of the key', async (t) => {
  const headers = new TestExchange(headersExchange).bind(queue('h'));
  const start = new TestExchange().bind(headers, 'deep').bind(queue('a'), 'flat');
  const fallback = new TestExchange();
  fallback.alternateExchange = headers;
  t.equal(holdsForKey(headers, 'k'), false);
  t.equal(holdsForKey(start, 'flat'), true);
  t.equal(holdsForKey(start, 'deep'), false);
  t.equal(holdsForKey(start, 'none'), true);
  t.equal(holdsForKey(new TestExchange().bind(start), 'k'), true);
  t.equal(holdsForKey(fallback, 'k'), false);
});

t.test('a message reaches what the bindings of any graph of exchanges reach', async () => {
  const size = 5;
  const index = fc.nat(size - 1);
  const edge = fc.record({ from: index, to: index, key: fc.constantFrom('k', 'other'), toQueue: fc.boolean() });
  const graph = fc.record({
    edges: fc.array(edge, { maxLength: 12 }),
    alternates: fc.array(fc.option(index), { minLength: size, maxLength: size }),
  });
  fc.assert(
    fc.property(graph, ({ edges, alternates }) => {
      const exchanges = Array.from({ length: size }, () => new TestExchange());
      const queues = Array.from({ length: size }, (_, i) => queue(`q${i}`));
      edges.forEach(({ from, to, key, toQueue }, i) => {
        exchanges[from].bind(toQueue ? queues[to] : exchanges[to], key, `${i}`);
      });
      alternates.forEach((to, from) => {
        if (to !== null) exchanges[from].alternateExchange = exchanges[to];
      });
      // Naive reachability: add what any exchange reached so far leads to until nothing is new.
      const seen = new Set<Destination>([exchanges[0]]);
      for (let before = 0; before !== seen.size; ) {
        before = seen.size;
        for (const each of exchanges.filter((exchange) => seen.has(exchange))) {
          const bound = each.bindings.filter((binding) => binding.bindingKey === 'k');
          for (const binding of bound) seen.add(binding.destination);
          if (bound.length === 0 && each.alternateExchange !== undefined) seen.add(each.alternateExchange);
        }
      }
      const expected = queues.filter((each) => seen.has(each)).map((each) => each.name);
      return JSON.stringify(reached(exchanges[0])) === JSON.stringify(expected);
    }),
    { numRuns: 1000 },
  );
});

t.test('a router that makes one choice for all routing keys is asked once', async (t) => {
  const [a, b] = [queue('a'), queue('b')];
  const last = new TestExchange(fanoutExchange).bind(b);
  const start = new TestExchange().bind(a).bind(last, 'l');
  const together: string[] = [];
  last.router.routeTogether = (routable, copies, into) => {
    together.push(routable.routingKey, ...copies.map((copy) => copy.routingKey));
    into.push(a);
  };
  t.same(reached(start, message('x'), [message('l'), message('m')]), ['a']);
  t.same(together, ['x', 'l', 'm']);
  t.same(last.asked, []);
  t.same(start.asked, ['x', 'l', 'm'], 'any other is asked for each key');
  t.same(reached(start, message('l')), ['b'], 'as it is when there is one key');
});

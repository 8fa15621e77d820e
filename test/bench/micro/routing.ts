// Routing: exchange types with few and many bindings, and the cache before them.
import type { FieldTable, FieldValue } from '../../../codec/field-table.ts';
import { encodeShortString, shortStringSize } from '../../../codec/strings.ts';
import { directExchange } from '../../../exchanges/direct.ts';
import type { Binding, ExchangeType, Routable, Router } from '../../../exchanges/exchange-type.ts';
import { fanoutExchange } from '../../../exchanges/fanout.ts';
import { headersExchange } from '../../../exchanges/headers.ts';
import { topicExchange } from '../../../exchanges/topic.ts';
import { RouteCache } from '../../../lib/core/route.ts';
import type { Benchmark } from './suite.ts';

const SIZES = [10, 1000, 100_000];
/** Messages that are routed in turn. */
const MESSAGES = 1000;
const NO_ARGUMENTS: FieldTable = new Map();

/** How the bindings of an exchange look, and a message that the binding alone matches; the number of a binding is its destination. */
interface Shape {
  readonly name: string;
  readonly type: ExchangeType;
  bindingKey(i: number): string;
  arguments?(i: number): FieldTable;
  routingKey(i: number): string;
  headers?(i: number): FieldTable;
}

function text(value: string): FieldValue {
  return { type: 'S', value };
}

/** Headers of a message that one binding alone wants. */
function headersFor(i: number): FieldTable {
  return new Map([
    ['format', text('pdf')],
    ['customer', text(`c${i}`)],
    ['trace', text('t')],
  ]);
}

const SHAPES: readonly Shape[] = [
  { name: 'direct', type: directExchange, bindingKey: (i) => `orders.${i}`, routingKey: (i) => `orders.${i}` },
  {
    name: 'topic without wildcards',
    type: topicExchange,
    bindingKey: (i) => `orders.${i}.paid`,
    routingKey: (i) => `orders.${i}.paid`,
  },
  {
    name: 'topic with *',
    type: topicExchange,
    bindingKey: (i) => `orders.${i}.*`,
    routingKey: (i) => `orders.${i}.paid`,
  },
  {
    name: 'topic with * first',
    type: topicExchange,
    bindingKey: (i) => `*.${i}.paid`,
    routingKey: (i) => `orders.${i}.paid`,
  },
  {
    name: 'topic with # last',
    type: topicExchange,
    bindingKey: (i) => `orders.${i}.#`,
    routingKey: (i) => `orders.${i}.paid.late`,
  },
  {
    name: 'topic with # first',
    type: topicExchange,
    bindingKey: (i) => `#.${i}`,
    routingKey: (i) => `orders.paid.late.${i}`,
  },
  {
    name: 'headers, all',
    type: headersExchange,
    bindingKey: () => '',
    arguments: (i) =>
      new Map([
        ['x-match', text('all')],
        ['format', text('pdf')],
        ['customer', text(`c${i}`)],
      ]),
    routingKey: () => '',
    headers: headersFor,
  },
  {
    name: 'headers, any',
    type: headersExchange,
    bindingKey: () => '',
    arguments: (i) =>
      new Map([
        ['x-match', text('any')],
        ['type', text(`t${i}`)],
        ['customer', text(`c${i}`)],
      ]),
    routingKey: () => '',
    headers: headersFor,
  },
];

function bindingOf(shape: Shape, i: number): Binding<number> {
  return { destination: i, bindingKey: shape.bindingKey(i), arguments: shape.arguments?.(i) ?? NO_ARGUMENTS };
}

function routerOf(shape: Shape, count: number): Router<number> {
  const router = shape.type.createRouter<number>(NO_ARGUMENTS);
  for (let i = 0; i < count; i++) router.bind(bindingOf(shape, i));
  return router;
}

function routing(shape: Shape, bindings: number): Benchmark {
  return {
    name: `${shape.name}, ${bindings.toLocaleString('en')} bindings: route`,
    operations: MESSAGES,
    prepare: () => {
      const router = routerOf(shape, bindings);
      const messages = Array.from({ length: MESSAGES }, (_, n): Routable => {
        // All over the bindings, in no order.
        const i = (n * 7919) % bindings;
        return { routingKey: shape.routingKey(i), headers: shape.headers?.(i) ?? null, property: () => null };
      });
      return () => {
        let found = 0;
        for (const message of messages) {
          const into: number[] = [];
          router.route(message, into);
          found += into.length;
        }
        if (found !== MESSAGES) throw new Error(`${found} destinations`);
        return found;
      };
    },
  };
}

function rebinding(shape: Shape, bindings: number): Benchmark {
  return {
    name: `${shape.name}, ${bindings.toLocaleString('en')} bindings: bind and unbind one`,
    operations: 100,
    prepare: () => {
      const router = routerOf(shape, bindings);
      let next = bindings;
      return () => {
        for (let i = 0; i < 100; i++) {
          const binding = bindingOf(shape, next++);
          router.bind(binding);
          router.unbind(binding);
        }
        return next;
      };
    },
  };
}

/** Every binding matches: the work grows with what is delivered. */
function fanout(bindings: number): Benchmark {
  return {
    name: `fanout, ${bindings.toLocaleString('en')} bindings: route, for each destination`,
    operations: bindings * 10,
    prepare: () => {
      const shape = { name: 'fanout', type: fanoutExchange, bindingKey: () => '', routingKey: () => '' };
      const router = routerOf(shape, bindings);
      const message: Routable = { routingKey: '', headers: null, property: () => null };
      return () => {
        let found = 0;
        for (let i = 0; i < 10; i++) {
          const into: number[] = [];
          router.route(message, into);
          found += into.length;
        }
        return found;
      };
    },
  };
}

/** Exchange and routing key as two short strings. */
function pair(exchange: string, routingKey: string): Buffer {
  const size = shortStringSize(exchange);
  const buffer = Buffer.alloc(size + shortStringSize(routingKey));
  encodeShortString(exchange, buffer, 0);
  encodeShortString(routingKey, buffer, size);
  return buffer;
}

/** Looks up so many pairs in turn, again and again when they are few. */
function lookup(name: string, pairs: number): Benchmark {
  const rounds = Math.ceil(1000 / pairs);
  return {
    name: `RouteCache, ${name}`,
    operations: pairs * rounds,
    prepare: () => {
      const cache = new RouteCache();
      const buffers = Array.from({ length: pairs }, (_, i) => pair('exchange', `orders.${i}.paid`));
      return () => {
        let sum = 0;
        for (let round = 0; round < rounds; round++) {
          for (const buffer of buffers) sum += cache.find(buffer, 0, buffer.length).bytes.length;
        }
        return sum;
      };
    },
  };
}

export function routingBenchmarks(): Benchmark[] {
  return [
    ...SHAPES.flatMap((shape) => SIZES.map((size) => routing(shape, size))),
    ...SHAPES.flatMap((shape) => [10, 100_000].map((size) => rebinding(shape, size))),
    ...SIZES.map(fanout),
    lookup('10 pairs in turn: hit', 10),
    // More pairs share a slot the more there are, and the cache is bounded.
    lookup('1,000 pairs in turn: mostly hit', 1000),
    lookup('10,000 pairs in turn: some miss', 10_000),
    lookup('100,000 pairs in turn: miss', 100_000),
  ];
}

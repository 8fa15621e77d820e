import fc from 'fast-check';
import t from 'tap';
import { topicExchange } from '../../exchanges/topic.ts';
import { splitWords, TopicTrie } from '../../exchanges/topic-trie.ts';
import { binding, message, routed, routerOf } from './helper.ts';

/** The definition, word by word. RabbitMQ 3.10 agreed with it on 47 x 46 patterns and keys of this kind. */
function matches(pattern: readonly string[], words: readonly string[]): boolean {
  const [head, ...tail] = pattern;
  if (head === undefined) return words.length === 0;
  if (head === '#') return matches(tail, words) || (words.length > 0 && matches(pattern, words.slice(1)));
  return words.length > 0 && (head === '*' || head === words[0]) && matches(tail, words.slice(1));
}

const patternKey = fc
  .array(fc.constantFrom('', 'a', 'b', '*', '#', '#', 'a#'), { maxLength: 5 })
  .map((words) => words.join('.'));
const routingKey = fc
  .array(fc.constantFrom('', 'a', 'b', 'c', '*', '#', 'a#'), { maxLength: 6 })
  .map((words) => words.join('.'));

t.test('a topic exchange routes as the definition says, for any patterns and key', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(patternKey, { maxLength: 12 }), fc.array(routingKey), (patterns, keys) => {
      const router = routerOf(topicExchange, ...patterns.map((pattern) => binding(pattern, pattern)));
      return keys.every((key) => {
        const expected = patterns.filter((pattern) => matches(splitWords(pattern), splitWords(key))).sort();
        return JSON.stringify(routed(router, key)) === JSON.stringify(expected);
      });
    }),
    { numRuns: 500 },
  );
});

t.test('a topic pattern matches words', async (t) => {
  const cases: [pattern: string, matching: string[], other: string[]][] = [
    ['', [''], ['.', 'a']],
    ['#', ['', '.', 'a', 'a.b.c'], []],
    ['*', ['a', '*', '#'], ['', '.', 'a.b']],
    ['#.#', ['', 'a', 'a.b'], []],
    ['#.*', ['a', 'a.b', '.'], ['']],
    ['*.#', ['a', 'a.b', '.'], ['']],
    ['a.*.c', ['a.b.c', 'a..c'], ['a.c', 'a.b.b.c']],
    ['a.#.c', ['a.c', 'a.b.c', 'a.b.b.c'], ['a', 'c', 'a.b']],
    ['#.a.#.a.#', ['a.a', 'b.a.b.a.b'], ['a', 'b.a.b']],
    ['a..b', ['a..b'], ['a.b', 'a...b']],
    ['.', ['.'], ['', 'a', '..']],
    ['.*', ['.', '.a'], ['', 'a']],
    ['a*.b#', ['a*.b#'], ['ab.b', 'a.b']],
  ];
  for (const [pattern, matching, other] of cases) {
    const router = routerOf(topicExchange, binding('q', pattern));
    for (const key of matching) t.same(routed(router, key), ['q'], `'${pattern}' matches '${key}'`);
    for (const key of other) t.same(routed(router, key), [], `'${pattern}' does not match '${key}'`);
  }
});

t.test('a topic exchange appends the destination of a pattern once, however many ways lead to it', async (t) => {
  const router = routerOf(topicExchange, binding('q', '#.a.#.#.a.#'));
  const into: string[] = [];
  router.route(message('a.a.a.a.a.a'), into);
  t.same(into, ['q']);
});

t.test('matching takes a bounded number of steps for any pattern', async (t) => {
  const words = 127;
  const key = Array.from({ length: words }, () => 'a').join('.');
  const depth = 60;
  const patterns = [`${'#.'.repeat(depth)}b`, `${'#.a.'.repeat(depth / 2)}b`, `${'#.*.'.repeat(depth / 2)}b`];
  const router = routerOf(topicExchange, ...patterns.map((pattern) => binding(pattern, pattern)));
  // An exponential search would not end.
  t.same(routed(router, key), []);
  t.same(routed(router, `${key}.b`), patterns.sort());
});

t.test('after some are unbound, the others route as before', async () => {
  const bound = fc.record({ pattern: patternKey, stays: fc.boolean(), again: fc.boolean() });
  fc.assert(
    fc.property(fc.array(bound, { maxLength: 16 }), fc.array(routingKey), (patterns, keys) => {
      const bindings = patterns.map(({ pattern }, index) => binding(`${index}`, pattern));
      const router = routerOf(topicExchange, ...bindings);
      const some = (wanted: (each: (typeof patterns)[number]) => boolean) =>
        bindings.filter((_, i) => wanted(patterns[i]));
      for (const each of some(({ stays }) => !stays)) router.unbind(each);
      for (const each of some(({ stays, again }) => !stays && again)) router.bind(each);
      return keys.every((key) => {
        const expected = some(
          ({ pattern, stays, again }) => (stays || again) && matches(splitWords(pattern), splitWords(key)),
        );
        return (
          JSON.stringify(routed(router, key)) === JSON.stringify(expected.map(({ destination }) => destination).sort())
        );
      });
    }),
    { numRuns: 500 },
  );
});

t.test('unbinding leaves no node behind', async () => {
  fc.assert(
    fc.property(fc.array(patternKey, { maxLength: 20 }), fc.integer(), (patterns, seed) => {
      const trie = new TopicTrie<string>();
      const bindings = patterns.map((pattern, index) => binding(`${index}`, pattern));
      for (const each of bindings) trie.add(each);
      if (trie.isEmpty !== (bindings.length === 0)) return false;
      bindings.sort((a, b) => ((Number(a.destination) * seed) % 7) - ((Number(b.destination) * seed) % 7));
      for (const each of bindings) trie.remove(each);
      return trie.isEmpty;
    }),
  );
});

t.test('unbinding a pattern keeps the patterns that share its words', async (t) => {
  const long = binding('long', 'a.*.c.#');
  const short = binding('short', 'a.*');
  const router = routerOf(topicExchange, long, short);
  router.unbind(long);
  t.same(routed(router, 'a.b'), ['short']);
  t.same(routed(router, 'a.b.c'), []);
  router.unbind(binding('other', 'a.*'));
  router.unbind(binding('other', 'x.*.y'));
  router.unbind(binding('other', 'a.*.*'));
  t.same(routed(router, 'a.b'), ['short']);
});

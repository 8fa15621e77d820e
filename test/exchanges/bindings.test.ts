import fc from 'fast-check';
import t from 'tap';
import { directExchange } from '../../exchanges/direct.ts';
import type { Binding, ExchangeType } from '../../exchanges/exchange-type.ts';
import { fanoutExchange } from '../../exchanges/fanout.ts';
import { headersExchange } from '../../exchanges/headers.ts';
import { topicExchange } from '../../exchanges/topic.ts';
import { binding, message, routed, routerOf, table } from './helper.ts';

// Keys that mean the same to every type but fanout: the key itself, also as a header.
const KEYS = ['', 'a', 'b', 'a.b'];

const models: [ExchangeType, (binding: Binding<string>, key: string) => boolean][] = [
  [directExchange, (each, key) => each.bindingKey === key],
  [topicExchange, (each, key) => each.bindingKey === key],
  [fanoutExchange, () => true],
  [headersExchange, (each, key) => each.bindingKey === key],
];

const bindings = KEYS.flatMap((key) =>
  ['p', 'q', 'r'].flatMap((destination) =>
    ['1', '2'].map((copy) => binding(destination, key, table({ key, 'x-copy': copy }))),
  ),
);

for (const [type, matches] of models) {
  t.test(`any sequence of binds and unbinds leaves a ${type.name} exchange as its bindings say`, async () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...bindings), { maxLength: 60 }), (toggles) => {
        const router = routerOf(type);
        const bound = new Set<Binding<string>>();
        return toggles.every((each) => {
          if (bound.delete(each)) router.unbind(each);
          else {
            bound.add(each);
            router.bind(each);
          }
          return KEYS.every((key) => {
            const expected = [...bound].filter((candidate) => matches(candidate, key));
            const names = [...new Set(expected.map((candidate) => candidate.destination))].sort();
            return JSON.stringify(routed(router, message(key, table({ key })))) === JSON.stringify(names);
          });
        });
      }),
    );
  });
}

// Bindings: which of them are one and the same, and the set of those that end at a destination.
import fc from 'fast-check';
import t from 'tap';
import { FIELD_TABLE_DEPTH_MAX, type FieldTable, type FieldValue } from '../../codec/field-table.ts';
import { fieldTablesEqual } from '../../codec/field-table-equality.ts';
import { fanoutExchange } from '../../exchanges/fanout.ts';
import { type Binding, BindingSet, bindingIdentity } from '../../lib/core/binding.ts';
import { Exchange } from '../../lib/core/exchange.ts';
import { anyString, fieldTable } from '../codec/arbitraries.ts';
import { sequenceOf, table } from './helper.ts';

function exchangeNamed(name: string): Exchange {
  const settings = { name, type: 'fanout', durable: false, autoDelete: false, internal: false, arguments: table() };
  return new Exchange(settings, fanoutExchange, fanoutExchange.createRouter(table()), () => undefined);
}

/** The same table, the order of its keys turned round, and that of the tables in it. */
function reversed(args: FieldTable): FieldTable {
  return new Map([...args].reverse().map(([key, value]) => [key, reversedValue(value)]));
}

function reversedValue(field: FieldValue): FieldValue {
  if (field.type === 'F') return { type: 'F', value: reversed(field.value) };
  if (field.type === 'A') return { type: 'A', value: field.value.map(reversedValue) };
  return field;
}

t.test('the order of arguments does not matter to the identity of a binding', async () => {
  fc.assert(
    fc.property(fieldTable, (args) => {
      return bindingIdentity('queue', 'q', 'k', args) === bindingIdentity('queue', 'q', 'k', reversed(args));
    }),
  );
});

t.test('type and value of every argument matter', async (t) => {
  const values: FieldValue[] = [
    { type: 'S', value: '1' },
    { type: 'x', value: Buffer.from('1') },
    { type: 'x', value: Buffer.from('2') },
    ...(['b', 'B', 's', 'u', 'I', 'i', 'l', 'T', 'd', 'f'] as const).map((type) => ({ type, value: 1 })),
    { type: 'l', value: 2n ** 60n },
    { type: 'l', value: 2n ** 60n + 1n },
    { type: 't', value: true },
    { type: 't', value: false },
    { type: 'V', value: null },
    { type: 'D', value: { scale: 0, unscaled: 1 } },
    { type: 'D', value: { scale: 1, unscaled: 1 } },
    { type: 'A', value: [] },
    { type: 'A', value: [{ type: 'S', value: '1' }] },
    {
      type: 'A',
      value: [
        { type: 'S', value: '1' },
        { type: 'S', value: '2' },
      ],
    },
    {
      type: 'A',
      value: [
        { type: 'S', value: '2' },
        { type: 'S', value: '1' },
      ],
    },
    { type: 'F', value: table() },
    { type: 'F', value: table({ a: '1' }) },
    { type: 'F', value: table({ a: { type: 'I', value: 1 } }) },
  ];
  const identities = values.map((value) => bindingIdentity('queue', 'q', 'k', table({ a: value })));
  t.equal(new Set(identities).size, values.length);
  t.not(bindingIdentity('queue', 'q', 'k', table()), bindingIdentity('queue', 'q', 'k', table({ a: '1' })));
});

t.test('bindings are one exactly when their arguments are equal as RabbitMQ compares them', async (t) => {
  fc.assert(
    fc.property(fieldTable, fieldTable, (a, b) => {
      const one = bindingIdentity('queue', 'q', 'k', a) === bindingIdentity('queue', 'q', 'k', b);
      return one === fieldTablesEqual(a, b);
    }),
  );
  const [l, L] = (['l', 'L'] as const).map((type) => table({ a: { type, value: 5 } }));
  t.equal(bindingIdentity('queue', 'q', 'k', l), bindingIdentity('queue', 'q', 'k', L));
});

t.test('deeply nested arguments cost no more than they are long', async (t) => {
  let args = table({ a: '1' });
  for (let depth = 1; depth < FIELD_TABLE_DEPTH_MAX; depth++) args = table({ a: { type: 'F', value: args } });
  t.ok(bindingIdentity('queue', 'q', 'k', args).length < 100 * FIELD_TABLE_DEPTH_MAX);
});

t.test('kind, name and key matter, whatever bytes they have', async (t) => {
  const part = fc.oneof(anyString, fc.constantFrom('', 'a', 'a\0', '\0a', 'q', '0', '1:'));
  const end = fc.tuple(fc.constantFrom('queue', 'exchange'), part, part);
  fc.assert(
    fc.property(end, end, (a, b) => {
      const same = a.every((each, i) => each === b[i]);
      return (bindingIdentity(...identityOf(a)) === bindingIdentity(...identityOf(b))) === same;
    }),
    { numRuns: 1000 },
  );
  const none = table();
  t.not(bindingIdentity('queue', 'a\0b', 'c', none), bindingIdentity('queue', 'a', 'b\0c', none));
  const args = table({ a: '1' });
  const forged = bindingIdentity('queue', '', '', args).slice(bindingIdentity('queue', '', '', none).length);
  t.not(bindingIdentity('queue', 'q', `k${forged}`, none), bindingIdentity('queue', 'q', 'k', args));
  t.not(bindingIdentity('queue', 'q', `k\0${forged}`, none), bindingIdentity('queue', 'q', 'k', args));
});

function identityOf([kind, name, key]: readonly string[]): Parameters<typeof bindingIdentity> {
  return [kind === 'queue' ? 'queue' : 'exchange', name, key, table()];
}

t.test('a set of bindings holds what was added and not deleted, few or many', async () => {
  const source = exchangeNamed('source');
  const destination = exchangeNamed('destination');
  const all = Array.from({ length: 20 }, (_, i): Binding => {
    return { source, destination, bindingKey: `${i}`, arguments: table() };
  });
  const step = fc.record({ add: fc.boolean(), which: fc.nat({ max: all.length - 1 }) });
  fc.assert(
    fc.property(sequenceOf(step), (steps) => {
      const set = new BindingSet();
      const model = new Set<Binding>();
      return steps.every(({ add, which }) => {
        if (!add) {
          set.delete(all[which]);
          model.delete(all[which]);
        } else if (!model.has(all[which])) {
          set.add(all[which]);
          model.add(all[which]);
        }
        return set.size === model.size && [...set].every((binding) => model.has(binding));
      });
    }),
  );
});

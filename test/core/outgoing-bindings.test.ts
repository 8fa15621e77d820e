// The bindings of an exchange against a Map by what they bind.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { FieldTable } from '../../codec/field-table.ts';
import { type Binding, bindingIdentity, type Destination } from '../../lib/core/binding.ts';
import { OutgoingBindings } from '../../lib/core/outgoing-bindings.ts';
import { sequenceOf } from './helper.ts';

/** All that a table of bindings looks at. */
const destinations = ['a', 'b', 'c'].map((name) => ({ name, isExchange: false }) as Destination);
const tables: readonly FieldTable[] = [
  new Map(),
  new Map([['x', { type: 'I', value: 1 }]]),
  new Map([
    ['x', { type: 'I', value: 1 }],
    ['y', { type: 'S', value: '' }],
  ]),
  new Map([
    ['y', { type: 'S', value: '' }],
    ['x', { type: 'I', value: 1 }],
  ]),
];

const target = fc.record({
  destination: fc.constantFrom(...destinations),
  bindingKey: fc.oneof(fc.constantFrom('', 'k', 'a.b'), fc.integer({ min: 0, max: 40 }).map(String)),
  arguments: fc.constantFrom(...tables),
});

t.test('it finds what a Map finds, in the order in which it came', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ bind: target }) },
    { weight: 2, arbitrary: fc.record({ unbind: target }) },
    fc.record({ unbindOldest: fc.integer({ min: 1, max: 30 }) }),
  );
  fc.assert(
    fc.property(sequenceOf(step), (steps) => {
      const bindings = new OutgoingBindings();
      const model = new Map<string, Binding>();
      const nameOf = ({
        destination,
        bindingKey,
        arguments: args,
      }: Pick<Binding, 'destination' | 'bindingKey' | 'arguments'>) =>
        bindingIdentity('queue', destination.name, bindingKey, args);
      const remove = (binding: Binding): void => {
        model.delete(nameOf(binding));
        bindings.delete(binding);
      };
      for (const each of steps) {
        if ('unbindOldest' in each) {
          for (const binding of [...model.values()].slice(0, each.unbindOldest)) remove(binding);
        } else {
          const wanted = 'bind' in each ? each.bind : each.unbind;
          const found = bindings.find(wanted.destination, wanted.bindingKey, wanted.arguments);
          assert.equal(found, model.get(nameOf(wanted)));
          if ('bind' in each && found === undefined) {
            const binding = { ...wanted } as Binding;
            model.set(nameOf(binding), binding);
            bindings.add(binding);
          } else if ('unbind' in each && found !== undefined) {
            remove(found);
          }
        }
        assert.deepEqual([...bindings], [...model.values()]);
        assert.equal(bindings.size, model.size);
      }
    }),
    { numRuns: 300 },
  );
});

t.test('what is not here is not removed', async (t) => {
  for (const count of [1, 100]) {
    const bindings = new OutgoingBindings();
    const make = (i: number) => ({ destination: destinations[0], bindingKey: `${i}`, arguments: tables[0] }) as Binding;
    for (let i = 0; i < count; i++) bindings.add(make(i));
    bindings.delete(make(0));
    t.equal(bindings.size, count);
    bindings.clear();
    t.same([...bindings], []);
    t.equal(bindings.find(destinations[0], '0', tables[0]), undefined);
  }
});

import t from 'tap';
import { readSpecification } from '../../spec/generate.ts';
import { mergeExtensions } from '../../spec/model.ts';

const { protocol, extensions } = await readSpecification();

t.test('extensions add methods to known classes, and classes, in order of id', (t) => {
  const { classes } = mergeExtensions(protocol, extensions);
  t.same(
    classes.map(({ id }) => id),
    [10, 20, 30, 40, 50, 60, 85, 90],
  );
  const exchange = classes.find(({ name }) => name === 'exchange');
  t.same(
    exchange?.methods.map(({ name, id }) => `${name} ${id}`),
    ['declare 10', 'declare-ok 11', 'delete 20', 'delete-ok 21', 'bind 30', 'bind-ok 31', 'unbind 40', 'unbind-ok 51'],
  );
  t.end();
});

t.test('amendments turn reserved fields into real ones', (t) => {
  const { classes } = mergeExtensions(protocol, extensions);
  const declare = classes.find(({ name }) => name === 'exchange')?.methods[0];
  t.same(
    declare?.fields.filter(({ reserved }) => !reserved).map(({ name }) => name),
    ['exchange', 'type', 'passive', 'durable', 'auto-delete', 'internal', 'no-wait', 'arguments'],
  );
  t.equal(classes.find(({ name }) => name === 'basic')?.properties?.at(-1)?.name, 'cluster-id');
  t.end();
});

t.test('a mistake in the description is an error', (t) => {
  const amended = (amendment: object) => () =>
    mergeExtensions(protocol, { ...extensions, amendments: [{ class: 'queue', ...amendment }] });
  t.throws(amended({ class: 'nosuch' }), /unknown class nosuch/);
  t.throws(amended({ method: 'nosuch' }), /no method queue.nosuch/);
  t.throws(
    amended({ method: 'declare', field: 'nosuch', becomes: { name: 'a', domain: 'bit' } }),
    /amend field nosuch/,
  );
  t.throws(amended({ method: 'declare', field: 'reserved-1' }), /amend field reserved-1/);
  t.throws(amended({ property: 'nosuch', becomes: { name: 'a', domain: 'bit' } }), /amend field nosuch/);
  t.throws(amended({ method: 'declare', field: 'queue', becomes: { name: 'a', domain: 'b' } }), /unknown domain b/);
  const twice = { ...extensions, classes: [{ name: 'again', id: 10, methods: [] }] };
  t.throws(() => mergeExtensions(protocol, twice), /same class id/);
  const same = { ...extensions, classes: [{ name: 'tx', id: 90, methods: protocol.classes[0].methods }] };
  t.throws(() => mergeExtensions(protocol, same), /same method of tx id/);
  t.end();
});

// The expected numbers are RabbitMQ's own: `rabbitmqctl eval 'erlang:phash2(...).'` on Erlang/OTP 25.
import t from 'tap';
import { phash2, phash2OfAtom, phash2OfField, phash2OfList } from '../../exchanges/phash2.ts';
import { field, table } from './helper.ts';

t.test('a text', async (t) => {
  t.equal(phash2(''), 13708901);
  t.equal(phash2('a'), 112802447);
  t.equal(phash2('abc'), 98228475);
  t.equal(phash2('hello world 12345 xyz'), 88105467);
  t.equal(phash2('exactly twel'), 132164867, 'twelve bytes, one round');
  t.equal(phash2('exactly twelve'), 108602852);
  t.equal(phash2('x'.repeat(255)), 113300833);
  t.equal(phash2('é☃'), 109363668);
  t.equal(phash2('\udcffa\udcfe'), 65369494, 'bytes that are no UTF-8');
});

t.test('a list of texts', async (t) => {
  t.equal(phash2OfList([]), 113427502);
  t.equal(phash2OfList(['abc']), 63525141);
  t.equal(phash2OfList(['a', 'b']), 3094894);
});

t.test('an atom', async (t) => {
  t.equal(phash2OfAtom('undefined'), 45914356);
  t.equal(phash2OfAtom('true'), 506293);
});

t.test('a value of every type, with its type', async (t) => {
  const fields: [type: string, value: unknown, hash: number][] = [
    ['S', 'gold', 74863616],
    ['S', '', 116351706],
    ['x', Buffer.from([0, 255]), 20872271],
    ['t', true, 32030443],
    ['V', null, 27077197],
    ['b', -5, 100886737],
    ['B', 200, 88973546],
    ['I', 2 ** 27 - 1, 17240753],
    ['I', 2 ** 27, 127254635],
    ['I', -(2 ** 27), 65405468],
    ['I', -(2 ** 27) - 1, 11977661],
    ['i', 2 ** 32 - 1, 24982162],
    ['l', 2n ** 63n - 1n, 120433834],
    ['L', 2n ** 63n - 1n, 120433834],
    ['l', -5_000_000_000, 45891831],
    ['T', 2n ** 64n - 1n, 132064098],
    ['f', 0.5, 88558663],
    ['d', 1.25, 77920771],
    ['d', -0, 28702447],
    ['D', { scale: 2, unscaled: 1999 }, 102629639],
    ['A', [], 86211673],
    ['A', [field('S', 'a'), field('I', 7), field('A', [])], 24129942],
    ['F', table(), 80606520],
    ['F', table({ k: 'v', n: field('F', table({ deep: field('V', null) })) }), 49038884],
  ];
  for (const [type, value, hash] of fields) t.equal(phash2OfField({ type, value }), hash, `${type} ${value}`);
});

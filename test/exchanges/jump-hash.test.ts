import fc from 'fast-check';
import t from 'tap';
import { JumpHash, Xorshift1024 } from '../../exchanges/jump-hash.ts';

t.test('the generator draws the numbers that Erlang draws', async (t) => {
  // rand:uniform_s on rand:seed_s(exs1024, {Key, Key, Key}), the nth number; the state is used up after sixteen.
  const drawn: [key: number, nth: number, number: number][] = [
    [0, 1, 0.2942322177448042],
    [12345, 1, 0.03752283610347342],
    [12345, 15, 0.8592216179122686],
    [12345, 16, 0.8640792339821974],
    [12345, 17, 0.34274156129633143],
    [12345, 40, 0.21302329554675367],
    [2 ** 27 - 1, 2, 0.49694845280790284],
  ];
  const random = new Xorshift1024();
  for (const [key, nth, number] of drawn) {
    random.seed(key);
    for (let i = 1; i < nth; i++) random.next();
    t.equal(random.next(), number, `${key}, ${nth}`);
  }
});

const key = fc.nat(2 ** 27 - 1);

t.test('a bucket is one of those that there are, and the same each time', async () => {
  const jumpHash = new JumpHash();
  fc.assert(
    fc.property(key, fc.integer({ min: 1, max: 2 ** 40 }), (key, buckets) => {
      const bucket = jumpHash.bucketOf(key, buckets);
      return (
        Number.isInteger(bucket) && bucket >= 0 && bucket < buckets && bucket === new JumpHash().bucketOf(key, buckets)
      );
    }),
    { numRuns: 1000 },
  );
});

t.test('with more buckets a key stays, or moves to a new one', async () => {
  const jumpHash = new JumpHash();
  fc.assert(
    fc.property(key, fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }), (key, buckets, more) => {
      const before = jumpHash.bucketOf(key, buckets);
      const after = jumpHash.bucketOf(key, buckets + more);
      return after === before || after >= buckets;
    }),
    { numRuns: 1000 },
  );
});

t.test('buckets are equally full', async (t) => {
  const jumpHash = new JumpHash();
  const counts = new Array<number>(10).fill(0);
  // Keys as hashes are: anywhere in the range.
  for (let i = 0; i < 20_000; i++) counts[jumpHash.bucketOf((i * 7919 * 65537) % 2 ** 27, 10)]++;
  t.ok(Math.min(...counts) > 1700 && Math.max(...counts) < 2300, `${counts}`);
});

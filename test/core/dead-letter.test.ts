// The headers of dead letters, with the types and in the order that RabbitMQ gives them, and the rule against cycles.
import t from 'tap';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import { carbonCopyKeys, type Death, deadLetterHeaders, queuesInCycle } from '../../lib/core/dead-letter.ts';
import { typed, typedFields } from '../helper/dead-letter.ts';
import { table } from './helper.ts';

const byte = (value: number): FieldValue => ({ type: 'b', value });
const array = (...value: FieldValue[]): FieldValue => ({ type: 'A', value });
const entry = (fields: Record<string, FieldValue | string>): FieldValue => ({ type: 'F', value: table(fields) });

function death(options: Partial<Death> = {}): Death {
  const base = { reason: 'rejected', queue: 'q', exchange: 'x', routingKeys: ['k'], time: 1000 } as const;
  return { ...base, expiration: undefined, ...options };
}

/** The lines of the headers, for which alone the order counts. */
function lines(headers: FieldTable | null, options: Partial<Death> = {}, keepsKeys = true): string[] {
  return typedFields(deadLetterHeaders(headers, death(options), keepsKeys).headers);
}

/** The deaths alone, after one more. */
function deathsAfter(before: readonly FieldValue[], options: Partial<Death> = {}): string[] {
  const { deaths } = deadLetterHeaders(table({ 'x-death': array(...before) }), death(options), true);
  return deaths.map(typed);
}

const FIRST =
  'x-death: [{count: l 1, reason: S rejected, queue: S q, time: T 1000, exchange: S x, routing-keys: [S k]}]';
const LATER = '{count: l 1, exchange: S x, queue: S q, reason: S rejected, routing-keys: [S k], time: T 1000}';
const FIRST_DEATH = ['x-first-death-exchange: S x', 'x-first-death-queue: S q', 'x-first-death-reason: S rejected'];
const LAST_DEATH = ['x-last-death-exchange: S x', 'x-last-death-queue: S q', 'x-last-death-reason: S rejected'];

t.test('a first death', async (t) => {
  t.same(lines(null), [FIRST, ...FIRST_DEATH, ...LAST_DEATH]);
  const { headers, deaths } = deadLetterHeaders(null, death(), true);
  t.equal(deaths, headers.get('x-death')?.value);
});

t.test('an expiration is noted last, or in its place by the alphabet', async (t) => {
  const [first] = lines(null, { expiration: '5' });
  t.match(first, /routing-keys: \[S k\], original-expiration: S 5\}\]$/);
  const [later] = deathsAfter([], { expiration: '5' });
  t.match(later, 'exchange: S x, original-expiration: S 5, queue: S q,');
});

t.test('headers are kept, and sorted', async (t) => {
  const headers = table({ z: byte(1), B: byte(2), 'x-e': byte(3), a: byte(4) });
  t.same(lines(headers), ['B: b 2', 'a: b 4', FIRST, 'x-e: b 3', ...FIRST_DEATH, ...LAST_DEATH, 'z: b 1']);
  t.same([...headers.keys()], ['z', 'B', 'x-e', 'a'], 'those of the message itself are as they were');
});

t.test('CC goes when the dead letter has a routing key of its own', async (t) => {
  const headers = table({ CC: array({ type: 'S', value: 'k1' }) });
  t.same(lines(headers, {}, true)[0], 'CC: [S k1]');
  t.same(lines(headers, {}, false)[0], FIRST);
});

t.test('the keys in CC', async (t) => {
  t.same(carbonCopyKeys(table()), []);
  t.same(carbonCopyKeys(table({ CC: 'k' })), []);
  t.same(carbonCopyKeys(table({ CC: array({ type: 'S', value: 'k' }, byte(1), { type: 'S', value: '' }) })), ['k', '']);
});

t.test('what a client says of the first death counts only if it says x-death as well', async (t) => {
  const claimed = { 'x-first-death-exchange': 'e', 'x-first-death-queue': 'f', 'x-first-death-reason': 'r' };
  t.same(lines(table(claimed)), [FIRST, ...FIRST_DEATH, ...LAST_DEATH]);
  const known = ['x-first-death-exchange: S e', 'x-first-death-queue: S f', 'x-first-death-reason: S r'];
  t.same(lines(table({ ...claimed, 'x-death': array() })), [`x-death: [${LATER}]`, ...known, ...LAST_DEATH]);
  t.same(lines(table({ 'x-death': array() })), [`x-death: [${LATER}]`, ...LAST_DEATH]);
});

t.test('an x-death that is no array gives way, and counts as said', async (t) => {
  const wrong: FieldValue[] = [{ type: 'S', value: 'death' }, byte(5), { type: 'V', value: null }, entry({})];
  for (const value of wrong) t.same(lines(table({ 'x-death': value })), [FIRST, ...LAST_DEATH]);
});

t.test('a later death comes to the front, sorted; the others stay as they are', async (t) => {
  const others = [entry({ z: byte(1), queue: 'q', reason: 'expired' }), entry({ queue: 'r', reason: 'rejected' })];
  t.same(deathsAfter(others), [LATER, ...others.map(typed)]);
});

t.test('the same death again is counted, comes to the front, and is otherwise what it was', async (t) => {
  const first = entry({ z: byte(1), queue: 'q', reason: 'rejected', count: byte(41), exchange: 'first' });
  const others = [entry({ queue: 'a', reason: 'expired' }), entry({ queue: 'b', reason: 'expired' })];
  const counted = '{count: l 42, exchange: S first, queue: S q, reason: S rejected, z: b 1}';
  t.same(deathsAfter([others[0], first, others[1]]), [counted, ...others.map(typed)]);
  t.same(
    deathsAfter([first, entry({ queue: 'q', reason: 'rejected', count: byte(7) })]),
    [counted],
    'of equals the first counts',
  );
});

t.test('any integer is counted', async (t) => {
  const counts: [FieldValue | undefined, string][] = [
    [undefined, 'l 1'],
    [{ type: 'V', value: null }, 'l 1'],
    [byte(-5), 'l -4'],
    [{ type: 'T', value: 7 }, 'l 8'],
    [{ type: 'l', value: Number.MAX_SAFE_INTEGER }, `l ${2n ** 53n}`],
    [{ type: 'L', value: 2n ** 63n - 1n }, `l ${2n ** 63n - 1n}`],
    [{ type: 'T', value: 2n ** 64n - 1n }, `l ${2n ** 63n - 1n}`],
    // With these RabbitMQ's queue crashes and loses the message.
    [{ type: 'S', value: '5' }, 'l 1'],
    [{ type: 't', value: true }, 'l 1'],
    [{ type: 'd', value: 5.5 }, 'l 1'],
  ];
  for (const [before, after] of counts) {
    const known = { queue: 'q', reason: 'rejected' };
    const deaths = deathsAfter([entry(before === undefined ? known : { ...known, count: before })]);
    t.same(deaths, [`{count: ${after}, queue: S q, reason: S rejected}`]);
  }
});

t.test('what is no death stays in its place', async (t) => {
  // RabbitMQ's queue crashes and loses the message.
  const odd = [{ type: 'S', value: 'a' } as const, byte(5), entry({}), entry({ queue: byte(1), reason: byte(2) })];
  t.same(deathsAfter(odd), [LATER, ...odd.map(typed)]);
});

const died = (queue: string, reason: string): FieldValue => entry({ queue, reason });

t.test('a cycle is closed when nobody rejected it since it was there', async (t) => {
  const cycles: [deaths: FieldValue[], queue: string, closes: boolean][] = [
    [[], 'a', false],
    [[died('a', 'expired')], 'a', true],
    [[died('a', 'maxlen')], 'a', true],
    [[died('a', 'delivery_limit')], 'a', true],
    [[died('a', 'rejected')], 'a', false],
    [[died('a', 'expired')], 'b', false],
    [[died('b', 'expired'), died('a', 'expired')], 'a', true],
    [[died('b', 'rejected'), died('a', 'expired')], 'a', false],
    [[died('b', 'expired'), died('a', 'rejected')], 'a', false],
    [[died('a', 'expired'), died('a', 'rejected')], 'a', true],
    [[died('b', 'expired'), died('a', 'expired'), died('c', 'rejected')], 'a', true],
    [[{ type: 'S', value: 'a' }, entry({}), died('a', 'expired')], 'a', true],
  ];
  for (const [deaths, queue, closes] of cycles) {
    t.equal(queuesInCycle(deaths).has(queue), closes, `${deaths.map(typed).join(', ')} and ${queue}`);
  }
});

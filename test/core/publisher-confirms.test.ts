// Confirms that are gathered: what the publisher is told, in every order of settling.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type ConfirmSink, PublisherConfirms } from '../../lib/core/publisher-confirms.ts';

/** A publisher that keeps book as client libraries do: an answer for a tag that it no longer waits for means nothing. */
class Client implements ConfirmSink {
  readonly said: string[] = [];
  readonly told = new Map<number, boolean>();

  confirm(tag: number, multiple: boolean): void {
    this.said.push(multiple ? `ack..${tag}` : `ack ${tag}`);
    for (let each = multiple ? 1 : tag; each <= tag; each++) if (!this.told.has(each)) this.told.set(each, true);
  }

  refuse(tag: number): void {
    this.said.push(`nack ${tag}`);
    assert.ok(!this.told.has(tag), `${tag} was told before it was refused`);
    this.told.set(tag, false);
  }
}

function opened(count: number): { confirms: PublisherConfirms; client: Client } {
  const confirms = new PublisherConfirms();
  for (let tag = 1; tag <= count; tag++) assert.equal(confirms.open(), tag);
  return { confirms, client: new Client() };
}

function said(count: number, ...batches: (readonly number[])[]): string[] {
  const { confirms, client } = opened(count);
  for (const batch of batches) {
    for (const tag of batch) confirms.settle(Math.abs(tag), tag > 0);
    confirms.flush(client);
  }
  return client.said;
}

t.test('a run of confirms leaves as one', async (t) => {
  t.same(said(3, [1, 2, 3]), ['ack..3']);
  t.same(said(3, [1], [2, 3]), ['ack 1', 'ack..3']);
  t.same(said(3, [3, 1, 2]), ['ack..3']);
});

t.test('what is settled ahead of others is told by itself', async (t) => {
  t.same(said(5, [3, 5]), ['ack 3', 'ack 5']);
  t.same(said(5, [3], [1, 2]), ['ack 3', 'ack..2']);
  t.same(said(5, [1, 3]), ['ack 1', 'ack 3']);
});

t.test('refusals go first, so that no `multiple` covers them before', async (t) => {
  t.same(said(3, [1, -2, 3]), ['nack 2', 'ack..3']);
  t.same(said(3, [-1, -2, -3]), ['nack 1', 'nack 2', 'nack 3']);
  t.same(said(3, [1, 2, -3]), ['nack 3', 'ack..2']);
  t.same(said(3, [-3, 1, 2]), ['nack 3', 'ack..2']);
});

t.test('nothing to say is nothing said', async (t) => {
  t.same(said(3, [], [1], []), ['ack 1']);
});

t.test('each settled tag is told what it is, and no other, in any order of settling and flushing', async () => {
  const plan = fc.integer({ min: 1, max: 40 }).chain((count) =>
    fc.record({
      order: fc.shuffledSubarray(Array.from({ length: count }, (_, i) => i + 1)),
      refused: fc.subarray(Array.from({ length: count }, (_, i) => i + 1)),
      flushes: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
      count: fc.constant(count),
    }),
  );
  fc.assert(
    fc.property(plan, ({ order, refused, flushes, count }) => {
      const { confirms, client } = opened(count);
      const settled = new Map<number, boolean>();
      const flush = (): void => {
        confirms.flush(client);
        assert.deepEqual(new Map([...client.told].sort(byTag)), new Map([...settled].sort(byTag)));
      };
      for (const [i, tag] of order.entries()) {
        settled.set(tag, !refused.includes(tag));
        confirms.settle(tag, !refused.includes(tag));
        if (flushes[i]) flush();
      }
      flush();
    }),
    { numRuns: 1000 },
  );
});

function byTag([a]: readonly [number, boolean], [b]: readonly [number, boolean]): number {
  return a - b;
}

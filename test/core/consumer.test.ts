// When a consumer can take a message, and what its queue hears of it.
import fc from 'fast-check';
import t from 'tap';
import {
  BLOCKED_BY_OUTPUT,
  BLOCKED_BY_PREFETCH,
  BLOCKED_BY_SESSION_PREFETCH,
  type Consumer,
  type ConsumerHost,
} from '../../lib/core/consumer.ts';
import { consumerOf, Inbox } from './helper.ts';

const REASONS = [BLOCKED_BY_PREFETCH, BLOCKED_BY_SESSION_PREFETCH, BLOCKED_BY_OUTPUT];

/** Counts as a queue does. */
class Host implements ConsumerHost {
  ready = 1;
  consumerReady(): void {
    this.ready++;
  }
  consumerBlocked(): void {
    this.ready--;
  }
}

function hosted(options: Parameters<typeof consumerOf>[1] = {}): { consumer: Consumer; host: Host } {
  const consumer = consumerOf(new Inbox(), options);
  const host = new Host();
  consumer.host = host;
  return { consumer, host };
}

t.test('a consumer is ready when no reason blocks it, and its host hears every change once', async () => {
  const change = fc.record({ block: fc.boolean(), reason: fc.constantFrom(...REASONS) });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const { consumer, host } = hosted();
      const blockers = new Set<number>();
      return changes.every(({ block, reason }) => {
        if (block) {
          consumer.block(reason);
          blockers.add(reason);
        } else {
          consumer.unblock(reason);
          blockers.delete(reason);
        }
        return consumer.ready === (blockers.size === 0) && host.ready === (consumer.ready ? 1 : 0);
      });
    }),
  );
});

t.test('a prefetch limit blocks exactly while that many messages are unacknowledged', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean()), (prefetch, takes) => {
      const { consumer, host } = hosted({ prefetch });
      return takes.every((take) => {
        if (take && consumer.ready) consumer.take();
        else if (!take && consumer.unacknowledged > 0) consumer.settle();
        const ready = consumer.unacknowledged < prefetch;
        return consumer.ready === ready && host.ready === (ready ? 1 : 0);
      });
    }),
  );
});

t.test('settling does not lift the blocks of others', async (t) => {
  const { consumer } = hosted({ prefetch: 1 });
  consumer.take();
  consumer.block(BLOCKED_BY_OUTPUT);
  consumer.settle();
  t.notOk(consumer.ready);
  consumer.unblock(BLOCKED_BY_OUTPUT);
  t.ok(consumer.ready);
});

t.test('prefetch 0 is no limit, and no-ack has none', async (t) => {
  const unlimited = hosted().consumer;
  for (let i = 0; i < 1000; i++) unlimited.take();
  t.ok(unlimited.ready);
  t.equal(hosted({ noAck: true, prefetch: 1 }).consumer.prefetch, 0);
});

t.test('a consumer without a queue changes in peace', async (t) => {
  const consumer = consumerOf(new Inbox(), { prefetch: 1 });
  consumer.take();
  t.notOk(consumer.ready);
  consumer.settle();
  t.ok(consumer.ready);
});

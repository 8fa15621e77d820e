// What messages cost, and when the memory alarm comes and goes.
import fc from 'fast-check';
import t from 'tap';
import { MESSAGE_OVERHEAD_BYTES, MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import { messageOf, routeOf, sequenceOf } from './helper.ts';

const LARGE = 2 ** 40;
const LIMIT = 10_000;

/** An account and the changes of its alarm. */
function watched(limitBytes = LIMIT, heapLimitBytes = LARGE) {
  const account = new MemoryAccount(limitBytes, heapLimitBytes);
  const changes: boolean[] = [];
  const stop = account.watch((raised) => changes.push(raised));
  return { account, changes, stop };
}

/** What is used after a charge. */
function cost(charge: (account: MemoryAccount) => void): number {
  const account = new MemoryAccount(LARGE, LARGE);
  charge(account);
  return account.usedBytes;
}

t.test('the bytes of a message count once, however many hold it', async (t) => {
  const message = messageOf(Buffer.alloc(5000));
  const once = cost((account) => account.retain(message));
  t.ok(once >= message.size + MESSAGE_OVERHEAD_BYTES);
  const same = messageOf(Buffer.alloc(5000));
  const more = cost((account) => {
    account.retain(same);
    account.retain(same);
  });
  t.ok(more > once && more < once + 100, 'but each place costs something');
});

t.test('messages that share a route count its names once', async (t) => {
  const route = routeOf('x'.repeat(200), 'k'.repeat(200));
  const [a, b] = [messageOf(''), messageOf('')].map((message) => Object.assign(message, { route }));
  const { account } = watched(LARGE);
  account.retain(a);
  const one = account.usedBytes;
  t.ok(one > 800);
  account.retain(b);
  t.ok(account.usedBytes - one < 400);
});

t.test('everything that is given back leaves nothing, in any order', async () => {
  const what = fc.record({ message: fc.nat({ max: 4 }), add: fc.boolean() });
  fc.assert(
    fc.property(sequenceOf(what), fc.boolean(), (steps, sharedRoute) => {
      const { account } = watched();
      const { route } = messageOf('');
      const messages = [0, 10, 100, 5000, 20_000].map((size) => {
        const message = messageOf(Buffer.alloc(size));
        return sharedRoute ? Object.assign(message, { route }) : message;
      });
      const held: Message[] = [];
      for (const { message, add } of steps) {
        if (add) {
          held.push(messages[message]);
          account.retain(messages[message]);
          account.delivered();
        } else {
          const [released] = held.splice(message, 1);
          if (released === undefined) continue;
          account.release(released);
          account.settled();
        }
      }
      for (const message of held) {
        account.settled();
        account.release(message);
      }
      return account.usedBytes === 0 && !account.raised && messages.every(({ references }) => references === 0);
    }),
  );
});

t.test('the alarm comes above the limit and goes below 95% of it', async (t) => {
  const { account, changes } = watched();
  account.adjust(LIMIT);
  t.notOk(account.raised, 'the limit itself is allowed');
  account.adjust(1);
  t.ok(account.raised);
  account.adjust(-501);
  t.ok(account.raised, 'at 95% it stays, so that it does not flicker');
  account.adjust(-1);
  t.notOk(account.raised);
  account.adjust(501);
  t.same(changes, [true, false], 'and it does not come back before the limit is crossed again');
});

t.test('the very message that crosses the limit raises the alarm', async (t) => {
  const { account, changes } = watched();
  const [large, small] = [messageOf(Buffer.alloc(LIMIT - 1000)), messageOf('')];
  account.retain(large);
  t.same(changes, []);
  account.retain(small);
  t.same(changes, [true]);
  account.release(large);
  t.same(changes, [true, false]);
});

t.test('messages that would fill the heap raise the alarm, however small they are', async (t) => {
  const { account, changes } = watched(LARGE, 100 * MESSAGE_OVERHEAD_BYTES);
  const messages = Array.from({ length: 100 }, () => messageOf(''));
  for (const message of messages) account.retain(message);
  t.same(changes, [true]);
  for (const message of messages) account.release(message);
  t.same(changes, [true, false]);
});

t.test('who stops watching hears no more', async (t) => {
  const { account, changes, stop } = watched();
  const others: boolean[] = [];
  account.watch((raised) => others.push(raised));
  account.adjust(LIMIT + 1);
  stop();
  account.adjust(-LIMIT - 1);
  t.same(changes, [true]);
  t.same(others, [true, false]);
});

t.test('the alarm alternates and agrees with what is used, whatever comes and goes', async () => {
  const sizes = sequenceOf(fc.tuple(fc.nat({ max: 4000 }), fc.boolean()));
  fc.assert(
    fc.property(sizes, (steps) => {
      const { account, changes } = watched();
      const held: Message[] = [];
      for (const [size, retain] of steps) {
        const message = retain ? messageOf(Buffer.alloc(size)) : held.shift();
        if (message === undefined) continue;
        if (retain) {
          held.push(message);
          account.retain(message);
        } else account.release(message);
        if (account.usedBytes > LIMIT && !account.raised) return false;
        if (account.usedBytes < LIMIT * 0.95 && account.raised) return false;
      }
      return changes.every((raised, i) => raised === (i % 2 === 0)) && account.raised === (changes.length % 2 === 1);
    }),
  );
});

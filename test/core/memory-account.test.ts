// What messages cost, and when the memory alarm comes and goes.
import fc from 'fast-check';
import t from 'tap';
import { MESSAGE_OVERHEAD_BYTES, MemoryAccount } from '../../lib/core/memory-account.ts';

const LARGE_HEAP = 2 ** 40;
const LIMIT = 10_000;

/** An account and the changes of its alarm. */
function watched(limitBytes = LIMIT, heapLimitBytes = LARGE_HEAP) {
  const account = new MemoryAccount(limitBytes, heapLimitBytes);
  const changes: boolean[] = [];
  const stop = account.watch((raised) => changes.push(raised));
  return { account, changes, stop };
}

t.test('a message costs its bytes and an overhead, and gives both back', async (t) => {
  const { account } = watched();
  account.chargeMessage(100);
  account.chargeMessage(0);
  account.adjust(7);
  t.equal(account.usedBytes, 107 + 2 * MESSAGE_OVERHEAD_BYTES);
  account.dischargeMessage(0);
  account.dischargeMessage(100);
  account.adjust(-7);
  t.equal(account.usedBytes, 0);
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
  account.chargeMessage(LIMIT - MESSAGE_OVERHEAD_BYTES);
  t.same(changes, []);
  account.chargeMessage(0);
  t.same(changes, [true]);
  account.dischargeMessage(LIMIT - MESSAGE_OVERHEAD_BYTES);
  t.same(changes, [true, false]);
});

t.test('messages that would fill the heap raise the alarm, however small they are', async (t) => {
  const { account, changes } = watched(2 ** 40, 100 * MESSAGE_OVERHEAD_BYTES);
  for (let i = 0; i < 70; i++) account.chargeMessage(0);
  t.same(changes, []);
  account.chargeMessage(0);
  t.same(changes, [true]);
  for (let i = 0; i < 5; i++) account.dischargeMessage(0);
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
  const sizes = fc.array(fc.tuple(fc.nat({ max: 4000 }), fc.boolean()), { size: 'max', maxLength: 60 });
  fc.assert(
    fc.property(sizes, (steps) => {
      const { account, changes } = watched();
      const held: number[] = [];
      for (const [size, charge] of steps) {
        if (charge) {
          held.push(size);
          account.chargeMessage(size);
        } else {
          const freed = held.shift();
          if (freed !== undefined) account.dischargeMessage(freed);
        }
        const used = held.reduce((sum, each) => sum + each + MESSAGE_OVERHEAD_BYTES, 0);
        if (account.usedBytes !== used) return false;
        if (used > LIMIT && !account.raised) return false;
        if (used < LIMIT * 0.95 && account.raised) return false;
      }
      return changes.every((raised, i) => raised === (i % 2 === 0)) && account.raised === (changes.length % 2 === 1);
    }),
  );
});

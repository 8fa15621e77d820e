// The model of chains: histories that a broker may have, and histories with one mistake, which must be reported as that mistake.
// The chains are those of the experiment: their queues and their times stand in chain-plans.ts.
import t from 'tap';
import { checkChain } from './chain-history.ts';

t.test('a message that expires, and nobody wants', async (t) => {
  checkChain(t, 'expire', 'is gone after its deadline', [], (h) => {
    h.confirmed(500);
    h.wait(501);
    h.drained();
  });
  checkChain(t, 'expire', 'is gone before its deadline', ['lost'], (h) => {
    h.confirmed(500);
    h.wait(400);
    h.drained();
  });
  checkChain(t, 'expire', 'is gone before the deadline that its queue gives it', ['lost'], (h) => {
    h.confirmed(1_000_000);
    h.wait(2400);
    h.drained();
  });
  checkChain(t, 'expire', 'is delivered in time', [], (h) => {
    const id = h.confirmed(500);
    h.wait(499);
    h.deliver(id, 0);
  });
  checkChain(t, 'expire', 'is asked for in time, and delivered later', [], (h) => {
    const id = h.confirmed(500);
    h.wait(800);
    h.deliver(id, 0, { decidedMs: h.nowMs - 400 });
  });
  checkChain(t, 'expire', 'is delivered after its deadline', ['late'], (h) => {
    const id = h.confirmed(500);
    h.wait(520);
    h.deliver(id, 0);
  });
  checkChain(t, 'expire', 'has the same deadline after a crash', ['late'], (h) => {
    const id = h.confirmed(500);
    h.wait(400);
    h.crash();
    h.wait(200);
    h.deliver(id, 0, { redelivered: true });
  });
  checkChain(t, 'expire', 'comes back after it was gone', ['resurrected'], (h) => {
    const id = h.confirmed(500);
    h.wait(501);
    h.drained();
    h.crash();
    h.deliver(id, 0, { redelivered: true });
  });
});

t.test('a message that expires, and goes on', async (t) => {
  const reasons = ['expired'];
  checkChain(t, 'expire-on', 'is found there', [], (h) => {
    const id = h.confirmed(500);
    h.wait(510);
    h.deliver(id, 1, { reasons });
    h.drained(id);
  });
  checkChain(t, 'expire-on', 'is found nowhere', ['lost'], (h) => {
    h.confirmed(500);
    h.wait(510);
    h.crash();
    h.drained();
  });
  checkChain(t, 'expire-on', 'is there before its time', ['early'], (h) => {
    const id = h.confirmed(2000);
    h.wait(1900);
    h.deliver(id, 1, { reasons });
  });
  checkChain(t, 'expire-on', 'is in both queues', ['duplicate'], (h) => {
    const id = h.confirmed(500);
    h.deliver(id, 0);
    h.wait(510);
    h.deliver(id, 1, { reasons });
  });
  checkChain(t, 'expire-on', 'is there twice', ['duplicate'], (h) => {
    const id = h.confirmed(500);
    h.wait(510);
    h.deliver(id, 1, { reasons });
    h.deliver(id, 1, { reasons, redelivered: true });
  });
  checkChain(t, 'expire-on', 'is back without a crash', ['resurrected'], (h) => {
    const id = h.confirmed(500);
    h.wait(510);
    h.deliver(id, 1, { reasons });
    h.giveBack(id);
    h.deliver(id, 0, { redelivered: true, decidedMs: 0 });
  });
  checkChain(t, 'expire-on', 'was seen in the second, and is in the first after a crash', [], (h) => {
    const id = h.confirmed(500);
    h.wait(510);
    h.deliver(id, 1, { reasons });
    h.crash();
    h.deliver(id, 0, { redelivered: true, decidedMs: 0 });
  });
  checkChain(
    t,
    'expire-on',
    'was in the second for certain, and is in the first after a crash',
    ['resurrected'],
    (h) => {
      const id = h.confirmed(500);
      h.wait(510);
      h.deliver(id, 1, { reasons });
      h.flush(id);
      h.crash();
      h.deliver(id, 0, { redelivered: true, decidedMs: 0 });
    },
  );
  checkChain(t, 'expire-on', 'comes back unmarked', ['unmarked'], (h) => {
    const id = h.confirmed(500);
    h.wait(510);
    h.deliver(id, 1, { reasons });
    h.giveBack(id);
    h.deliver(id, 1, { reasons });
  });
  checkChain(t, 'expire-twice', 'through two queues', [], (h) => {
    const id = h.confirmed(500);
    h.crash();
    h.wait(1210);
    h.deliver(id, 2, { reasons: ['expired', 'expired'] });
    h.drained(id);
  });
  checkChain(t, 'expire-twice', 'through two queues, faster than both together', ['early'], (h) => {
    const id = h.confirmed(500);
    h.wait(1100);
    h.deliver(id, 2, { reasons: ['expired', 'expired'] });
  });
  checkChain(t, 'expire-twice', 'does not expire where nothing does', ['death'], (h) => {
    const id = h.confirmed();
    h.wait(5000);
    h.deliver(id, 1, { reasons });
  });
});

t.test('a death that is told', async (t) => {
  for (const [title, told] of [
    ['not at all', {}],
    ['twice', { reasons: ['expired'], deathCount: 2 }],
    ['with another one', { reasons: ['expired', 'expired'] }],
    ['for another reason', { reasons: ['maxlen'] }],
    ['as a rejection, which nobody made', { reasons: ['rejected'] }],
  ] as const) {
    checkChain(t, 'expire-on', title, ['death'], (h) => {
      const id = h.confirmed(500);
      h.wait(510);
      h.deliver(id, 1, told);
    });
  }
});

t.test('a message that was rejected', async (t) => {
  const reasons = ['rejected'];
  checkChain(t, 'limit', 'goes on', [], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.reject(id);
    h.deliver(id, 1, { reasons });
    h.drained(id);
  });
  checkChain(t, 'limit', 'is there still', ['resurrected'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.reject(id);
    h.deliver(id, 0, { redelivered: true });
  });
  for (const stage of [0, 1]) {
    checkChain(t, 'limit', `right before a crash, and is in place ${stage}`, [], (h) => {
      const id = h.confirmed();
      h.deliver(id, 0);
      h.reject(id);
      h.crash();
      h.deliver(id, stage, { redelivered: true, reasons: stage === 0 ? [] : reasons });
      h.drained(id);
    });
  }
  checkChain(t, 'limit', 'right before a crash, and is in both places', ['duplicate'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.reject(id);
    h.crash();
    h.deliver(id, 0, { redelivered: true });
    h.deliver(id, 1, { reasons });
  });
  checkChain(t, 'limit', 'right before a crash, and is in neither place', ['lost'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.reject(id);
    h.crash();
    h.drained();
  });
  checkChain(t, 'limit', 'for certain, and is back after a crash', ['resurrected'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.reject(id);
    h.flush(id);
    h.crash();
    h.deliver(id, 0, { redelivered: true });
  });
  checkChain(t, 'limit', 'was acknowledged for certain where it went, and is back', ['resurrected'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.reject(id);
    h.deliver(id, 1, { reasons });
    h.acknowledge(id);
    h.flush(id);
    h.crash();
    h.deliver(id, 0, { redelivered: true });
  });
});

t.test('a message that has no room', async (t) => {
  checkChain(t, 'crowd', 'goes on twice', [], (h) => {
    const id = h.confirmed();
    h.deliver(id, 2, { reasons: ['maxlen', 'maxlen'] });
    h.drained(id);
  });
  checkChain(t, 'crowd', 'and is confirmed, is somewhere', ['lost'], (h) => {
    h.confirmed();
    h.crash();
    h.drained();
  });
  checkChain(t, 'crowd', 'and is not confirmed, may be nowhere', [], (h) => {
    h.publish();
    h.crash();
    h.drained();
  });
});

t.test('a message that is held back', async (t) => {
  checkChain(t, 'delay', 'comes when it may', [], (h) => {
    const id = h.confirmed(undefined, 1000);
    h.crash();
    h.wait(1000);
    h.deliver(id, 1);
    h.drained(id);
  });
  checkChain(t, 'delay', 'comes too early', ['early'], (h) => {
    const id = h.confirmed(undefined, 1000);
    h.crash();
    h.wait(990);
    h.deliver(id, 1);
  });
  checkChain(t, 'delay', 'is not there yet', [], (h) => {
    h.confirmed(undefined, 1000);
    h.wait(2000);
    h.drained();
  });
  checkChain(t, 'delay', 'never comes', ['lost'], (h) => {
    h.confirmed(undefined, 1000);
    h.wait(60_000);
    h.crash();
    h.drained();
  });
  checkChain(t, 'delay', 'comes again after it was acknowledged', ['resurrected'], (h) => {
    const id = h.confirmed(undefined, 1000);
    h.wait(1000);
    h.deliver(id, 1);
    h.acknowledge(id);
    h.flush(id);
    h.crash();
    h.deliver(id, 1);
  });
  checkChain(t, 'delay', 'comes though its exchange was deleted', ['resurrected'], (h) => {
    const id = h.confirmed(undefined, 1000);
    h.chain.removalSent();
    h.chain.removed(h.nowMs);
    h.wait(1000);
    h.deliver(id, 1);
  });
  for (const comes of [true, false]) {
    checkChain(t, 'delay', `${comes ? 'comes' : 'does not come'} when a crash cut the deletion off`, [], (h) => {
      const id = h.confirmed(undefined, 1000);
      h.chain.removalSent();
      h.crash();
      h.wait(60_000);
      if (comes) h.deliver(id, 1);
      h.drained(...(comes ? [id] : []));
    });
  }
  checkChain(t, 'delay-on', 'begins to expire when it goes on', ['early'], (h) => {
    const id = h.confirmed(500, 1000);
    h.wait(1000);
    h.deliver(id, 2, { reasons: ['expired'] });
  });
});

t.test('how often a message came back', async (t) => {
  checkChain(t, 'limit', 'is told', [], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.giveBack(id);
    h.deliver(id, 0, { redelivered: true, count: 1 });
  });
  checkChain(t, 'limit', 'is told too low', ['count'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.giveBack(id);
    h.deliver(id, 0, { redelivered: true, count: 0 });
  });
  checkChain(t, 'limit', 'is told too high', ['count'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.giveBack(id);
    h.deliver(id, 0, { redelivered: true, count: 2 });
  });
  for (const [count, expected] of [
    [0, ['count']],
    [1, []],
    [2, []],
    [3, ['count']],
  ] as const) {
    checkChain(t, 'limit', `is ${count} after a crash, having been 1 for certain`, expected, (h) => {
      const id = h.confirmed();
      h.deliver(id, 0);
      h.giveBack(id);
      h.deliver(id, 0, { redelivered: true, count: 1 });
      h.flush(id);
      h.crash();
      h.deliver(id, 0, { redelivered: true, count });
    });
  }
  checkChain(t, 'limit', 'is more than the limit', ['resurrected', 'count'], (h) => {
    const id = h.confirmed();
    for (let count = 0; count <= 4; count++) {
      h.deliver(id, 0, { redelivered: count > 0, count });
      if (count < 4) h.giveBack(id);
    }
  });
  checkChain(t, 'limit', 'is the limit: it goes on', [], (h) => {
    const id = h.confirmed();
    for (let count = 0; count <= 3; count++) {
      h.deliver(id, 0, { redelivered: count > 0, count });
      h.giveBack(id);
    }
    h.deliver(id, 1, { reasons: ['delivery_limit'] });
    h.drained(id);
  });
  checkChain(t, 'limit', 'is less than the limit, and it goes on', ['death'], (h) => {
    const id = h.confirmed();
    h.deliver(id, 0);
    h.giveBack(id);
    h.deliver(id, 1, { reasons: ['delivery_limit'] });
  });
});

// The model itself: histories that a broker may have, and histories with one mistake, which must be reported as that mistake.
import t from 'tap';
import { check, type History } from './history.ts';

t.test('what was confirmed is there after a crash, what was not may be', async (t) => {
  check(t, 'there', [], (h) => {
    const id = h.confirmed();
    h.crash();
    h.drain([id]);
  });
  check(t, 'gone', ['lost'], (h) => {
    h.confirmed();
    h.crash();
    h.drain([]);
  });
  check(t, 'gone from one queue of two', ['lost'], (h) => {
    const id = h.confirmed('p', ['q', 'other']);
    h.crash();
    h.drain([id]);
    h.drain([], 0, 'other');
  });
  check(t, 'gone after it survived a crash and a drain', ['lost'], (h) => {
    const id = h.publish();
    h.crash();
    h.drain([id]);
    h.crash();
    h.drain([]);
  });
  for (const there of [true, false]) {
    check(t, `unconfirmed, ${there ? 'there' : 'gone'}`, [], (h) => {
      const id = h.publish();
      h.crash();
      h.drain(there ? [id] : []);
    });
  }
  check(t, 'unconfirmed, missing once and there later', ['resurrected'], (h) => {
    const id = h.publish();
    h.crash();
    h.drain([]);
    h.crash();
    h.drain([id]);
  });
  check(t, 'delivered, not acknowledged, gone', ['lost'], (h) => {
    h.deliver(h.confirmed());
    h.crash();
    h.drain([]);
  });
});

t.test('a transient message goes with a crash only', async (t) => {
  check(t, 'with a crash', [], (h) => {
    h.confirmed('transient');
    h.crash();
    h.drain([]);
  });
  check(t, 'without one', ['lost'], (h) => {
    h.confirmed('transient');
    h.drain([]);
  });
});

t.test('a message is there once', async (t) => {
  check(t, 'delivered to two at a time', ['duplicate'], (h) => {
    const id = h.confirmed();
    h.deliver(id);
    h.deliver(id, true);
  });
  check(t, 'delivered to two at a time while the broker stops, which gives back what the first had', [], (h) => {
    const id = h.confirmed();
    h.deliver(id);
    h.model.stopping();
    h.deliver(id, true);
  });
  check(t, 'drained twice', ['duplicate'], (h) => {
    const id = h.confirmed();
    h.crash();
    const ledger = h.model.queue('q');
    const entry = h.deliver(id);
    ledger.reconcile([entry, entry], 2);
  });
  check(t, 'in a queue that it was not for', ['stray'], (h) => {
    h.deliver(h.confirmed(), false, 'other');
  });
  check(t, 'in another number than the broker tells', ['miscounted'], (h) => {
    h.drain([h.confirmed()], 0, 'q', 2);
  });
});

t.test('what was delivered before is marked', async (t) => {
  for (const [redelivered, expected] of [
    [1, []],
    [0, ['unmarked']],
  ] as const) {
    check(t, `after a crash, marked: ${redelivered}`, expected, (h) => {
      const id = h.confirmed();
      h.deliver(id);
      h.crash();
      h.drain([id], redelivered);
    });
    check(t, `after a requeue, marked: ${redelivered}`, expected, (h) => {
      const id = h.confirmed();
      h.model.queue('q').returned(h.deliver(id));
      h.deliver(id, redelivered === 1);
    });
  }
  for (const [firsts, expected] of [
    [1, []],
    [2, ['unmarked']],
  ] as const) {
    check(t, `or overtakes its first delivery while the broker stops, which comes ${firsts} times`, expected, (h) => {
      const id = h.confirmed();
      h.model.stopping();
      h.deliver(id, true);
      for (let i = 0; i < firsts; i++) h.deliver(id);
    });
  }
  check(t, 'marked without a reason', ['marked'], (h) => {
    h.deliver(h.confirmed('p', ['own']), true, 'own');
  });
});

t.test('order', async (t) => {
  check(t, 'of one publisher', [], (h) => {
    const ids = [h.confirmed(), h.publish(), h.confirmed()];
    h.crash();
    h.drain(ids);
  });
  check(t, 'of one publisher, broken', ['reordered'], (h) => {
    const ids = [h.publish(), h.publish()];
    h.crash();
    h.drain(ids.toReversed(), 2);
  });
  check(t, 'of what was confirmed before something else was published', ['reordered'], (h) => {
    const ids = [h.confirmed('p'), h.confirmed('r')];
    h.crash();
    h.drain(ids.toReversed());
  });
  check(t, 'of what was published at the same time', [], (h) => {
    const ids = [h.publish('p'), h.publish('r')];
    for (const id of ids) h.confirm(id);
    h.crash();
    h.drain(ids.toReversed());
  });
  check(t, 'of a drain before', ['reordered'], (h) => {
    const ids = [h.publish('p'), h.publish('r')];
    h.crash();
    h.drain(ids);
    h.crash();
    h.drain(ids.toReversed(), 2);
  });
  check(t, 'of a redelivered message behind its old place', ['reordered'], (h) => {
    const ids = [h.confirmed(), h.confirmed()];
    h.model.queue('q').returned(h.deliver(ids[0]));
    h.crash();
    h.drain([ids[1], ids[0]], 2);
  });
  check(t, 'of deliveries on one channel', ['reordered'], (h) => {
    const ids = [h.confirmed(), h.confirmed()];
    h.deliver(ids[1]);
    h.deliver(ids[0]);
  });
  check(t, 'of redeliveries on one channel, which is free', [], (h) => {
    const ids = [h.confirmed(), h.confirmed()];
    h.model.queue('q').returned(h.deliver(ids[0]));
    h.deliver(ids[1]);
    h.deliver(ids[0], true);
  });
  check(t, 'of what one actor takes from its own queue', ['reordered'], (h) => {
    const ids = [h.confirmed('p', ['own']), h.confirmed('p', ['own'])];
    h.model.queue('own').checkHead(ids[0]);
    h.model.queue('own').checkHead(ids[1]);
  });
  check(t, 'and nothing taken though something is there', ['lost'], (h) => {
    h.confirmed('p', ['own']);
    h.model.queue('own').checkHead(null);
  });
});

t.test('order of priorities', async (t) => {
  for (const [title, order, expected] of [
    ['the highest first', [2, 3, 1, 0], []],
    ['a lower one before a higher one', [1, 2, 3, 0], ['reordered']],
    ['two of one priority, the highest that there is, the wrong way round', [3, 2, 1, 0], ['reordered']],
  ] as const) {
    for (const crashes of [false, true]) {
      check(t, `${title}, ${crashes ? 'after' : 'without'} a crash`, expected, (h) => {
        const ids = [0, 3, 9, 5].map((priority) => h.ranked(priority));
        if (crashes) h.crash();
        const drained = order.map((index) => ids[index]);
        h.drain(drained, crashes ? 4 : 0, 'ranked');
      });
    }
  }
  check(t, 'of what is taken first', ['reordered'], (h) => {
    const id = h.ranked(1);
    h.ranked(2);
    h.model.queue('ranked').checkHead(id);
  });
  check(t, 'of what is taken first, which came last', [], (h) => {
    h.ranked(1);
    h.model.queue('ranked').checkHead(h.ranked(2));
  });
});

t.test('a quorum queue', async (t) => {
  check(t, 'keeps what is transient', ['lost'], (h) => {
    h.confirmed('transient', ['quorum']);
    h.crash();
    h.drain([], 0, 'quorum');
  });
  check(t, 'puts what comes back at its end', [], (h) => {
    const ids = [h.confirmed('p', ['quorum']), h.confirmed('p', ['quorum'])];
    h.model.queue('quorum').returned(h.deliver(ids[0], false, 'quorum'));
    h.crash();
    h.drain([ids[1], ids[0]], 2, 'quorum');
  });
  check(t, 'keeps the rest in order', ['reordered'], (h) => {
    const ids = [h.confirmed('p', ['quorum']), h.confirmed('p', ['quorum']), h.confirmed('p', ['quorum'])];
    h.model.queue('quorum').returned(h.deliver(ids[0], false, 'quorum'));
    h.crash();
    h.drain([ids[2], ids[1], ids[0]], 3, 'quorum');
  });
});

t.test('what was acknowledged', async (t) => {
  check(t, 'and flushed comes back', ['resurrected'], (h) => {
    const id = h.confirmed();
    h.flush(id);
    h.crash();
    h.drain([id], 1);
  });
  check(t, 'and not flushed comes back, marked', [], (h) => {
    const id = h.confirmed();
    h.acknowledge(id);
    h.crash();
    h.drain([id], 1);
  });
  check(t, 'and not flushed comes back, unmarked', ['unmarked'], (h) => {
    const id = h.confirmed();
    h.acknowledge(id);
    h.crash();
    h.drain([id]);
  });
  check(t, 'and not flushed is gone', [], (h) => {
    h.acknowledge(h.confirmed());
    h.crash();
    h.drain([]);
  });
  check(t, 'comes back without a crash', ['resurrected'], (h) => {
    const id = h.confirmed();
    h.acknowledge(id);
    h.deliver(id, true);
  });
  check(t, 'came back, was given back, and is gone', ['lost'], (h) => {
    const id = h.confirmed();
    h.acknowledge(id);
    h.crash();
    h.drain([id], 1);
    h.crash();
    h.drain([]);
  });
});

t.test('what was purged or deleted', async (t) => {
  check(t, 'comes back', ['resurrected'], (h) => {
    const id = h.confirmed('p', ['own']);
    h.model.queue('own').purgeSent();
    h.model.queue('own').purged();
    h.crash();
    h.drain([id], 0, 'own');
  });
  check(t, 'comes back with a new queue of that name', ['resurrected'], (h) => {
    const id = h.confirmed('p', ['own']);
    h.model.queue('own').deleted();
    h.drain([id], 0, 'own');
  });
  check(t, 'may come back when the purge was not answered', [], (h) => {
    const id = h.confirmed('p', ['own']);
    h.model.queue('own').purgeSent();
    h.crash();
    h.drain([id], 0, 'own');
  });
  for (const when of ['before', 'after'] as const) {
    check(
      t,
      `by a deletion that did not take place, confirmed ${when} it was sent`,
      when === 'before' ? ['lost'] : [],
      (h) => {
        const id = h.publish('p', ['own']);
        if (when === 'before') h.confirm(id);
        h.model.queue('own').deleteSent();
        h.confirm(id);
        h.crash();
        h.drain([], 0, 'own');
      },
    );
  }
  check(t, 'without what a client had', ['lost'], (h) => {
    h.deliver(h.confirmed('p', ['own']), false, 'own');
    h.model.queue('own').purgeSent();
    h.model.queue('own').purged();
    h.crash();
    h.drain([], 0, 'own');
  });
  check(t, 'by others, so that nobody knows', [], (h) => {
    h.confirmed();
    h.model.queue('q').purgeSent();
    h.model.queue('q').purged();
    h.drain([]);
  });
});

t.test('a transaction that was not answered', async (t) => {
  /** Acknowledges one message and publishes two, to two queues; then the broker dies. */
  const tell = (h: History): { acknowledged: string; published: [string, string] } => {
    const acknowledged = h.confirmed('r');
    const commit = h.model.begin('the commit');
    const published: [string, string] = [h.publish('p', ['q'], commit), h.publish('p', ['other'], commit)];
    commit.acknowledges({ ledger: h.model.queue('q'), entry: h.deliver(acknowledged) });
    commit.sent();
    h.crash();
    return { acknowledged, published };
  };
  check(t, 'took place', [], (h) => {
    const { published } = tell(h);
    h.drain([published[0]]);
    h.drain([published[1]], 0, 'other');
  });
  check(t, 'did not take place', [], (h) => {
    const { acknowledged } = tell(h);
    h.drain([acknowledged], 1);
    h.drain([], 0, 'other');
  });
  check(t, 'published to one queue only', ['half'], (h) => {
    const { published } = tell(h);
    h.drain([published[0]]);
    h.drain([], 0, 'other');
  });
  check(t, 'published and did not acknowledge', ['half'], (h) => {
    const { acknowledged, published } = tell(h);
    h.drain([acknowledged, published[0]], 1);
    h.drain([published[1]], 0, 'other');
  });
  check(t, 'acknowledged and did not publish', ['half'], (h) => {
    tell(h);
    h.drain([]);
    h.drain([], 0, 'other');
  });
  check(t, 'is seen in part two crashes later', ['half'], (h) => {
    const { published } = tell(h);
    h.drain([published[0]]);
    h.crash();
    h.drain([published[0]], 1);
    h.drain([], 0, 'other');
  });
});

t.test('a transaction that was answered, or never sent', async (t) => {
  check(t, 'committed, and lost', ['lost'], (h) => {
    const commit = h.model.begin('the commit');
    h.publish('p', ['q'], commit);
    commit.sent();
    h.model.committed(commit);
    h.crash();
    h.drain([]);
  });
  check(t, 'committed, and its acknowledgement lost', ['resurrected'], (h) => {
    const id = h.confirmed();
    const commit = h.model.begin('the commit');
    commit.acknowledges({ ledger: h.model.queue('q'), entry: h.deliver(id) });
    commit.sent();
    h.model.committed(commit);
    h.crash();
    h.drain([id], 1);
  });
  for (const end of ['rolled back', 'cut off']) {
    check(t, `${end}, and there`, ['resurrected'], (h) => {
      const commit = h.model.begin('the commit');
      const id = h.publish('p', ['q'], commit);
      if (end === 'rolled back') h.model.rolledBack(commit);
      h.crash();
      h.drain([id]);
    });
    check(t, `${end}, and acknowledged all the same`, ['lost'], (h) => {
      const id = h.confirmed();
      const commit = h.model.begin('the commit');
      commit.acknowledges({ ledger: h.model.queue('q'), entry: h.deliver(id) });
      if (end === 'rolled back') h.model.rolledBack(commit);
      h.crash();
      h.drain([]);
    });
  }
  check(t, 'delivered before the commit', ['half'], (h) => {
    const commit = h.model.begin('the commit');
    h.deliver(h.publish('p', ['q'], commit));
  });
});

// What a delay queue does that its model does not tell: who is told when, what the disk is asked, and what it costs.
import t from 'tap';
import { DelayBench } from './delay-bench.ts';
import { bodyText } from './helper.ts';

const SECOND = 1000;

/** So many messages that are due after so long. */
function publish(bench: DelayBench, count: number, delayMs: number): string[] {
  return Array.from({ length: count }, () => bench.publish(delayMs));
}

t.test('a message is confirmed when it is safe; one that is not to last is at once', async (t) => {
  const bench = new DelayBench();
  const { store } = bench;
  store.unconfirmed = [];
  const told: string[] = [];
  const confirmation = (name: string) => ({ settled: (accepted: boolean) => told.push(`${name} ${accepted}`) });
  bench.publish(100, true, confirmation('persistent'));
  bench.publish(100, false, confirmation('transient'));
  t.same(told, ['transient true']);
  store.confirm();
  t.same(told, ['transient true', 'persistent true']);
  const other = new DelayBench({ durable: false });
  other.store.unconfirmed = [];
  other.publish(100, true, confirmation('of a transient exchange'));
  t.equal(told.at(-1), 'of a transient exchange true');
  t.same(other.store.log, [], 'its messages are nothing to be written');
  bench.close();
  other.close();
});

t.test('the disk is told that a message moved after it was sent, in the same go', async (t) => {
  const bench = new DelayBench();
  const text = bench.publish(5);
  bench.onSend = () => bench.store.log.push('sent');
  bench.advance(10);
  t.match(bench.store.log.slice(1), ['sent', `move ${text} at`]);
  t.equal(bench.store.alive.size, 0);
});

t.test('what is on disk is read a second before it is due, and what is in memory waits for it', async (t) => {
  const bench = new DelayBench();
  const { store, clock } = bench;
  const texts = publish(bench, 3, 10 * SECOND);
  store.pageOut();
  t.equal(store.pagedCount, 3);
  t.equal(bench.queue.readyBytes, 0);
  texts.push(bench.publish(10 * SECOND));
  bench.advance(9 * SECOND - 10);
  t.notOk(store.isLoading, 'not too early');
  bench.advance(20);
  t.ok(store.isLoading);
  bench.advance(2 * SECOND);
  t.same(bench.sent, [], 'the last must not leave first, though the disk is late');
  store.answer(2);
  bench.advance(10);
  t.same(bench.sent, texts.slice(0, 2));
  t.ok(store.isLoading);
  store.answer(2);
  bench.advance(10);
  t.same(bench.sent, texts);
  t.equal(clock.pendingTimers, 0, 'nothing is waited for');
});

t.test('what is due soon stays in memory, unless all must go', async (t) => {
  const bench = new DelayBench();
  const { store } = bench;
  publish(bench, 2, SECOND);
  publish(bench, 3, 3 * SECOND);
  store.pageOut();
  t.equal(store.pagedCount, 3);
  store.pageOut(true);
  t.equal(store.pagedCount, 5);
  bench.clock.endTurn();
  t.ok(store.isLoading, 'and what is due soon is wanted back');
  bench.settle();
  bench.advance(SECOND);
  t.equal(bench.sent.length, 2);
});

t.test('it gives up nothing when what is asked for is not there', async (t) => {
  const bench = new DelayBench();
  publish(bench, 3, SECOND);
  const [first] = bench.store.alive.keys();
  t.same(bench.queue.giveUp(first - 1), { messages: [], positions: [] });
  t.equal(bench.queue.messageCount, 3);
  t.equal(bench.queue.giveUp(first).messages.length, 3, 'it gives up all when some of it is');
  t.equal(bench.queue.readyBytes, 0);
});

t.test('no more is read ahead than memory should hold', async (t) => {
  const bench = new DelayBench();
  const { store } = bench;
  publish(bench, 20_000, 10 * SECOND);
  store.pageOut();
  bench.advance(9 * SECOND);
  while (store.isLoading) {
    store.answer(2000);
    bench.advance(1);
  }
  t.equal(bench.queue.messageCount, 20_000);
  t.equal(store.pagedCount, 2000, 'eighteen thousand are in memory');
  bench.advance(SECOND);
  bench.settle();
  t.equal(bench.sent.length, 20_000);
});

t.test('large messages are read ahead until there are enough bytes', async (t) => {
  const bench = new DelayBench();
  const { store } = bench;
  const texts = Array.from({ length: 24 }, () => bench.publish(10 * SECOND, true, null, 1024 * 1024));
  store.pageOut();
  bench.advance(9 * SECOND);
  while (store.isLoading) {
    store.answer(4);
    bench.advance(1);
  }
  t.equal(store.pagedCount, 8);
  bench.advance(SECOND);
  bench.settle();
  t.ok(bench.sent.every((text, i) => text === texts[i]));
  t.equal(bench.sent.length, 24);
});

t.test('many that are due in the same millisecond leave in order, within a few milliseconds', async (t) => {
  const bench = new DelayBench();
  const texts = publish(bench, 20_000, 50);
  texts.push(...publish(bench, 10, 51));
  const steps: number[] = [];
  bench.onSend = () => {
    steps[bench.nowMs] = (steps[bench.nowMs] ?? 0) + 1;
  };
  bench.advance(100);
  t.equal(bench.sent.length, texts.length);
  // What has no room in its millisecond goes to the next ones, and shares them with what is due then.
  t.same([...bench.sent].sort(), [...texts].sort());
  t.same(bench.sent.slice(0, 20_000), texts.slice(0, 20_000));
  t.ok(Math.max(...Object.values(steps)) <= 1024, 'others have their turn meanwhile');
});

t.test('a place is found without a look at all that are taken', async (t) => {
  const bench = new DelayBench();
  const { store, queue } = bench;
  publish(bench, 10_000, 60 * SECOND);
  store.pageOut();
  const places = [...store.alive.keys()];
  let asked = 0;
  store.isPagedOut = (position) => {
    asked++;
    return store.alive.has(position) && position <= places[places.length - 1];
  };
  const last = bench.publish(60 * SECOND);
  t.ok(asked <= 1, 'the next one is known');
  // So many others that it is not known any more.
  // A millisecond whose next place is remembered where that of the others was.
  bench.publish(60 * SECOND + 65_536);
  asked = 0;
  bench.publish(60 * SECOND);
  t.ok(asked > 1 && asked < 50, `${asked} were looked at`);
  const sorted = [...store.alive].filter(([, text]) => text.startsWith('60000 ')).map(([position]) => position);
  t.same(
    sorted,
    Array.from({ length: 10_002 }, (_, i) => places[0] + i),
    'the places of a millisecond are given one after the other',
  );
  t.equal(store.alive.get(places[places.length - 1] + 1), last);
  t.equal(queue.messageCount, 10_003);
});

t.test('a defect with one message keeps no other back', async (t) => {
  const bench = new DelayBench();
  const [bad, good] = [bench.publish(5), bench.publish(5)];
  const error = new Error('of ours');
  bench.onSend = (text) => {
    if (text === bad) throw error;
  };
  bench.advance(10);
  t.same(bench.defects, [error]);
  t.same(bench.sent, [bad, good]);
  t.equal(bench.memory.usedBytes, 0);
  t.equal(bench.store.alive.size, 0);
});

t.test('what is held pins no chunk', async (t) => {
  const bench = new DelayBench();
  publish(bench, 3, SECOND);
  const { messages } = bench.queue.giveUp(-1);
  t.equal(messages.length, 0);
  bench.clock.endTurn();
  const all = bench.queue.giveUp(Number.MAX_SAFE_INTEGER).messages;
  t.equal(all.length, 3);
  for (const message of all) t.ok(message.bodyBuffer.length < 1000, bodyText(message));
});

t.test('a clock that is set back makes nothing leave again, or early', async (t) => {
  const bench = new DelayBench();
  bench.publish(100);
  bench.advance(110);
  bench.clock.offsetMs = -60 * SECOND;
  const [before] = bench.positions;
  const text = bench.publish(50);
  t.ok([...bench.store.alive.keys()][0] > before);
  bench.advance(200 * SECOND);
  t.same(bench.sent.slice(1), [text]);
});

t.test('places of before a restart are not given again, though the clock was set back meanwhile', async (t) => {
  const before = new DelayBench();
  publish(before, 3, 100);
  before.advance(110);
  const spent = new Set(before.positions);
  t.equal(spent.size, 3);
  let askedFrom = -1;
  const bench = new DelayBench({}, (from) => {
    askedFrom = from;
    return spent;
  });
  t.ok(askedFrom < Math.min(...spent));
  const texts = publish(bench, 3, 100);
  for (const position of bench.store.alive.keys()) t.notOk(spent.has(position));
  bench.advance(110);
  t.same(bench.sent, texts);
});

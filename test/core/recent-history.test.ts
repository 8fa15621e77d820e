import fc from 'fast-check';
import t from 'tap';
import type { HistoryRule } from '../../exchanges/exchange-type.ts';
import { fanoutExchange } from '../../exchanges/fanout.ts';
import { type Destination, NO_ARGUMENTS } from '../../lib/core/binding.ts';
import { Exchange } from '../../lib/core/exchange.ts';
import { MESSAGE_OVERHEAD_BYTES, MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import type { Queue } from '../../lib/core/queue.ts';
import { Histories, type RecentHistory, RecordingRouter } from '../../lib/core/recent-history.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { bodyText, defect, type MessageOptions, messageOf, TestClock } from './helper.ts';

/** Histories of a virtual host with this much memory; a tenth of it is theirs. */
function createHistories(limitBytes = 2 ** 40) {
  const clock = new TestClock();
  const memory = new MemoryAccount(limitBytes, 2 ** 40);
  const turn = new TurnScheduler(clock);
  return { clock, memory, histories: new Histories({ memory, turn, slab: new RetentionSlab(), clock, defect }) };
}

function rule(length: number): HistoryRule {
  return { length, keeps: (message) => message.routingKey !== 'secret' };
}

/** A queue that only takes what is published to it. */
function queueInto(messages: Message[]): Queue {
  const taking: Pick<Queue, 'isExchange' | 'publish'> = {
    isExchange: false,
    publish: (message) => messages.push(message),
  };
  return taking as Queue;
}

function replayed(history: RecentHistory): Message[] {
  const messages: Message[] = [];
  history.replay(queueInto(messages));
  return messages;
}

function record(history: RecentHistory, body: string, options: MessageOptions = {}): Message {
  const message = messageOf(body, options);
  history.record(message, []);
  return message;
}

t.test('the last messages are kept, those that the rule keeps', async (t) => {
  const { histories, memory } = createHistories();
  const history = histories.create(rule(2));
  t.same(replayed(history), []);
  for (const body of ['1', '2', '3']) record(history, body);
  record(history, 'not kept', { routingKey: 'secret' });
  t.same(replayed(history).map(bodyText), ['2', '3']);
  t.equal(history.size, 2);
  history.clear();
  t.same(replayed(history), []);
  t.equal(memory.usedBytes, 0);
  t.equal(histories.usedBytes, 0);
});

t.test('whatever is recorded, the last are held, in order, and all memory is given back', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 80 }), fc.nat(400), fc.boolean(), (length, count, turns) => {
      const { histories, memory, clock } = createHistories();
      const history = histories.create(rule(length));
      const bodies = Array.from({ length: count }, (_, i) => `${i}`);
      for (const body of bodies) {
        record(history, body, { chunkBytes: 1000 });
        if (turns) clock.endTurn();
      }
      const right = JSON.stringify(replayed(history).map(bodyText)) === JSON.stringify(bodies.slice(-length));
      history.clear();
      return right && memory.usedBytes === 0 && histories.usedBytes === 0;
    }),
    { numRuns: 60 },
  );
});

t.test('what is replayed is a message of its own, whose time to live begins anew', async (t) => {
  const { histories, clock } = createHistories();
  const history = histories.create(rule(5));
  const brief = record(history, 'brief', { properties: { expiration: '100', messageId: 'id' } });
  brief.expiresAtMs = clock.epoch + 100;
  brief.persistent = true;
  brief.stored = {};
  record(history, 'lasting');
  clock.epoch += 5000;
  const [first, second] = replayed(history);
  t.not(first, brief);
  t.match(first, { persistent: true, expiresAtMs: clock.epoch + 100, stored: null, references: 0 });
  t.equal(first.property('message_id'), 'id');
  t.match(second, { persistent: false, expiresAtMs: 0 });
});

t.test('what is left after a turn does not pin the chunks that it came in', async (t) => {
  const { histories, clock } = createHistories();
  const history = histories.create(rule(2));
  const all = ['1', '2', '3'].map((body) => record(history, body, { chunkBytes: 60_000 }));
  clock.endTurn();
  t.same(
    all.map((message) => message.bodyBuffer.length > 60_000),
    [true, false, false],
    'only what is held is copied',
  );
  t.same(replayed(history).map(bodyText), ['2', '3']);
  const next = record(history, '4', { chunkBytes: 60_000 });
  t.equal(clock.pendingTasks, 1);
  history.clear();
  clock.endTurn();
  t.ok(next.bodyBuffer.length > 60_000, 'what is gone before the end of the turn is not copied');
});

t.test('histories fill a tenth of the memory at most', async (t) => {
  const body = 'x'.repeat(1000);
  const { histories, memory } = createHistories(10 * 5 * (body.length + MESSAGE_OVERHEAD_BYTES + 2));
  const [large, small] = [histories.create(rule(1e9)), histories.create(rule(2))];
  for (let i = 0; i < 20; i++) record(large, body);
  t.equal(large.size, 5);
  t.ok(memory.usedBytes < memory.limitBytes / 5);
  record(small, 'y');
  t.equal(small.size, 0, 'a history makes room among its own messages only');
  large.clear();
  record(small, 'y');
  t.equal(small.size, 1);
  record(small, 'x'.repeat(20_000));
  t.equal(small.size, 0, 'a message that is larger than all of the room takes it and is not kept');
  t.equal(histories.usedBytes, 0);
});

t.test('a router that records routes as its own does', async (t) => {
  const { histories } = createHistories();
  const history = histories.create(rule(5));
  const router = new RecordingRouter(fanoutExchange.createRouter<Destination>(NO_ARGUMENTS), history);
  const settings = {
    name: 'x',
    type: 'x',
    durable: false,
    autoDelete: false,
    internal: false,
    arguments: NO_ARGUMENTS,
  };
  const exchange = new Exchange(settings, fanoutExchange, router, () => undefined, history);
  const messages: Message[] = [];
  const binding = { destination: queueInto(messages), bindingKey: '', arguments: NO_ARGUMENTS };
  router.bind(binding);
  const into: Destination[] = [];
  const nothing = { routingKey: 'k', headers: null, property: () => null };
  router.route(nothing, into);
  t.equal(into.length, 1);
  t.equal(history.size, 0, 'what is no message is routed, but not recorded');
  router.route(messageOf('one'), into);
  router.routeTogether(messageOf('two'), [nothing], into);
  t.equal(history.size, 2, 'one with further keys is recorded once');
  history.replay(exchange);
  t.same(messages.map(bodyText), ['two', 'one'], 'an exchange gets the newest first, and here records them once more');
  t.equal(history.size, 4);
  router.unbind(binding);
  into.length = 0;
  router.route(nothing, into);
  t.same(into, []);
});

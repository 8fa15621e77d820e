// What a connection reads: in order, one chunk at a time, and nothing while it is held back.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../../lib/clock.ts';
import { TurnScheduler } from '../../../lib/core/turn.ts';
import { HELD_BY_ALARM, HELD_BY_FLOW, HELD_BY_OUTPUT, Input } from '../../../lib/protocols/amqp/input.ts';
import { sequenceOf } from '../../core/helper.ts';

const REASONS = [HELD_BY_ALARM, HELD_BY_OUTPUT, HELD_BY_FLOW];

/** An input whose taker may be told to take but a part of a chunk and hold. */
function setUp() {
  const stream = new PassThrough();
  const writeState = { writing: false };
  const taken: string[] = [];
  let during = (): number | undefined => undefined;
  const turn = new TurnScheduler(systemClock);
  const input = new Input(stream, writeState, turn, (chunk) => {
    const size = during() ?? chunk.length;
    taken.push(chunk.toString('latin1', 0, size));
    return size;
  });
  const send = (text: string): void => {
    stream.emit('data', Buffer.from(text));
  };
  const onTake = (run: () => number | undefined): void => {
    during = run;
  };
  return { stream, input, writeState, taken, send, onTake };
}

t.test('chunks are taken as they come', async (t) => {
  const { input, taken, send } = setUp();
  t.notOk(input.received);
  send('a');
  t.same(taken, ['a']);
  t.ok(input.received);
});

t.test('nothing is taken while any reason holds it back', async (t) => {
  const { input, stream, taken, send } = setUp();
  input.hold(HELD_BY_ALARM);
  input.hold(HELD_BY_OUTPUT);
  t.ok(stream.isPaused());
  send('a');
  t.ok(input.received, 'it counts as a sign of life all the same');
  input.release(HELD_BY_ALARM);
  await nextTurn();
  t.same(taken, []);
  t.ok(input.held);
  t.notOk(input.isHeldBy(HELD_BY_ALARM));
  t.notOk(input.isHeldBy(HELD_BY_ALARM | HELD_BY_FLOW));
  t.ok(input.isHeldBy(HELD_BY_ALARM | HELD_BY_OUTPUT), 'one of several is enough');
  input.release(HELD_BY_OUTPUT);
  await nextTurn();
  t.same(taken, ['a']);
  t.notOk(stream.isPaused());
});

t.test('what comes in the middle of something else waits for its end', async (t) => {
  const { writeState, taken, send, onTake } = setUp();
  onTake(() => {
    onTake(() => undefined);
    send('b');
    return undefined;
  });
  send('a');
  t.same(taken, ['a'], 'not within the taking of another');
  send('c');
  await nextTurn();
  t.same(taken, ['a', 'b', 'c']);
  writeState.writing = true;
  send('d');
  t.equal(taken.length, 3, 'nor while the broker is writing');
  writeState.writing = false;
  await nextTurn();
  t.equal(taken.join(''), 'abcd');
});

t.test('what was left when reading was held back is taken later, before what follows', async (t) => {
  const { input, taken, send, onTake } = setUp();
  onTake(() => {
    onTake(() => undefined);
    input.hold(HELD_BY_OUTPUT);
    return 2;
  });
  send('abcd');
  send('ef');
  await nextTurn();
  t.same(taken, ['ab']);
  input.release(HELD_BY_OUTPUT);
  await nextTurn();
  t.same(taken, ['ab', 'cd', 'ef']);
});

t.test('a connection gets its share of a turn, and the rest in the turns after', async (t) => {
  const { input, taken, send } = setUp();
  const chunk = 'x'.repeat(32 * 1024);
  for (let i = 0; i < 5; i++) send(chunk);
  t.equal(taken.length, 2, '64 KiB');
  t.ok(input.held);
  await nextTurn();
  t.equal(taken.length, 4, 'the same in the next turn, though it waited here already');
  await nextTurn();
  t.equal(taken.length, 5);
  t.notOk(input.held);
  for (let i = 0; i < 10; i++) {
    await nextTurn();
    send(chunk);
  }
  t.equal(taken.length, 15, 'what comes slowly is taken as it comes');
});

t.test('all bytes are taken once and in order, however reading is held back and released', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 9 }) }) },
    fc.record({ hold: fc.constantFrom(...REASONS) }),
    fc.record({ release: fc.constantFrom(...REASONS) }),
    fc.record({ holdAfter: fc.integer({ min: 1, max: 5 }) }),
    fc.constant({ turn: true }),
  );
  await fc.assert(
    fc.asyncProperty(sequenceOf(step), async (steps) => {
      const { input, taken, send, onTake } = setUp();
      let sent = '';
      for (const each of steps) {
        if ('send' in each) {
          const text = Array.from({ length: each.send }, (_, i) => String.fromCharCode(97 + ((sent.length + i) % 26)));
          sent += text.join('');
          send(text.join(''));
        } else if ('hold' in each) input.hold(each.hold);
        else if ('release' in each) input.release(each.release);
        else if ('turn' in each) await nextTurn();
        else {
          onTake(() => {
            onTake(() => undefined);
            input.hold(HELD_BY_OUTPUT);
            return 1;
          });
        }
        assert.ok(sent.startsWith(taken.join('')));
      }
      onTake(() => undefined);
      for (const reason of REASONS) input.release(reason);
      await nextTurn();
      assert.equal(taken.join(''), sent);
    }),
  );
});

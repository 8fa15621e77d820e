// Heartbeats by a clock that the test moves.
import t from 'tap';
import { Heartbeat } from '../../../lib/protocols/amqp/heartbeat.ts';

/** A heartbeat of ten seconds whose peer sends or does not; the clock is in seconds. */
function start(intervalSeconds = 10) {
  const heartbeat = new Heartbeat(intervalSeconds, 0);
  let written = 0;
  return {
    tick(seconds: number, { hears = false, writes = false } = {}): string {
      if (writes) written++;
      return heartbeat.tick(seconds * 1000, written, hears);
    },
  };
}

t.test('a silent peer is dead after two intervals, not before', async (t) => {
  const { tick } = start();
  t.not(tick(20), 'dead');
  t.equal(tick(20.001), 'dead');
});

t.test('any sign of life counts', async (t) => {
  const { tick } = start();
  t.not(tick(15, { hears: true }), 'dead');
  t.not(tick(35), 'dead', 'two intervals since then');
  t.equal(tick(35.001), 'dead');
});

t.test('half an interval of silence on our side is the time to send', async (t) => {
  const { tick } = start();
  t.equal(tick(4), 'nothing');
  t.equal(tick(5), 'send');
  t.equal(tick(6, { writes: true }), 'nothing', 'the heartbeat itself');
  t.equal(tick(10.9), 'nothing');
  t.equal(tick(11), 'send');
});

t.test('what is written anyway needs no heartbeat beside it', async (t) => {
  const { tick } = start();
  for (let second = 1; second <= 19; second++) t.equal(tick(second, { writes: true }), 'nothing');
});

t.test('an interval of zero is off', async (t) => {
  const { tick } = start(0);
  t.equal(tick(1_000_000), 'nothing');
});

t.test('with ticks of a second, both sides hear one another at any interval from one second on', async (t) => {
  for (const interval of [1, 2, 3, 60]) {
    const { tick } = start(interval);
    let silence = 0;
    for (let second = 1; second <= 200; second++) {
      const action = tick(second, { hears: second % interval === 0, writes: silence === 0 && second > 1 });
      t.not(action, 'dead') || t.bailout();
      silence = action === 'send' ? 0 : silence + 1;
      if (silence > interval) t.fail(`silent for ${silence} s of an interval of ${interval} s`);
    }
  }
});

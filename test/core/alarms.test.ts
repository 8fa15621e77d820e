// Resource alarms together. What is said and when is as RabbitMQ 3.10.8 does it.
import t from 'tap';
import { Alarms } from '../../lib/core/alarms.ts';

t.test('the reason names what is short, in the same order always', async (t) => {
  const alarms = new Alarms();
  t.notOk(alarms.raised);
  alarms.set('memory', true);
  t.ok(alarms.raised);
  t.equal(alarms.reason, 'low on memory');
  alarms.set('disk', true);
  t.equal(alarms.reason, 'low on disk & memory');
  alarms.set('memory', false);
  t.equal(alarms.reason, 'low on disk');
  alarms.set('memory', true);
  t.equal(alarms.reason, 'low on disk & memory');
});

t.test('the first alarm and the end of the last are told, and nothing in between', async (t) => {
  const alarms = new Alarms();
  const changes: boolean[] = [];
  alarms.watch((raised) => {
    t.equal(alarms.raised, raised, 'it is so when it is told');
    changes.push(raised);
  });
  alarms.set('disk', false);
  t.same(changes, []);
  alarms.set('disk', true);
  alarms.set('disk', true);
  alarms.set('memory', true);
  alarms.set('disk', false);
  t.same(changes, [true]);
  alarms.set('memory', false);
  alarms.set('memory', false);
  t.same(changes, [true, false]);
});

t.test('who stops watching hears no more', async (t) => {
  const alarms = new Alarms();
  const [changes, others]: boolean[][] = [[], []];
  const stop = alarms.watch((raised) => changes.push(raised));
  alarms.watch((raised) => others.push(raised));
  alarms.set('memory', true);
  stop();
  alarms.set('memory', false);
  t.same(changes, [true]);
  t.same(others, [true, false]);
});

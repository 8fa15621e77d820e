// The flow of publishes: held while anybody holds it.
import t from 'tap';
import { CONGESTED_BY_LOG, PublishFlow } from '../../lib/core/publish-flow.ts';

/** A reason that only this test has. */
const ANOTHER = 2;

t.test('it is congested while there is any reason, and its changes are told', async (t) => {
  const flow = new PublishFlow();
  const changes: boolean[] = [];
  flow.watch((congested) => {
    t.equal(flow.congested, congested, 'it is so when it is told');
    changes.push(congested);
  });
  t.notOk(flow.congested);
  flow.release(CONGESTED_BY_LOG);
  t.same(changes, []);
  flow.hold(CONGESTED_BY_LOG);
  flow.hold(CONGESTED_BY_LOG);
  flow.hold(ANOTHER);
  t.same(changes, [true]);
  flow.release(CONGESTED_BY_LOG);
  t.ok(flow.congested);
  t.same(changes, [true], 'one reason is left');
  flow.release(ANOTHER);
  flow.release(ANOTHER);
  t.notOk(flow.congested);
  t.same(changes, [true, false]);
});

t.test('who stops watching hears no more, even when it stops on being told', async (t) => {
  const flow = new PublishFlow();
  const [changes, others]: boolean[][] = [[], []];
  const stop = flow.watch((congested) => {
    changes.push(congested);
    stop();
  });
  flow.watch((congested) => others.push(congested));
  flow.hold(CONGESTED_BY_LOG);
  flow.release(CONGESTED_BY_LOG);
  t.same(changes, [true]);
  t.same(others, [true, false]);
});

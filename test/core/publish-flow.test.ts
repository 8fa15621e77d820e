// The flow of publishes: held while anybody holds it.
import t from 'tap';
import {
  CONGESTED_BY_LOG,
  CONGESTED_BY_MEMORY,
  CONGESTED_BY_PAGING,
  PublishFlow,
} from '../../lib/core/publish-flow.ts';
import type { MessageTarget } from '../../lib/core/queue.ts';
import { messageOf } from './helper.ts';

/** Another reason. */
const ANOTHER = CONGESTED_BY_PAGING;

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

t.test('it concerns whoever publishes what is in the way', async (t) => {
  const message = messageOf(Buffer.from('body'));
  const queue = (readyBytes: number, logs: boolean): MessageTarget => {
    return { name: 'q', isExchange: false, publish() {}, readyBytes, logs: () => logs };
  };
  const [small, large, logged] = [queue(1000, false), queue(1024 * 1024, false), queue(1000, true)];
  const kinds = { nothing: [], small: [small], large: [small, large], logged: [small, logged] };
  for (const [reason, expected] of [
    [CONGESTED_BY_LOG, ['logged']],
    [CONGESTED_BY_PAGING, ['large']],
    [CONGESTED_BY_PAGING | CONGESTED_BY_LOG, ['large', 'logged']],
    [CONGESTED_BY_PAGING | CONGESTED_BY_MEMORY, ['nothing', 'small', 'large', 'logged']],
  ] as const) {
    const flow = new PublishFlow();
    flow.hold(reason);
    const concerned = Object.entries(kinds).filter(([, targets]) => flow.concerns(message, targets));
    t.same(
      concerned.map(([kind]) => kind),
      expected,
    );
  }
});

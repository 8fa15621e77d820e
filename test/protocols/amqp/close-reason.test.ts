// The reasons for which connections end.
import t from 'tap';
import { CLOSE_REASONS, isQuiet } from '../../../lib/protocols/amqp/close-reason.ts';

t.test('each reason is there once, in words that log queries can rely on', async (t) => {
  t.equal(new Set(CLOSE_REASONS).size, CLOSE_REASONS.length);
  for (const reason of CLOSE_REASONS) t.match(reason, /^[a-z]+(-[a-z]+)*$/);
});

t.test('what was asked for is quiet, everything else is worth a warning', async (t) => {
  t.same(CLOSE_REASONS.filter(isQuiet), ['client-close', 'forced', 'shutdown']);
});

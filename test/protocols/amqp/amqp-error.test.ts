// What a thrown value says to the peer.
import t from 'tap';
import { CodecError } from '../../../codec/errors.ts';
import { BrokerError, type Condition } from '../../../lib/core/errors.ts';
import { AmqpError, toCloseNotice } from '../../../lib/protocols/amqp/amqp-error.ts';

const HANDLED = 0x0032000a;

t.test(
  'a refusal of the broker model becomes the reply code of its name, at the method that was handled',
  async (t) => {
    const codes: Record<Condition, number> = {
      NOT_FOUND: 404,
      ACCESS_REFUSED: 403,
      RESOURCE_LOCKED: 405,
      PRECONDITION_FAILED: 406,
      COMMAND_INVALID: 503,
      NOT_ALLOWED: 530,
      NOT_IMPLEMENTED: 540,
    };
    for (const [condition, replyCode] of Object.entries(codes)) {
      const notice = toCloseNotice(new BrokerError(condition as Condition, 'text'), HANDLED);
      t.same(notice, { replyCode, message: 'text', methodId: HANDLED });
    }
  },
);

t.test('an AMQP error names its own method, or that which was handled', async (t) => {
  t.same(toCloseNotice(new AmqpError('FRAME_ERROR', 'text', 0), HANDLED), {
    replyCode: 501,
    message: 'text',
    methodId: 0,
  });
  t.equal(toCloseNotice(new AmqpError('NOT_ALLOWED', 'text'), HANDLED)?.methodId, HANDLED);
});

t.test('a codec error says what the codec says', async (t) => {
  const notice = toCloseNotice(new CodecError(502, 'text', 7, 'more for the log'), HANDLED);
  t.same(notice, { replyCode: 502, message: 'text', methodId: 7 });
});

t.test('anything else is a defect of ours, and no notice', async (t) => {
  for (const thrown of [new Error('x'), new TypeError('x'), 'x', undefined, null]) {
    t.equal(toCloseNotice(thrown, HANDLED), undefined);
  }
});

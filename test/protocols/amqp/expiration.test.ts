// The expiration property, as RabbitMQ 3.10 reads and refuses it.
import fc from 'fast-check';
import t from 'tap';
import { checkExpiration } from '../../../lib/protocols/amqp/expiration.ts';
import { amqpError } from './helper.ts';

t.test('a number of milliseconds up to ten years is taken', async (t) => {
  for (const text of ['0', '1', '+5', '-0', '00060000', '315360000000']) checkExpiration(text);
  fc.assert(fc.property(fc.integer({ min: 0, max: 315_360_000_000 }), (ms) => checkExpiration(`${ms}`)));
  t.pass();
});

t.test('anything else is refused in the words of RabbitMQ', async (t) => {
  const cases: [text: string, problem: string][] = [
    ['', 'no_integer'],
    ['soon', 'no_integer'],
    ['+', 'no_integer'],
    [' 5', 'no_integer'],
    ['5 ', '{leftover_string," "}'],
    ['60s', '{leftover_string,"s"}'],
    ['1.5', '{leftover_string,".5"}'],
    ['1e3', '{leftover_string,"e3"}'],
    ['-1', '{value_negative,-1}'],
    ['315360000001', '{value_too_large,315360000001}'],
    ['9'.repeat(60), `{value_too_large,${'9'.repeat(60)}}`],
  ];
  for (const [text, problem] of cases) {
    const { replyCode, message } = amqpError(() => checkExpiration(text));
    t.equal(replyCode, 406);
    t.equal(message, `invalid expiration '${text}': ${problem}`);
  }
});

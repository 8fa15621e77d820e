// The expiration property, as RabbitMQ 3.10 reads and refuses it.
import fc from 'fast-check';
import t from 'tap';
import { parseExpiration } from '../../../lib/protocols/amqp/expiration.ts';
import { amqpError } from './helper.ts';

t.test('a number of milliseconds up to ten years is taken', async (t) => {
  const cases: [text: string, ms: number][] = [
    ['0', 0],
    ['1', 1],
    ['+5', 5],
    ['-0', 0],
    ['00060000', 60_000],
    ['315360000000', 315_360_000_000],
  ];
  for (const [text, ms] of cases) t.ok(parseExpiration(text) === ms, text);
  fc.assert(fc.property(fc.integer({ min: 0, max: 315_360_000_000 }), (ms) => parseExpiration(`${ms}`) === ms));
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
    const { replyCode, message } = amqpError(() => parseExpiration(text));
    t.equal(replyCode, 406);
    t.equal(message, `invalid expiration '${text}': ${problem}`);
  }
});

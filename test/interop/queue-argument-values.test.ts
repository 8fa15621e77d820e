// The values that queue.declare refuses in the arguments that RabbitMQ knows, each with its text.
import t from 'tap';
import { expectChannelError, openTopology } from '../helper/amqp.ts';

const typed = (type: string, value: unknown) => ({ '!': type, value });

const NOT_INTEGERS = [
  [1.5, 'double'],
  ['abc', 'longstr'],
  [true, 'bool'],
  [null, 'void'],
  [{ a: 1 }, 'table'],
  [[1], 'array'],
  [typed('timestamp', 5), 'timestamp'],
  [Buffer.from('a'), 'binary'],
] as const;

const refused: [argument: string, value: unknown, problem: string][] = [];
for (const argument of ['x-message-ttl', 'x-expires', 'x-max-length', 'x-max-length-bytes', 'x-max-priority']) {
  for (const [value, type] of NOT_INTEGERS) refused.push([argument, value, `"expected integer, got ${type}"`]);
  refused.push([argument, -1, '{value_negative,-1}']);
}
refused.push(
  ['x-expires', 0, '{value_zero,0}'],
  ['x-max-priority', 256, '{max_value_exceeded,256}'],
  ['x-overflow', 1, '{unacceptable_type,byte}'],
  ['x-overflow', 'drop-tail', 'invalid_overflow'],
  ['x-queue-mode', true, '{unacceptable_type,bool}'],
  ['x-queue-mode', 'eager', `"unsupported queue mode 'eager'"`],
  ['x-queue-version', 0, `"unsupported queue version '0'"`],
  ['x-single-active-consumer', 'true', '{unacceptable_type,longstr}'],
  ['x-dead-letter-routing-key', 'a', 'routing_key_but_no_dlx_defined'],
  ['x-dead-letter-routing-key', 1, '{unacceptable_type,byte}'],
  ['x-queue-type', 'nosuch', `"unsupported queue type 'nosuch'"`],
  ['x-queue-type', 1, '{unacceptable_type,byte}'],
);

t.test('each value is refused with its text', async (t) => {
  const { connection, name } = await openTopology(t);
  for (const [argument, value, problem] of refused) {
    const queue = name();
    const text = `PRECONDITION_FAILED - invalid arg '${argument}' for queue '${queue}' in vhost '/': ${problem}`;
    const declare = (channel: Awaited<ReturnType<typeof connection.createChannel>>) =>
      channel.assertQueue(queue, { arguments: { [argument]: value } });
    await expectChannelError(t, connection, declare, 'queue.declare', { code: 406, text });
  }
});

t.test('a dead-letter exchange that is no string has a text of its own', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const options = { arguments: { 'x-dead-letter-exchange': 1, 'x-message-ttl': -1 } };
  const text = `PRECONDITION_FAILED - invalid type 'byte' for arg 'x-dead-letter-exchange' in queue '${queue}' in vhost '/'`;
  const expected = { code: 406, text };
  await expectChannelError(t, connection, (ch) => ch.assertQueue(queue, options), 'queue.declare', expected);
});

t.test('of several wrong values one is told, in an order of its own', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const wrong = { 'x-overflow': 'a', 'x-max-length': -1, 'x-delivery-limit': 1, 'x-message-ttl': -1 };
  const text = `PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '${queue}' in vhost '/': {value_negative,-1}`;
  const declare = (channel: Awaited<ReturnType<typeof connection.createChannel>>) =>
    channel.assertQueue(queue, { arguments: wrong });
  await expectChannelError(t, connection, declare, 'queue.declare', { code: 406, text });
});

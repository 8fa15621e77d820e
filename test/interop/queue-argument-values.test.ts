// The values that queue.declare refuses in the arguments that RabbitMQ knows, each with its text.
import type { Channel } from 'amqplib';
import t from 'tap';
import { expectChannelError, openTopology } from '../helper/amqp.ts';
import { againstPeer } from '../helper/broker.ts';

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
  ['x-queue-version', 3, `"unsupported queue version '3'"`],
  ['x-queue-type', 'nosuch', `"unsupported queue type 'nosuch'"`],
  ['x-queue-type', 1, '{unacceptable_type,byte}'],
);

t.test('each value is refused with its text', async (t) => {
  const { connection, name } = await openTopology(t);
  for (const [argument, value, problem] of refused) {
    const queue = name();
    const text = `PRECONDITION_FAILED - invalid arg '${argument}' for queue '${queue}' in vhost '/': ${problem}`;
    const declare = (channel: Channel) => channel.assertQueue(queue, { arguments: { [argument]: value } });
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
  const declare = (channel: Channel) => channel.assertQueue(queue, { arguments: wrong });
  await expectChannelError(t, connection, declare, 'queue.declare', { code: 406, text });
});

t.test('the queue type is looked at before the values of other arguments', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const wrong = { 'x-max-length': -1, 'x-queue-type': 'nosuch' };
  const problem = `"unsupported queue type 'nosuch'"`;
  const text = `PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '${queue}' in vhost '/': ${problem}`;
  const declare = (channel: Channel) => channel.assertQueue(queue, { arguments: wrong });
  await expectChannelError(t, connection, declare, 'queue.declare', { code: 406, text });
});

t.test('what a classic queue does not know is told in the order in which it came, after wrong values', async (t) => {
  const { connection, name } = await openTopology(t);
  const queue = name();
  const foreign: [string, unknown][] = [
    ['x-queue-leader-locator', 'nosuch'],
    ['x-delivery-limit', -1],
    ['x-dead-letter-strategy', 'nosuch'],
  ];
  for (const args of [foreign, foreign.toReversed()]) {
    const text = `PRECONDITION_FAILED - invalid arg '${args[0][0]}' for queue '${queue}' in vhost '/' of queue type rabbit_classic_queue`;
    const declare = (channel: Channel) => channel.assertQueue(queue, { arguments: Object.fromEntries(args) });
    await expectChannelError(t, connection, declare, 'queue.declare', { code: 406, text });
  }
});

for (const type of ['classic', 'quorum']) {
  t.test(`x-consumer-timeout of a ${type} queue is a positive number of milliseconds`, async (t) => {
    const { connection, channel, name } = await openTopology(t);
    const options = (value: unknown) => ({ arguments: { 'x-queue-type': type, 'x-consumer-timeout': value } });
    const accepted = name();
    t.match(await channel.assertQueue(accepted, options(60_000)), { queue: accepted });
    t.match(await channel.assertQueue(accepted, options(70_000)), { queue: accepted }, 'it is not compared');
    for (const [value, problem] of [
      [0, '{value_zero,0}'],
      [-1, '{value_negative,-1}'],
      ['60000', '"expected integer, got longstr"'],
    ] as const) {
      const queue = name();
      const declare = (ch: Channel) => ch.assertQueue(queue, options(value));
      // RabbitMQ 3.10 does not know the argument, and lets pass whatever it says. Later versions do, and so does Leveret.
      if (againstPeer) {
        t.match(await declare(channel), { queue });
        continue;
      }
      const text = `PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue '${queue}' in vhost '/': ${problem}`;
      await expectChannelError(t, connection, declare, 'queue.declare', { code: 406, text });
    }
  });
}

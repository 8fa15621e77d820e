// The arguments of basic.consume: which of them each type of queue knows, and what is wrong with others.
import type { Channel } from 'amqplib';
import t from 'tap';
import { expectChannelError, openTopology, preconditionFailed } from '../helper/amqp.ts';
import { connectionClose, errorOf } from '../helper/messages.ts';

const PRIORITY = 'x-priority';
const FAILOVER = 'x-cancel-on-ha-failover';
const OFFSET = 'x-stream-offset';

type QueueType = 'classic' | 'quorum';

function consuming(queue: string, args: object, noAck = true) {
  return (channel: Channel): unknown => channel.consume(queue, () => undefined, { noAck, arguments: args });
}

const GOOD: [QueueType, object][] = [
  ['classic', { [FAILOVER]: true }],
  ['classic', { [FAILOVER]: false }],
  ['classic', { [PRIORITY]: -1 }],
  ['quorum', { [PRIORITY]: 5 }],
  ['classic', { 'x-unknown': 'anything' }],
  ['quorum', { 'x-unknown': 'anything' }],
];

for (const [type, args] of GOOD) {
  t.test(`a consumer of a ${type} queue with ${JSON.stringify(args)} is fine`, async (t) => {
    const session = await openTopology(t);
    const queue = session.name();
    await session.channel.assertQueue(queue, { arguments: { 'x-queue-type': type } });
    await consuming(queue, args)(session.channel);
  });
}

const priorityProblem = `: "expected integer, got longstr"`;
const failoverProblem = ': {unacceptable_type,longstr}';
const unknownTo = (type: QueueType): string => ` of queue type rabbit_${type}_queue`;

const BAD: [QueueType, args: object, culprit: string, problem: string][] = [
  ['classic', { [PRIORITY]: 'high' }, PRIORITY, priorityProblem],
  ['quorum', { [PRIORITY]: 'high' }, PRIORITY, priorityProblem],
  ['classic', { [FAILOVER]: 'yes' }, FAILOVER, failoverProblem],
  ['quorum', { [FAILOVER]: 'yes' }, FAILOVER, unknownTo('quorum')],
  ['quorum', { [FAILOVER]: true }, FAILOVER, unknownTo('quorum')],
  ['classic', { [OFFSET]: 'first' }, OFFSET, unknownTo('classic')],
  ['quorum', { [OFFSET]: 'first' }, OFFSET, unknownTo('quorum')],
  // What a queue type does not know comes last, in the client's order.
  ['classic', { [FAILOVER]: 'yes', [PRIORITY]: 'high' }, PRIORITY, priorityProblem],
  ['classic', { [OFFSET]: 'first', [PRIORITY]: 'high' }, PRIORITY, priorityProblem],
  ['classic', { [OFFSET]: 'first', [FAILOVER]: 'yes' }, FAILOVER, failoverProblem],
  ['quorum', { [FAILOVER]: true, [OFFSET]: 'first' }, FAILOVER, unknownTo('quorum')],
  ['quorum', { [OFFSET]: 'first', [FAILOVER]: true }, OFFSET, unknownTo('quorum')],
];

for (const [type, args, culprit, problem] of BAD) {
  t.test(`a consumer of a ${type} queue with ${JSON.stringify(args)}: ${culprit} is wrong`, async (t) => {
    const session = await openTopology(t);
    const queue = session.name();
    await session.channel.assertQueue(queue, { arguments: { 'x-queue-type': type } });
    const expected = preconditionFailed(`invalid arg '${culprit}' for queue '${queue}' in vhost '/'${problem}`);
    await expectChannelError(t, session.connection, consuming(queue, args), 'basic.consume', expected);
  });
}

t.test('arguments are looked at before exclusive use', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue);
  await channel.consume(queue, () => undefined, { exclusive: true });
  const expected = preconditionFailed(`invalid arg 'x-priority' for queue '${queue}' in vhost '/'${priorityProblem}`);
  await expectChannelError(t, connection, consuming(queue, { [PRIORITY]: 'high' }), 'basic.consume', expected);
});

t.test('a consumer tag that is in use is told before anything else', async (t) => {
  const { connection, channel, name } = await openTopology(t);
  const queue = name();
  await channel.assertQueue(queue);
  const { consumerTag } = await channel.consume(queue, () => undefined);
  const failed = errorOf(connection);
  channel.consume('no-such-queue', () => undefined, { consumerTag }).catch(() => undefined); // rejected as well
  t.match(await failed, connectionClose(530, `NOT_ALLOWED - attempt to reuse consumer tag '${consumerTag}'`));
});

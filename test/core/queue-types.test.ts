// Which queues can be made, and what is wrong with the arguments of others.
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import type { Queue, QueueSettings } from '../../lib/core/queue.ts';
import { createQueue } from '../../lib/core/queue-types.ts';
import { brokerError, ownerOf, queueSettings, TestClock, table } from './helper.ts';
import { integer, queueContext } from './queue-helper.ts';

function create(fields: Record<string, FieldValue | string>, settings: Partial<QueueSettings> = {}): Queue {
  const asked = queueSettings({ ...settings, arguments: table(fields) });
  return createQueue(asked, queueContext(new TestClock()), null);
}

t.test('every argument of a classic queue is taken', async (t) => {
  const queue = create({
    'x-expires': integer(1),
    'x-message-ttl': integer(0),
    'x-dead-letter-exchange': 'dead',
    'x-dead-letter-routing-key': 'key',
    'x-max-length': integer(0),
    'x-max-length-bytes': { type: 'l', value: 2n ** 40n },
    'x-max-priority': integer(255),
    'x-overflow': 'reject-publish-dlx',
    'x-queue-mode': 'lazy',
    'x-queue-version': integer(2),
    'x-single-active-consumer': { type: 't', value: true },
    'x-queue-type': 'classic',
    'x-mine': integer(-1),
  });
  t.equal(queue.name, 'q');
  t.equal(queue.messageCount, 0);
});

t.test('a wrong argument is refused in the words of RabbitMQ', async (t) => {
  const cases: [name: string, value: FieldValue | string, problem: string][] = [
    ['x-expires', integer(0), '{value_zero,0}'],
    ['x-expires', integer(-1), '{value_negative,-1}'],
    ['x-message-ttl', integer(-1), '{value_negative,-1}'],
    ['x-max-length', 'many', '"expected integer, got longstr"'],
    ['x-max-priority', integer(256), '{max_value_exceeded,256}'],
    ['x-overflow', 'spill', 'invalid_overflow'],
    ['x-overflow', integer(1), '{unacceptable_type,signedint}'],
    ['x-dead-letter-routing-key', 'key', 'routing_key_but_no_dlx_defined'],
    ['x-queue-mode', 'fast', '"unsupported queue mode \'fast\'"'],
    ['x-queue-version', integer(3), '"unsupported queue version \'3\'"'],
    ['x-single-active-consumer', 'yes', '{unacceptable_type,longstr}'],
    ['x-queue-type', 'modern', '"unsupported queue type \'modern\'"'],
  ];
  for (const [name, value, problem] of cases) {
    const error = brokerError(() => create({ [name]: value }));
    t.equal(error.condition, 'PRECONDITION_FAILED');
    t.equal(error.message, `invalid arg '${name}' for queue 'q' in vhost '/': ${problem}`);
  }
});

t.test('every argument of a quorum queue is taken', async (t) => {
  const queue = create(
    {
      'x-queue-type': 'quorum',
      'x-expires': integer(1),
      'x-message-ttl': integer(0),
      'x-dead-letter-exchange': 'dead',
      'x-dead-letter-routing-key': 'key',
      'x-dead-letter-strategy': 'at-least-once',
      'x-delivery-limit': integer(0),
      'x-max-length': integer(0),
      'x-max-length-bytes': integer(0),
      'x-max-in-memory-length': integer(0),
      'x-max-in-memory-bytes': integer(0),
      'x-overflow': 'reject-publish',
      'x-single-active-consumer': { type: 't', value: true },
      'x-quorum-initial-group-size': integer(1),
      'x-queue-leader-locator': 'balanced',
    },
    { durable: true },
  );
  t.equal(queue.name, 'q');
  t.ok(queue.tellsDeliveryCount);
  t.ok(queue.refusesGlobalPrefetch);
});

t.test('a quorum queue is durable, shared and lasting, and has no priorities', async (t) => {
  const quorum = { 'x-queue-type': 'quorum' };
  const cases: [settings: Partial<QueueSettings>, property: string][] = [
    [{}, 'non-durable'],
    [{ durable: true, autoDelete: true }, 'auto-delete'],
    [{ durable: true, owner: ownerOf() }, 'exclusive-owner'],
  ];
  for (const [settings, property] of cases) {
    const error = brokerError(() => create(quorum, settings));
    t.equal(error.message, `invalid property '${property}' for queue 'q' in vhost '/'`);
  }
  const error = brokerError(() => create({ ...quorum, 'x-max-priority': integer(1) }, { durable: true }));
  t.equal(error.message, "invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue");
});

t.test('a queue type that is not built yet, and its arguments, are refused', async (t) => {
  t.equal(brokerError(() => create({ 'x-queue-type': 'stream' })).condition, 'NOT_IMPLEMENTED');
  const error = brokerError(() => create({ 'x-max-age': '1h' }));
  t.equal(error.message, "invalid arg 'x-max-age' for queue 'q' in vhost '/' of queue type rabbit_classic_queue");
});

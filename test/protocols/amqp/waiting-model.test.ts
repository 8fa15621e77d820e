// However slow the disk, a client sees on each channel what it would see with a prompt one: the same answers in the same order.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { methodName } from '../../../codec/generated/methods.ts';
import {
  basicAck,
  basicGet,
  basicPublish,
  bytes,
  channelClose,
  channelCloseOk,
  channelOpen,
  contentBody,
  contentHeader,
  longLong,
  message,
  method,
  octet,
  queueDeclare,
  queuePurge,
} from '../../helper/wire-bytes.ts';
import { declareDurable, deleteQueue, persistentMessage, SlowBroker, type SlowClient } from './waiting-helper.ts';

const CHANNELS = [1, 2, 3];

/** What a client may ask of its channel, whose queues are its own; `n` makes a difference now and then. */
const REQUESTS: Record<string, (channel: number, queue: string, n: number) => Buffer> = {
  declare: (channel, queue) => declareDurable(channel, queue),
  declareTransient: (channel, queue) => queueDeclare(channel, `transient-${queue}`),
  delete: deleteQueue,
  purge: (channel, queue) => bytes(declareDurable(channel, queue), queuePurge(channel, queue)),
  // To a queue that is there or not.
  publish: (channel, queue, n) => persistentMessage(channel, queue, `message ${n}`),
  publishTransient: (channel, queue, n) => message(channel, `transient ${n}`, { routingKey: queue, mandatory: true }),
  publishInPieces: (channel, queue, n) =>
    bytes(
      basicPublish(channel, { routingKey: queue }),
      contentHeader(channel, 3 * n),
      contentBody(channel, 'a'.repeat(n)),
      contentBody(channel, 'b'.repeat(2 * n)),
    ),
  get: (channel, queue) => bytes(declareDurable(channel, queue), basicGet(channel, queue)),
  ack: (channel) => basicAck(channel, 0, true),
  requeue: (channel) => method(channel, 60, 120, longLong(0), octet(3)),
  commit: (channel) => bytes(method(channel, 90, 10), method(channel, 90, 20)),
  rollback: (channel) => bytes(method(channel, 90, 10), method(channel, 90, 30)),
  mistake: (channel) =>
    bytes(
      declareDurable(channel, 'missing', 1),
      queueDeclare(channel, 'ignored'),
      message(channel, 'ignored'),
      channelCloseOk(channel),
      channelOpen(channel),
    ),
  reopen: (channel) => bytes(channelClose(channel), channelOpen(channel)),
};

const request = fc.record({
  channel: fc.constantFrom(...CHANNELS),
  name: fc.constantFrom(...Object.keys(REQUESTS)),
  queue: fc.constantFrom('a', 'b'),
  n: fc.integer({ min: 1, max: 30 }),
});

/** What happens after some bytes. */
const EVENTS: Record<string, (broker: SlowBroker) => void> = {
  nothing: () => {},
  endTurn: (broker) => broker.endTurn(),
  syncOne: (broker) => broker.store.sync(1),
  syncAll: (broker) => broker.sync(),
  page: (broker) => {
    broker.endTurn();
    for (const queue of broker.store.queues) queue.page();
  },
  read: (broker) => broker.read(),
};

const event = fc.record({
  size: fc.integer({ min: 1, max: 400 }),
  name: fc.constantFrom(...Object.keys(EVENTS)),
});

/** What came on each channel. */
function transcripts(client: SlowClient): string[][] {
  const all = client.methods();
  return [0, ...CHANNELS].map((number) =>
    all
      .filter(({ channel }) => channel === number)
      .map(({ method: { id, ...fields }, body }) => `${methodName(id)} ${JSON.stringify(fields)} ${body ?? ''}`),
  );
}

t.test('a slow disk changes nothing but when', async (t) => {
  const script = fc.array(request, { maxLength: 60, size: 'max' });
  const events = fc.array(event, { minLength: 1, maxLength: 30, size: 'max' });
  fc.assert(
    fc.property(script, events, (requests, happenings) => {
      const sent = bytes(
        ...requests.map(({ channel, name, queue, n }) => REQUESTS[name](channel, `${queue}${channel}`, n)),
      );
      const [prompt, slow] = [new SlowBroker(true), new SlowBroker()];
      const [first, second] = [prompt.connect(...CHANNELS), slow.connect(...CHANNELS)];
      first.send(sent);
      for (let at = 0, i = 0; at < sent.length; i++) {
        const { size, name } = happenings[i % happenings.length];
        second.stream.emit('data', sent.subarray(at, at + size));
        at += size;
        EVENTS[name](slow);
      }
      for (let quiet = false, rounds = 0; !quiet; rounds++) {
        assert.ok(rounds < 1000, 'it comes to rest');
        slow.endTurn();
        quiet = slow.store.waiting === 0 && !slow.store.queues.some((queue) => queue.wanted);
        slow.sync();
        slow.read();
      }
      assert.deepEqual(transcripts(second), transcripts(first));
      assert.deepEqual([...slow.defects, ...prompt.defects], []);
      const contents = ({ virtualHost }: SlowBroker) =>
        [...virtualHost.queues.values()].map(({ name, messageCount }) => `${name} ${messageCount}`).sort();
      assert.deepEqual(contents(slow), contents(prompt));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

// Publisher confirms: callbacks, events, order and numbering.
import { once } from 'node:events';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import {
  call,
  channelClose,
  drain,
  errorOf,
  openSession,
  publish,
  quiet,
  readyCount,
  send,
  sharedQueue,
} from '../helper/messages.ts';

const body = Buffer.from('hare');

t.test('sendToQueue and publish call back when the broker has the message', async (t) => {
  const { publisher, queue } = await openSession(t);
  const errors: unknown[] = [];
  const confirm = (error: unknown) => errors.push(error);
  publisher.sendToQueue(queue, body, {}, confirm);
  publisher.publish('amq.direct', 'nobody', body, {}, confirm);
  publisher.publish('', queue, body, { persistent: true }, confirm);
  await publisher.waitForConfirms();
  t.same(errors, [null, null, null]);
  t.equal(await readyCount(publisher, queue), 2);
});

t.test('waitForConfirms resolves at once when nothing is outstanding', async (t) => {
  const { publisher } = await openSession(t);
  await t.resolves(publisher.waitForConfirms());
});

t.test('a thousand messages: every one is confirmed exactly once', async (t) => {
  const { publisher, queue } = await openSession(t);
  const confirmed = new Array<number>(1000).fill(0);
  for (let i = 0; i < 1000; i++)
    publisher.sendToQueue(queue, body, {}, (error) => {
      if (error === null) confirmed[i] = (confirmed[i] ?? 0) + 1;
    });
  await publisher.waitForConfirms();
  t.ok(confirmed.every((count) => count === 1));
  t.equal(await readyCount(publisher, queue), 1000);
});

t.test('ack events carry tags that cover every publish, from 1 on', async (t) => {
  const { publisher, queue } = await openSession(t);
  const outstanding = new Set(Array.from({ length: 20 }, (_, i) => i + 1));
  publisher.on('ack', ({ deliveryTag, multiple }) => {
    for (const tag of multiple ? [...outstanding].filter((tag) => tag <= deliveryTag) : [deliveryTag])
      t.ok(outstanding.delete(tag), `tag ${tag}`);
  });
  await publish(
    publisher,
    queue,
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
  t.equal(outstanding.size, 0);
});

t.test('numbering starts with the first publish after confirm.select, and goes on after a second one', async (t) => {
  const { channel, queue } = await openSession(t);
  channel.sendToQueue(queue, body);
  channel.sendToQueue(queue, body);
  await call(channel, 'ConfirmSelect', { nowait: false });
  const first = once(channel, 'ack');
  channel.sendToQueue(queue, body);
  t.same(await first, [{ deliveryTag: 1, multiple: false }]);
  await call(channel, 'ConfirmSelect', { nowait: false });
  const second = once(channel, 'ack');
  channel.sendToQueue(queue, body);
  t.match(await second, [{ deliveryTag: 2 }]);
});

t.test('confirm.select with no-wait works without an answer', async (t) => {
  const { channel, queue } = await openSession(t);
  send(channel, 'ConfirmSelect', { nowait: true });
  const acked = once(channel, 'ack');
  channel.sendToQueue(queue, body);
  t.same(await acked, [{ deliveryTag: 1, multiple: false }]);
});

t.test('an unroutable message is confirmed', async (t) => {
  const { publisher } = await openSession(t);
  publisher.sendToQueue(uniqueName(), body);
  await t.resolves(publisher.waitForConfirms());
});

t.test('a mandatory message that is returned comes back before its confirm', async (t) => {
  const { publisher } = await openSession(t);
  const events: string[] = [];
  publisher.on('return', () => events.push('return'));
  publisher.sendToQueue(uniqueName(), body, { mandatory: true }, () => events.push('confirm'));
  await publisher.waitForConfirms();
  t.same(events, ['return', 'confirm']);
});

t.test('a message for several queues is confirmed once, when it is in all of them', async (t) => {
  const { publisher, queue } = await openSession(t);
  const second = (await publisher.assertQueue(uniqueName(), { exclusive: true })).queue;
  for (const name of [queue, second]) await publisher.bindQueue(name, 'amq.direct', queue);
  let acks = 0;
  publisher.on('ack', () => acks++);
  publisher.publish('amq.direct', queue, body);
  await publisher.waitForConfirms();
  t.equal(acks, 1);
  t.same([await readyCount(publisher, queue), await readyCount(publisher, second)], [1, 1]);
});

t.test('a persistent message in a durable queue is confirmed', async (t) => {
  const { target, publisher } = await openSession(t);
  const queue = await sharedQueue(t, target, { durable: true });
  publisher.sendToQueue(queue, body, { persistent: true });
  await publisher.waitForConfirms();
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('a full queue that rejects publishes answers with nack', async (t) => {
  const { publisher } = await openSession(t);
  const { queue } = await publisher.assertQueue(uniqueName(), {
    exclusive: true,
    maxLength: 1,
    overflow: 'reject-publish',
  });
  await publish(publisher, queue, ['1']);
  const nacked = once(publisher, 'nack');
  const error = new Promise((resolve) => publisher.sendToQueue(queue, body, {}, resolve));
  t.match(await error, { message: 'message nacked' });
  t.match(await nacked, [{ deliveryTag: 2 }]);
  t.same(await drain(publisher, queue), ['1']);
});

t.test('an error confirms what came before, and fails what is left', async (t) => {
  const { publisher, queue } = await openSession(t);
  const results: string[] = [];
  const record = (name: string) => (error: Error | null) => results.push(`${name}: ${error?.message ?? 'ok'}`);
  const closed = new Promise((resolve) => publisher.on('close', resolve));
  publisher.sendToQueue(queue, body, {}, record('1'));
  publisher.publish(uniqueName('no-exchange'), 'k', body, {}, record('2'));
  publisher.sendToQueue(queue, body, {}, record('3'));
  await closed;
  t.same(results, ['1: ok', '2: channel closed', '3: channel closed']);
  await t.rejects(publisher.waitForConfirms(), { message: 'channel closed' });
});

t.test('a tx channel cannot become a confirm channel', async (t) => {
  const { channel } = await openSession(t);
  await call(channel, 'TxSelect');
  const expected = channelClose(406, 'PRECONDITION_FAILED - cannot switch from tx to confirm mode', 85, 10);
  await t.rejects(call(channel, 'ConfirmSelect', { nowait: false }), expected);
});

t.test('a confirm channel cannot become a tx channel', async (t) => {
  const { publisher } = await openSession(t);
  const expected = channelClose(406, 'PRECONDITION_FAILED - cannot switch from confirm to tx mode', 90, 10);
  await t.rejects(call(publisher, 'TxSelect'), expected);
});

t.test('consuming on a confirm channel: its own acks and the confirms do not mix', async (t) => {
  const { connection, queue } = await openSession(t);
  const channel = quiet(await connection.createConfirmChannel());
  const received = new Promise<void>((resolve) => {
    let count = 0;
    channel.consume(queue, (message) => {
      if (message !== null) channel.ack(message);
      if (++count === 10) resolve();
    });
  });
  for (let i = 0; i < 10; i++) channel.sendToQueue(queue, body);
  await Promise.all([received, channel.waitForConfirms()]);
  await channel.close();
});

t.test('acknowledging an unknown tag on a confirm channel is an error as anywhere', async (t) => {
  const { publisher } = await openSession(t);
  const error = errorOf(publisher);
  send(publisher, 'BasicAck', { deliveryTag: 1, multiple: false });
  t.match(await error, channelClose(406, 'PRECONDITION_FAILED - unknown delivery tag 1', 60, 80));
});

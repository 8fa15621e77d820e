// Sender-selected distribution: the CC and BCC headers.
import { once } from 'node:events';
import type { ConfirmChannel, Message, Options } from 'amqplib';
import t from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { channelClose, errorOf, openSession, present, readyCount } from '../helper/messages.ts';

const body = Buffer.from('hare');

async function send(publisher: ConfirmChannel, key: string, options: Options.Publish): Promise<void> {
  publisher.publish('', key, body, options);
  await publisher.waitForConfirms();
}

t.test('CC routes to more keys; the delivery keeps the header and the published routing key', async (t) => {
  const { publisher, queue } = await openSession(t);
  await send(publisher, 'nobody', { CC: [queue], headers: { other: 1 } });
  const message = present(await publisher.get(queue));
  t.equal(message.fields.routingKey, 'nobody');
  t.same(message.properties.headers, { CC: [queue], other: 1 });
});

t.test('CC as a single string', async (t) => {
  const { publisher, queue } = await openSession(t);
  await send(publisher, 'nobody', { CC: queue });
  t.same(present(await publisher.get(queue)).properties.headers, { CC: [queue] });
});

t.test('BCC routes to more keys and is taken out of the headers', async (t) => {
  const { publisher, queue } = await openSession(t);
  const second = (await publisher.assertQueue(uniqueName(), { exclusive: true })).queue;
  await send(publisher, 'nobody', { CC: [queue], BCC: [second], headers: { other: 1 } });
  for (const name of [queue, second])
    t.same(present(await publisher.get(name)).properties.headers, { CC: [queue], other: 1 });
});

t.test('only BCC leaves an empty headers table', async (t) => {
  const { publisher, queue } = await openSession(t);
  await send(publisher, 'nobody', { BCC: queue });
  t.same(present(await publisher.get(queue)).properties.headers, {});
});

t.test('a queue that several keys reach gets the message once', async (t) => {
  const { publisher, queue } = await openSession(t);
  await send(publisher, queue, { CC: [queue, queue], BCC: [queue] });
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('CC works through any exchange', async (t) => {
  const { publisher, queue } = await openSession(t);
  await publisher.bindQueue(queue, 'amq.topic', `${queue}.*`);
  publisher.publish('amq.topic', 'nothing', body, { CC: [`${queue}.a`, `${queue}.b`] });
  await publisher.waitForConfirms();
  t.equal(await readyCount(publisher, queue), 1);
});

t.test('a CC or BCC key that routes satisfies mandatory', async (t) => {
  const { publisher, queue } = await openSession(t);
  publisher.on('return', () => t.fail('returned'));
  await send(publisher, 'nobody', { CC: queue, mandatory: true });
  await send(publisher, 'nobody', { BCC: queue, mandatory: true });
  t.equal(await readyCount(publisher, queue), 2);
});

t.test('a returned message keeps CC and loses BCC', async (t) => {
  const { publisher } = await openSession(t);
  const returned = once(publisher, 'return');
  await send(publisher, 'nobody', { CC: 'c', BCC: 'b', mandatory: true });
  const [message] = (await returned) as [Message];
  t.same(message.properties.headers, { CC: ['c'] });
});

t.test('elements of the array that are no strings are skipped', async (t) => {
  const { publisher, queue } = await openSession(t);
  await send(publisher, 'nobody', { headers: { CC: [5, true, queue] } });
  t.same(present(await publisher.get(queue)).properties.headers, { CC: [5, true, queue] });
});

t.test('the headers are case-sensitive', async (t) => {
  const { publisher, queue } = await openSession(t);
  await send(publisher, 'nobody', { headers: { cc: [queue], Bcc: [queue] } });
  t.equal(await readyCount(publisher, queue), 0);
});

const wrong: [unknown, string][] = [
  ['a string', 'longstr'],
  [5, 'byte'],
  [true, 'bool'],
  [null, 'void'],
  [{ a: 1 }, 'table'],
];
for (const header of ['CC', 'BCC']) {
  for (const [value, type] of wrong) {
    t.test(`${header} of type ${type} closes the channel with 406`, async (t) => {
      const { channel } = await openSession(t);
      const error = errorOf(channel);
      channel.publish('', 'nobody', body, { headers: { [header]: value } });
      const expected = `PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"${header}",${type}}`;
      t.match(await error, channelClose(406, expected, 60, 40));
    });
  }
}

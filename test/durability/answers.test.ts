// What a client is told only when it is on disk, and what it is told meanwhile: the disk is held up, and then let go.
import t, { type Test } from 'tap';
import { createBroker } from '../../lib/index.ts';
import { againstPeer } from '../helper/broker.ts';
import { type Client, connectTo, temporaryFolder } from '../helper/durable-broker.ts';
import { Hold } from '../helper/durable-fault.ts';
import { call, present, publish, readyCount, subscribe } from '../helper/messages.ts';

const options = { skip: againstPeer && "a peer's disk is its own" };

/** A broker whose disk can be held up, with a durable and a transient queue, and two connections. */
async function start(t: Test) {
  const dataDir = temporaryFolder(t);
  const broker = await createBroker({ port: 0, dataDir });
  t.teardown(() => broker.close());
  const client = await connectTo(t, broker.url);
  await client.publisher.assertQueue('kept');
  await client.publisher.assertQueue('transient', { durable: false });
  return { client, other: await connectTo(t, broker.url) };
}

/** Holds the disk up, does something, and tells whether that has been answered when everything else has had its time. */
async function answeredBefore(t: Test, other: Client, task: () => PromiseLike<unknown>): Promise<boolean> {
  const hold = new Hold('writev');
  t.teardown(() => hold.end());
  let isAnswered = false;
  const answered = task().then(() => {
    isAnswered = true;
  });
  await hold.called;
  // A conversation of another client, which needs no disk.
  await publish(other.publisher, 'transient', ['1', '2', '3']);
  await other.channel.purgeQueue('transient');
  const wasAnswered = isAnswered;
  hold.end();
  await answered;
  return wasAnswered;
}

const persistent = { persistent: true };

t.test('a confirm of a persistent message', options, async (t) => {
  const { client, other } = await start(t);
  const { publisher } = client;
  publisher.sendToQueue('kept', Buffer.from('1'), persistent);
  t.notOk(await answeredBefore(t, other, () => publisher.waitForConfirms()));
});

t.test('declarations, bindings and deletions of what is durable', options, async (t) => {
  const { client, other } = await start(t);
  const { channel } = client;
  const tasks: [string, () => PromiseLike<unknown>][] = [
    ['exchange.declare', () => channel.assertExchange('e', 'fanout')],
    ['queue.declare', () => channel.assertQueue('q')],
    ['queue.bind', () => channel.bindQueue('q', 'e', '')],
    ['exchange.bind', () => channel.bindExchange('amq.fanout', 'e', '')],
    ['queue.unbind', () => channel.unbindQueue('q', 'e', '')],
    ['exchange.unbind', () => channel.unbindExchange('amq.fanout', 'e', '')],
    ['queue.delete', () => channel.deleteQueue('q')],
    ['exchange.delete', () => channel.deleteExchange('e')],
  ];
  for (const [name, task] of tasks) t.notOk(await answeredBefore(t, other, task), name);
});

t.test('the commit of a transaction', options, async (t) => {
  const { client, other } = await start(t);
  const { channel } = client;
  await call(channel, 'TxSelect');
  channel.sendToQueue('kept', Buffer.from('1'), persistent);
  t.notOk(await answeredBefore(t, other, () => call(channel, 'TxCommit')));
});

t.test('messages are delivered, acknowledged and confirmed before they ever reach the disk', options, async (t) => {
  const { client, other } = await start(t);
  const { inbox } = await subscribe(other.channel, 'kept');
  const hold = new Hold('writev');
  t.teardown(() => hold.end());
  client.publisher.sendToQueue('kept', Buffer.from('on its way to the disk'), persistent);
  await hold.called;
  other.channel.ack(await inbox.next());
  // The next one waits for that to end; settled before, it needs no disk.
  const confirmed = new Promise<void>((resolve) => {
    client.publisher.sendToQueue('kept', Buffer.from('never on disk'), persistent, () => resolve());
  });
  other.channel.ack(await inbox.next());
  await confirmed;
  t.equal(await readyCount(other.channel, 'kept'), 0);
  hold.end();
  await client.publisher.waitForConfirms();
});

t.test('reading goes on while the disk is held up', options, async (t) => {
  const { client, other } = await start(t);
  await publish(client.publisher, 'kept', ['transient']);
  const hold = new Hold('writev');
  t.teardown(() => hold.end());
  client.publisher.sendToQueue('kept', Buffer.from('persistent'), persistent);
  await hold.called;
  for (const body of ['transient', 'persistent']) {
    t.equal(present(await other.channel.get('kept')).content.toString(), body);
  }
});

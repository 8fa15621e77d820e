// What consumers did before a restart counts after it: acknowledged messages are gone, delivered ones are marked as redelivered,
// and those that came back stand in their place.
import type { Channel, Message } from 'amqplib';
import { uniqueName } from '../helper/broker.ts';
import { afterEachEnding, type Client, type DurableBroker, flush } from '../helper/durable-broker.ts';
import { present, readyCount, subscribe, text } from '../helper/messages.ts';

/** A durable queue with persistent messages 1, 2, 3... */
async function numbered(broker: DurableBroker, count: number): Promise<Client & { readonly queue: string }> {
  const client = await broker.connect();
  const { queue } = await client.publisher.assertQueue(uniqueName());
  await publishNumbers(client, queue, 1, count);
  return { ...client, queue };
}

async function publishNumbers({ publisher }: Client, queue: string, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) publisher.sendToQueue(queue, Buffer.from(String(i)), { persistent: true });
  await publisher.waitForConfirms();
}

async function getMany(channel: Channel, queue: string, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  for (let i = 0; i < count; i++) messages.push(present(await channel.get(queue)));
  return messages;
}

/** Everything in the queue, with an `r` behind what was delivered before. */
async function drainMarked(channel: Channel, queue: string): Promise<string> {
  const marked: string[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return marked.join(' ');
    marked.push(text(message) + (message.fields.redelivered ? 'r' : ''));
  }
}

/** What is marked after a restart: after a crash everything, since nobody knows what was delivered last. */
function marks(broker: DurableBroker, afterClose: string): string {
  return broker.ending === 'close' ? afterClose : afterClose.replace(/\d+\b/g, '$&r');
}

afterEachEnding('what was delivered and not acknowledged is redelivered', async (t, broker) => {
  const { channel, queue } = await numbered(broker, 5);
  await channel.prefetch(3);
  const { inbox } = await subscribe(channel, queue);
  await inbox.take(3);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 5);
  t.equal(await drainMarked(later, queue), marks(broker, '1r 2r 3r 4 5'));
});

afterEachEnding('what came with basic.get as well', async (t, broker) => {
  const { channel, queue } = await numbered(broker, 3);
  await getMany(channel, queue, 2);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await drainMarked(later, queue), marks(broker, '1r 2r 3'));
});

afterEachEnding('what was acknowledged, one by one or many at once, is gone', async (t, broker) => {
  const { channel, queue } = await numbered(broker, 10);
  const messages = await getMany(channel, queue, 8);
  channel.ack(messages[1]);
  channel.ack(messages[3], true);
  channel.ack(messages[6]);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await drainMarked(later, queue), marks(broker, '5r 6r 8r 9 10'));
});

afterEachEnding('what no acknowledgement was asked for is gone', async (t, broker) => {
  const { channel, queue } = await numbered(broker, 5);
  await channel.get(queue, { noAck: true });
  const { inbox, consumerTag } = await subscribe(channel, queue, { noAck: true });
  await inbox.take(4);
  await channel.cancel(consumerTag);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await readyCount(later, queue), 0);
});

afterEachEnding('what was refused for good is gone', async (t, broker) => {
  const { channel, queue } = await numbered(broker, 5);
  const messages = await getMany(channel, queue, 4);
  channel.reject(messages[0], false);
  channel.nack(messages[2], true, false);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await drainMarked(later, queue), marks(broker, '4r 5'));
});

afterEachEnding('what was given back keeps its place', async (t, broker) => {
  const { channel, queue } = await numbered(broker, 5);
  const messages = await getMany(channel, queue, 3);
  channel.nack(messages[1], false, true);
  channel.ack(messages[0]);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await drainMarked(later, queue), marks(broker, '2r 3r 4 5'));
});

afterEachEnding('what goes straight to a consumer is kept until it is acknowledged', async (t, broker) => {
  const client = await numbered(broker, 0);
  const { channel, queue } = client;
  const { inbox } = await subscribe(channel, queue);
  await publishNumbers(client, queue, 1, 4);
  const messages = await inbox.take(4);
  channel.ack(messages[0]);
  channel.ack(messages[2]);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await drainMarked(later, queue), marks(broker, '2r 4r'));
});

afterEachEnding('redelivered stays so over several restarts, and what is new is not', async (t, broker) => {
  let client: Client = await numbered(broker, 2);
  const { queue } = client as Client & { queue: string };
  await getMany(client.channel, queue, 1);
  await flush(client.channel);
  client = await broker.restart();
  client = await broker.restart();
  await publishNumbers(client, queue, 3, 3);
  client = await broker.restart();
  t.equal(await drainMarked(client.channel, queue), marks(broker, '1r 2 3'));
});

afterEachEnding('an empty queue goes on with its places', async (t, broker) => {
  let client: Client = await numbered(broker, 3);
  const { queue } = client as Client & { queue: string };
  t.equal(await drainMarked(client.channel, queue), '1 2 3');
  await flush(client.channel);
  client = await broker.restart();
  t.equal(await readyCount(client.channel, queue), 0);
  await publishNumbers(client, queue, 4, 5);
  client = await broker.restart();
  t.equal(await drainMarked(client.channel, queue), marks(broker, '4 5'));
});

afterEachEnding('a purged queue stays empty, but for what was with consumers', async (t, broker) => {
  const client = await numbered(broker, 5);
  const { channel, queue } = client;
  await getMany(channel, queue, 1);
  t.same(await channel.purgeQueue(queue), { messageCount: 4 });
  await publishNumbers(client, queue, 6, 6);
  await flush(channel);
  const { channel: later } = await broker.restart();
  t.equal(await drainMarked(later, queue), marks(broker, '1r 6'));
});

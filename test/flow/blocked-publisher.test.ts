// The life of a connection while it is blocked: its heartbeats, its end from either side.
import t, { type Test } from 'tap';
import { type Broker, createBroker } from '../../lib/index.ts';
import {
  EmbedClient,
  heldUp,
  numberedMessages,
  type OpenOptions,
  sharedQueueDeclare,
  TELL_BLOCKED,
  turnsUntil,
} from '../helper/embed-client.ts';
import { createPair } from '../helper/embed-pair.ts';
import { message, queueDeclare, queuePurge } from '../helper/wire-bytes.ts';

const NEVER_MS = 2 ** 31 - 1;

/** A broker whose memory is full of what another connection left behind. */
async function startFull(t: Test): Promise<Broker> {
  const broker = await createBroker({ port: 0, memoryLimitBytes: 1_000_000, shutdownTimeoutMs: NEVER_MS });
  t.teardown(() => broker.close());
  // In memory, so that the broker knows that it has gone, though it reads no more from it.
  const [ours, theirs] = createPair('next-turn');
  broker.accept(ours);
  const filler = await (await new EmbedClient(theirs).open()).openChannel();
  await filler.call(1, 50, 11, sharedQueueDeclare(1, 'full'));
  for (let i = 0; i < 11; i++) filler.send(message(1, Buffer.alloc(100_000), { routingKey: 'full' }));
  await turnsUntil(() => broker.memoryUsedBytes > 1_000_000);
  theirs.destroy();
  await turnsUntil(() => broker.connectionCount === 0);
  return broker;
}

async function makeRoom(t: Test, broker: Broker): Promise<void> {
  const other = await (await EmbedClient.connect(t, broker.port)).openChannel();
  await other.call(1, 50, 31, queuePurge(1, 'full'));
  await other.close();
}

/** A publisher with an exclusive queue, that was told that it is blocked. */
async function openBlocked(t: Test, broker: Broker, options: OpenOptions = {}): Promise<EmbedClient> {
  const publisher = await EmbedClient.connect(t, broker.port, { ...TELL_BLOCKED, ...options });
  await publisher.openChannel();
  await publisher.call(1, 50, 11, queueDeclare(1, 'own'));
  const blocked = publisher.expect(0, 10, 60);
  publisher.send(message(1, 'one', { routingKey: 'own' }));
  await blocked;
  return publisher;
}

/** Fills the sockets between: more than their kernel buffers hold. */
async function fillSocket(publisher: EmbedClient): Promise<void> {
  publisher.send(numberedMessages(1, { routingKey: 'nowhere' }, { count: 20_000, size: 1_000 }));
  await heldUp(publisher);
}

t.test('a blocked publisher gets heartbeats, and is not cut for those of its own that nobody reads', async (t) => {
  const broker = await startFull(t);
  const publisher = await openBlocked(t, broker, { heartbeat: 1 });
  // Longer than the broker bears the silence of a client that it listens to.
  await turnsUntil(() => publisher.heartbeats >= 5 || broker.connectionCount === 0);
  t.equal(broker.connectionCount, 1);

  await t.test('once it is read from again its silence counts', async (t) => {
    await makeRoom(t, broker);
    await publisher.closed;
    t.equal(broker.connectionEnds.get('heartbeat-timeout'), 1);
  });
});

t.test('a blocked publisher that vanishes is noticed by what the broker sends it', async (t) => {
  const broker = await startFull(t);
  const publisher = await openBlocked(t, broker, { heartbeat: 1 });
  await fillSocket(publisher);
  publisher.socket.resetAndDestroy();
  await turnsUntil(() => broker.connectionCount === 0);
  t.same([...broker.connectionEnds.values()], [1, 1]);
});

t.test('a blocked publisher that vanishes without heartbeats is cleaned up when there is room', async (t) => {
  const broker = await startFull(t);
  const publisher = await openBlocked(t, broker);
  await fillSocket(publisher);
  publisher.stream.destroy();
  await publisher.closed;
  await makeRoom(t, broker);
  await turnsUntil(() => broker.connectionCount === 0);
  t.equal(broker.memoryUsedBytes, 0, 'with its queue and the messages in it');
});

t.test('a blocked publisher that closes in order is closed in order when there is room', async (t) => {
  const broker = await startFull(t);
  const publisher = await openBlocked(t, broker);
  await fillSocket(publisher);
  const closed = publisher.close();
  await makeRoom(t, broker);
  await closed;
  await turnsUntil(() => broker.connectionCount === 0);
  t.equal(broker.connectionEnds.get('client-close'), 2);
  t.equal(broker.memoryUsedBytes, 0);
});

t.test('broker.close closes a blocked publisher in order, whatever waits in its socket', async (t) => {
  const broker = await startFull(t);
  const publisher = await openBlocked(t, broker);
  await fillSocket(publisher);
  await broker.close();
  await publisher.closed;
  t.equal((await publisher.expect(0, 10, 50)).readUInt16BE(0), 320);
  t.equal(broker.connectionEnds.get('shutdown'), 1);
  t.equal(broker.connectionCount, 0);
});

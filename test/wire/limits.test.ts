// Limits of connections and channels in bytes: what a close names, and what still counts while it is being closed.
import t, { type Test } from 'tap';
import { Realm } from '../helper/realm.ts';
import {
  basicGet,
  channelCloseOk,
  channelOpen,
  connectionClose,
  connectionOpen,
  method,
  tuneOk,
} from '../helper/wire-bytes.ts';
import { WireClient } from '../helper/wire-client.ts';

/** Opens a connection of the realm's user. */
async function open(t: Test, realm: Realm, channelMax = 2047): Promise<WireClient> {
  return new WireClient(t, realm.target).open({ vhost: realm.vhost, response: realm.response, channelMax });
}

/** Expects that one more connection is refused as one of the user's too many. */
async function expectRefused(t: Test, realm: Realm, limit: number): Promise<void> {
  const client = new WireClient(t, realm.target);
  await client.authenticate({ response: realm.response });
  client.send(tuneOk(), connectionOpen(realm.vhost));
  const text = `NOT_ALLOWED - connection refused for user '${realm.user}': user connection limit (${limit}) is reached`;
  await client.expectClose(530, text, 10, 40);
}

function channelsFull({ user }: Realm, limit: number): string {
  return `NOT_ALLOWED - number of channels opened for user '${user}' has reached the maximum allowed user limit of (${limit})`;
}

t.test('a connection that the server is closing counts until it is over', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ connections: 1 });
  const client = await open(t, realm);
  client.send(method(0, 20, 10));
  await client.expectMethod(0, 10, 50);
  await expectRefused(t, realm, 1);
});

t.test('a connection that its client closed counts until its socket ends', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ connections: 1 });
  const client = await open(t, realm);
  client.send(connectionClose());
  await client.expectMethod(0, 10, 51);
  await expectRefused(t, realm, 1);
});

t.test('a channel that the server is closing counts until the client has answered', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ channels: 1 });
  const client = await open(t, realm);
  await client.openChannel(1);
  client.send(basicGet(1, 'no-such-queue'));
  const text = `NOT_FOUND - no queue 'no-such-queue' in vhost '${realm.vhost}'`;
  await client.expectChannelCloseUnanswered(1, 404, text, 60, 70);
  const other = await open(t, realm);
  other.send(channelOpen(1));
  await other.expectClose(530, channelsFull(realm, 1), 0, 0);
  client.send(channelCloseOk(1));
});

t.test("a channel over channel-max says so, though it is over the user's limit as well", async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ channels: 1 });
  const client = await open(t, realm, 1);
  await client.openChannel(1);
  client.send(channelOpen(2));
  const text = 'NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)';
  await client.expectClose(530, text, 0, 0);
});

// How many connections a virtual host and a user may have. RabbitMQ counts a connection, and its end, a little later than its client
// knows of it, so both are awaited. That Leveret counts exactly is for test/protocols/amqp/limits.test.ts.
import type { ChannelModel } from 'amqplib';
import t, { type Test } from 'tap';
import { uniqueName } from '../helper/broker.ts';
import { Realm } from '../helper/realm.ts';
import { until } from '../helper/ttl.ts';
import { connectionClose, connectionCloseOk, connectionOpen, tuneOk } from '../helper/wire-bytes.ts';
import { WireClient } from '../helper/wire-client.ts';

/**
 * What the server says to one connection more; undefined when it takes it. The client library would not tell: it only expects
 * something else than a close at this step.
 */
async function refusal(t: Test, realm: Realm, vhost = realm.vhost): Promise<string | undefined> {
  const client = new WireClient(t, realm.target);
  await client.authenticate({ response: realm.response });
  client.send(tuneOk(), connectionOpen(vhost));
  const { payload } = await client.nextFrame();
  const isClose = payload.readUInt16BE(2) === 50;
  client.send(isClose ? connectionCloseOk() : connectionClose());
  client.end();
  return isClose ? payload.toString('utf8', 7, 7 + payload.readUInt8(6)) : undefined;
}

async function expectRefused(t: Test, realm: Realm, expected: string, vhost?: string): Promise<void> {
  const text = await until(
    () => refusal(t, realm, vhost),
    (each) => each !== undefined,
  );
  t.equal(text, expected);
}

function vhostFull({ vhost, user }: Realm, limit: number): string {
  return `NOT_ALLOWED - access to vhost '${vhost}' refused for user '${user}': connection limit (${limit}) is reached`;
}

function userFull({ user }: Realm, limit: number): string {
  return `NOT_ALLOWED - connection refused for user '${user}': user connection limit (${limit}) is reached`;
}

async function reconnect(realm: Realm): Promise<ChannelModel> {
  const found = await until<ChannelModel | undefined>(
    () => realm.connect().catch(() => undefined),
    (connection) => connection !== undefined,
  );
  if (found === undefined) throw new Error('no connection');
  return found;
}

t.test('a virtual host takes as many connections as it may have', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitVirtualHost({ connections: 2 });
  const first = await realm.connect();
  await realm.connect();
  await expectRefused(t, realm, vhostFull(realm, 2));
  await first.close();
  await reconnect(realm);
  await expectRefused(t, realm, vhostFull(realm, 2));
});

t.test('a virtual host with a limit of 0 takes none, and without one any number', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitVirtualHost({ connections: 0 });
  await expectRefused(t, realm, vhostFull(realm, 0));
  await realm.limitVirtualHost({ connections: -1 });
  t.equal(await refusal(t, realm), undefined);
});

t.test('a user has as many connections as it may have, in all virtual hosts together', async (t) => {
  const realm = await Realm.open(t);
  const other = uniqueName('other');
  await realm.addVirtualHost(other);
  await realm.allow(other);
  await realm.limitUser({ connections: 2 });
  const first = await realm.connect();
  await realm.connect(other);
  await expectRefused(t, realm, userFull(realm, 2));
  await expectRefused(t, realm, userFull(realm, 2), other);
  await first.close();
  await reconnect(realm);
});

t.test('a user with a limit of 0 has none', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ connections: 0 });
  await expectRefused(t, realm, userFull(realm, 0));
});

t.test('the virtual host is looked for first, then its limit, then that of the user, then permissions', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitUser({ connections: 0 });
  await realm.limitVirtualHost({ connections: 0 });
  await expectRefused(t, realm, 'NOT_ALLOWED - vhost no-such-vhost not found', 'no-such-vhost');
  await expectRefused(t, realm, vhostFull(realm, 0));
  const closed = uniqueName('closed');
  await realm.addVirtualHost(closed);
  await expectRefused(t, realm, userFull(realm, 0), closed);
});

t.test('a limit that is lowered closes nothing', async (t) => {
  const realm = await Realm.open(t);
  const connections = [await realm.connect(), await realm.connect()];
  await realm.limitVirtualHost({ connections: 1 });
  await realm.limitUser({ connections: 1 });
  for (const connection of connections) await (await connection.createChannel()).close();
  await expectRefused(t, realm, vhostFull(realm, 1));
  await connections[0].close();
  await expectRefused(t, realm, vhostFull(realm, 1));
  await connections[1].close();
  await reconnect(realm);
});

t.test('limits go with the virtual host and the user, and so does what was counted', async (t) => {
  const realm = await Realm.open(t);
  await realm.limitVirtualHost({ connections: 1 });
  await realm.limitUser({ connections: 1 });
  const old = await realm.connect();
  const closed = new Promise((resolve) => old.once('close', resolve));
  await realm.renew();
  await closed;
  t.equal(await refusal(t, realm), undefined);
  await realm.limitUser({ connections: 1 });
  await reconnect(realm);
  await expectRefused(t, realm, userFull(realm, 1));
});

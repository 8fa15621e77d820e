// Users that come, change and go while the broker runs: who may log in and do what, and what holds after a restart.
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ChannelModel, connect } from 'amqplib';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { AdminError, type Broker, type BrokerOptions, createBroker, type UserChange } from '../../lib/index.ts';
import { afterEachEnding, temporaryFolder } from '../helper/durable-broker.ts';
import { closeText, EmbedClient, turnsUntil } from '../helper/embed-client.ts';
import { channelClose, drain, errorOf, publish, quiet } from '../helper/messages.ts';
import { connectionOpen, PROTOCOL_HEADER, startOk, tuneOk } from '../helper/wire-bytes.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const NONE = { configure: '', write: '', read: '' };
const ON_SLASH = { permissions: { '/': ALL } };

async function startBroker(t: Test, options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker({ port: 0, ...options });
  t.teardown(() => broker.close());
  return broker;
}

async function login(t: Test, broker: Broker, name: string, password: string): Promise<ChannelModel> {
  const credentials = `${encodeURIComponent(name)}:${encodeURIComponent(password)}`;
  const connection = quiet(await connect(`amqp://${credentials}@127.0.0.1:${broker.port}/`));
  t.teardown(() => connection.close().catch(() => undefined)); // most are closed by then
  return connection;
}

/** Which of these open, as `name:password`. */
async function opens(t: Test, broker: Broker, ...logins: string[]): Promise<string[]> {
  const opened: string[] = [];
  for (const one of logins) {
    const [name = '', password = ''] = one.split(':');
    const connection = await login(t, broker, name, password).catch((error: Error) => {
      if (!/ACCESS_REFUSED - Login was refused/.test(error.message)) throw error;
    });
    if (connection === undefined) continue;
    opened.push(one);
    await connection.close();
  }
  return opened;
}

t.test('a user is there as soon as it is put, and what is left out stays as it is', async (t) => {
  const broker = await startBroker(t);
  await broker.putUser({ name: 'ann', password: 'one', tags: ['a', 'b', 'a'], permissions: { '/': ALL } });
  const ann = { name: 'ann', tags: ['a', 'b'], permissions: { '/': ALL } };
  t.strictSame(broker.users, [{ name: 'guest', tags: ['administrator'], permissions: { '/': ALL } }, ann]);
  t.strictSame(await opens(t, broker, 'ann:one', 'ann:', 'Ann:one'), ['ann:one']);

  await broker.putUser({ name: 'ann', password: 'two' });
  t.strictSame(broker.users[1], ann);
  t.strictSame(await opens(t, broker, 'ann:one', 'ann:two'), ['ann:two']);
  await broker.putUser({ name: 'ann', tags: [] });
  t.strictSame(await opens(t, broker, 'ann:two'), ['ann:two']);
  await broker.createVirtualHost('x');
  await broker.putUser({ name: 'ann', permissions: { x: NONE } });
  t.strictSame(broker.users[1], { name: 'ann', tags: [], permissions: { '/': ALL, x: NONE } });
  await broker.putUser({ name: 'ann', permissions: { '/': null } });
  t.strictSame(broker.users[1], { name: 'ann', tags: [], permissions: { x: NONE } });
  await broker.putUser({ name: 'ann', password: '', permissions: { '/': ALL } });
  t.strictSame(await opens(t, broker, 'ann:two', 'ann:'), [], 'an empty password opens nothing');
});

t.test('a new user has nothing but its name', async (t) => {
  const broker = await startBroker(t, { users: [] });
  t.strictSame(broker.users, []);
  t.notMatch(broker.url, '@');
  await broker.putUser({ name: 'ann' });
  t.strictSame(broker.users, [{ name: 'ann', tags: [], permissions: {} }]);
  await broker.putUser({ name: 'ann', password: 'one' });
  await t.rejects(login(t, broker, 'ann', 'one'), /Expected ConnectionOpenOk/, 'no virtual host is open to it');
});

t.test("a user that is deleted loses its connections, and nobody else's", async (t) => {
  const broker = await startBroker(t);
  await broker.putUser({ name: 'ann', password: 'one', ...ON_SLASH });
  const guest = await login(t, broker, 'guest', 'guest');
  const connections = [await login(t, broker, 'ann', 'one'), await login(t, broker, 'ann', 'one')];
  const channel = quiet(await connections[0].createChannel());
  await channel.assertQueue('stays');
  const closed = Promise.all(connections.map((connection) => once(connection, 'close')));
  await broker.deleteUser('ann');
  for (const [reason] of await closed) {
    t.match(reason, { code: 320, message: "CONNECTION_FORCED - user 'ann' is deleted" });
  }
  await turnsUntil(() => broker.connectionCount === 1);
  t.equal(broker.connectionEnds.get('forced'), 2);
  t.strictSame(await opens(t, broker, 'ann:one', 'guest:guest'), ['guest:guest']);
  await (await guest.createChannel()).checkQueue('stays');
});

t.test('a user can go while it is about to open a virtual host', async (t) => {
  const broker = await startBroker(t);
  const client = EmbedClient.dial(broker.port);
  t.teardown(() => client.stream.destroy());
  client.send(PROTOCOL_HEADER, startOk());
  await client.expect(0, 10, 30);
  await broker.deleteUser('guest');
  await broker.putUser({ name: 'guest', password: 'other', ...ON_SLASH });
  const told = client.expect(0, 10, 50);
  client.send(tuneOk(), connectionOpen('/'));
  t.equal(
    closeText(await told),
    "NOT_ALLOWED - access to vhost '/' refused for user 'guest'",
    'that was another guest',
  );
});

t.test('open connections outlive a change of their user, and feel it', async (t) => {
  const broker = await startBroker(t);
  await broker.putUser({ name: 'ann', password: 'one', ...ON_SLASH });
  const connection = await login(t, broker, 'ann', 'one');
  const channel = quiet(await connection.createConfirmChannel());
  await channel.assertQueue('q');
  await broker.putUser({ name: 'ann', password: 'two' });
  await publish(channel, 'q', ['works']);
  t.strictSame(await drain(channel, 'q'), ['works']);

  await broker.putUser({ name: 'ann', permissions: { '/': { ...ALL, configure: '^mine' } } });
  const refused = errorOf(channel);
  await t.rejects(channel.assertQueue('q'), { code: 403 });
  const text = "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'ann'";
  t.match(await refused, channelClose(403, text, 50, 10));
  const next = quiet(await connection.createChannel());
  await next.assertQueue('mine');

  await broker.putUser({ name: 'ann', permissions: { '/': null } });
  await t.rejects(next.assertQueue('mine'), { code: 403 });
  await broker.putUser({ name: 'ann', ...ON_SLASH });
  await (await connection.createChannel()).assertQueue('q');
  t.equal(broker.connectionCount, 1);
});

t.test('what can not be done is refused, without a trace', async (t) => {
  const broker = await startBroker(t, { users: [] });
  const secret = 'hidden-word';
  const cases: [change: unknown, code: AdminError['code'], message: RegExp][] = [
    [{}, 'invalid', /name of a user/],
    [{ name: '' }, 'invalid', /1 to 255 bytes/],
    [{ name: 'n'.repeat(256) }, 'invalid', /1 to 255 bytes/],
    [{ name: 'ann', pasword: secret }, 'invalid', /no 'pasword' \(did you mean 'password'\?\)/],
    [{ name: 'ann', password: [secret] }, 'invalid', /password of user 'ann' is no text/],
    [{ name: 'ann', tags: 'administrator' }, 'invalid', /tags of user 'ann' are no list/],
    [{ name: 'ann', tags: [''] }, 'invalid', /tags of user 'ann' are no list/],
    [{ name: 'ann', permissions: [] }, 'invalid', /permissions of user 'ann'/],
    [{ name: 'ann', permissions: { '/': { configure: '' } } }, 'invalid', /permissions on '\/' are not/],
    [{ name: 'ann', permissions: { '/': { ...ALL, write: '(' } } }, 'invalid', /write permission '\(' is no usable/],
    [{ name: 'ann', permissions: { nope: ALL } }, 'not-found', /virtual host 'nope' does not exist/],
  ];
  for (const [change, code, message] of cases) {
    const error = await broker
      .putUser({ password: secret, ...(change as UserChange) })
      .catch((reason: unknown) => reason);
    if (!(error instanceof AdminError)) {
      t.fail(`${JSON.stringify(change)} gave ${error}`);
      continue;
    }
    t.equal(error.code, code, error.message);
    t.match(error.message, message);
    t.notMatch(error.message, secret);
  }
  await t.rejects(broker.putUser('ann' as unknown as UserChange), { code: 'invalid', message: /a user is \{ name/ });
  t.strictSame(broker.users, []);
  await t.rejects(broker.deleteUser('ann'), { code: 'not-found', message: "user 'ann' does not exist" });
  await broker.close();
  await t.rejects(broker.putUser({ name: 'ann' }), { code: 'closed' });
  await t.rejects(broker.deleteUser('ann'), { code: 'closed' });
});

afterEachEnding(
  'users made at run time are there after a restart, as they were left',
  async (t, durable) => {
    const { broker } = durable;
    await broker.createVirtualHost('x');
    const permissions = { '/': { configure: '^ann', write: '.*', read: '' }, x: ALL };
    await broker.putUser({ name: 'ann', password: 'first', tags: ['monitoring'], permissions });
    await broker.putUser({ name: 'ann', password: 'second' });
    await broker.putUser({ name: 'bob', password: 'b', ...ON_SLASH });
    await broker.deleteUser('bob');
    for (const life of ['second', 'third']) {
      await durable.restart();
      t.strictSame(durable.broker.users.slice(1), [{ name: 'ann', tags: ['monitoring'], permissions }], `${life} life`);
      t.strictSame(await opens(t, durable.broker, 'ann:first', 'ann:second', 'bob:b'), ['ann:second']);
    }
    const channel = quiet(await (await login(t, durable.broker, 'ann', 'second')).createChannel());
    await channel.assertQueue('ann.queue');
    await t.rejects(channel.assertQueue('queue'), { code: 403 });
  },
  { users: [{ name: 'admin', password: 'a' }] },
);

afterEachEnding('the default user stays as it was left', async (t, durable) => {
  await durable.broker.putUser({ name: 'ann', password: 'a', ...ON_SLASH });
  await durable.restart();
  t.strictSame(await opens(t, durable.broker, 'guest:guest', 'ann:a'), ['guest:guest', 'ann:a']);
  await durable.broker.deleteUser('guest');
  t.notMatch(durable.broker.url, '@');
  // Its connection is refused, but the broker is there.
  await t.rejects(durable.restart(), /ACCESS_REFUSED/);
  t.strictSame(await opens(t, durable.broker, 'guest:guest', 'ann:a'), ['ann:a']);
  t.strictSame(
    durable.broker.users.map(({ name }) => name),
    ['ann'],
  );
});

t.test('what was done to configured users holds until the configuration says something new', async (t) => {
  const dataDir = temporaryFolder(t);
  let log = '';
  const logger = pino({ level: 'trace' }, { write: (line: string) => (log += line) });
  const configured = (app: string, old: string): BrokerOptions['users'] => [
    { name: 'app', password: app },
    { name: 'old', password: old },
  ];
  const during = async (users: BrokerOptions['users'], work: (broker: Broker) => Promise<void>): Promise<void> => {
    await using broker = await createBroker({ port: 0, dataDir, users, logger });
    await work(broker);
  };
  await during(configured('a1', 'o1'), async (broker) => {
    await broker.putUser({ name: 'app', password: 'rotated' });
    await broker.deleteUser('old');
  });
  t.notMatch(log, /"names"/);
  await during(configured('a1', 'o1'), async (broker) => {
    t.strictSame(await opens(t, broker, 'app:a1', 'app:rotated', 'old:o1'), ['app:rotated']);
  });
  t.match(log, /"names":\["app"\],"msg":"users of the configuration were changed at run time, which holds"/);
  t.match(
    log,
    /"names":\["old"\],"msg":"users of the configuration were deleted at run time, which holds; to have them/,
  );
  await during(configured('a2', 'o2'), async (broker) => {
    t.strictSame(await opens(t, broker, 'app:a1', 'app:rotated', 'app:a2', 'old:o2'), ['app:a2', 'old:o2']);
    await broker.putUser({ name: 'app', password: 'again' });
  });
  await during([], async (broker) => {
    t.strictSame(broker.users, [], 'who is not configured any more is gone');
    t.strictSame(await opens(t, broker, 'app:a1', 'app:a2', 'app:again', 'guest:guest'), []);
  });
  t.match(log, /there is no user, so nobody can log in/);
});

t.test('no password is logged or written', async (t) => {
  const dataDir = temporaryFolder(t);
  let log = '';
  const logger = pino({ level: 'trace' }, { write: (line: string) => (log += line) });
  const broker = await createBroker({ port: 0, dataDir, logger, users: [{ name: 'app', password: 'first-word' }] });
  await broker.putUser({ name: 'ann', password: 'second-word', ...ON_SLASH });
  await broker.putUser({ name: 'app', password: 'third-word' });
  t.strictSame(await opens(t, broker, 'ann:second-word', 'ann:wrong-word'), ['ann:second-word']);
  await t.rejects(broker.putUser({ name: 'ann', password: 'fourth-word', tags: [''] }));
  await broker.deleteUser('ann');
  await broker.close();
  t.match(log, /"user":"ann","msg":"user created"/);
  t.match(log, /"user":"app","msg":"user changed"/);
  t.match(log, /"user":"ann","msg":"user deleted"/);
  t.notMatch(log, /-word/);
  const paths = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).map((path) => join(dataDir, path));
  const files = paths.filter((path) => statSync(path).isFile());
  const content = files.map((path) => readFileSync(path, 'latin1')).join('');
  t.match(content, 'passwordHash');
  t.notMatch(content, /-word/);
});

// Users of the configuration and of the data folder: what holds after a restart.
import t from 'tap';
import type { AccessRules } from '../../lib/auth/permissions.ts';
import { UserDirectory, type UserEntry } from '../../lib/auth/user-directory.ts';
import {
  decodeKeptUser,
  encodeKeptUser,
  plainPermissions,
  recordOf,
  type UserDefinition,
} from '../../lib/auth/user-record.ts';

const ALL: AccessRules = { configure: '.*', write: '.*', read: '.*' };
const NONE: AccessRules = { configure: '', write: '', read: '' };

function user(name: string, password: string, rest: Partial<UserDefinition> = {}): UserDefinition {
  return { name, password, tags: [], permissions: { '/': ALL }, ...rest };
}

const GUEST = user('guest', 'guest', { tags: ['administrator'] });

/** A data folder, through any number of starts. */
class Folder {
  readonly #entries = new Map<string, Buffer>();
  writes = 0;

  /** Starts with users in the configuration, or with none, where guest stands in for them. */
  start(definitions?: readonly UserDefinition[]): UserDirectory {
    return new UserDirectory({
      definitions: definitions ?? [GUEST],
      isDefault: definitions === undefined,
      entries: [...this.entries()],
      journal: {
        userChanged: ({ name, json }) => {
          this.writes++;
          this.#entries.set(name, json);
        },
        userDeleted: (name) => {
          this.writes++;
          this.#entries.delete(name);
        },
      },
    });
  }

  *entries(): Generator<UserEntry> {
    for (const [name, json] of this.#entries) yield { name, json };
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }
}

function put(directory: UserDirectory, { name, ...rest }: UserDefinition): void {
  directory.put(name, recordOf(rest));
}

/** What opens, as `name:password`. */
function opens(directory: UserDirectory, ...logins: string[]): string[] {
  return logins.filter((login) => {
    const [name = '', password = ''] = login.split(':');
    return directory.users.authenticate(name, password) !== undefined;
  });
}

function permissionsOf(directory: UserDirectory, name: string): Record<string, AccessRules> {
  return plainPermissions(directory.users.get(name)?.permissions ?? new Map());
}

t.test('users of the configuration are made at each start, and not written down', async (t) => {
  const folder = new Folder();
  t.strictSame(opens(folder.start([user('ann', 'one')]), 'ann:one', 'guest:guest'), ['ann:one']);
  t.strictSame(opens(folder.start([user('ann', 'two'), user('bob', 'b')]), 'ann:one', 'ann:two', 'bob:b'), [
    'ann:two',
    'bob:b',
  ]);
  t.strictSame(opens(folder.start([]), 'ann:two', 'guest:guest'), [], 'who is not named any more is gone');
  t.equal(folder.writes, 0);
});

t.test('users made at run time come back, changed as they were', async (t) => {
  const folder = new Folder();
  const first = folder.start([user('ann', 'a')]);
  put(first, user('eve', 'e', { tags: ['monitoring'], permissions: { '/': ALL, x: NONE } }));
  put(first, user('dan', 'd'));
  const second = folder.start([user('ann', 'a')]);
  t.strictSame(opens(second, 'ann:a', 'eve:e', 'dan:d'), ['ann:a', 'eve:e', 'dan:d']);
  t.strictSame(second.users.get('eve')?.tags, ['monitoring']);
  t.strictSame(permissionsOf(second, 'eve'), { '/': ALL, x: NONE });
  put(second, user('eve', ''));
  t.ok(second.remove('dan'));
  t.notOk(second.remove('dan'));
  const third = folder.start([]);
  t.strictSame(opens(third, 'eve:e', 'eve:', 'dan:d'), [], 'an empty password opens nothing');
  t.strictSame(
    third.users.list().map(({ name }) => name),
    ['eve'],
  );
  t.strictSame(folder.names, ['eve'], 'a deletion of one made at run time leaves nothing');
});

t.test('the configuration takes over a user that was made at run time', async (t) => {
  const folder = new Folder();
  put(folder.start([]), user('eve', 'run-time', { tags: ['administrator'] }));
  const second = folder.start([user('eve', 'configured')]);
  t.strictSame(opens(second, 'eve:run-time', 'eve:configured'), ['eve:configured']);
  t.strictSame(second.users.get('eve')?.tags, []);
  t.strictSame(opens(folder.start([]), 'eve:run-time', 'eve:configured'), [], 'and takes it along');
});

t.test(
  'what was changed of a configured user holds until the configuration says something new of the same',
  async (t) => {
    const configured = user('ann', 'old', { tags: ['a'], permissions: { '/': ALL, x: ALL } });
    const folder = new Folder();
    put(folder.start([configured]), user('ann', 'new', { tags: ['b'], permissions: { '/': NONE, y: ALL } }));

    const same = folder.start([configured]);
    t.strictSame(opens(same, 'ann:old', 'ann:new'), ['ann:new']);
    t.strictSame(same.users.get('ann')?.tags, ['b']);
    t.strictSame(permissionsOf(same, 'ann'), { '/': NONE, y: ALL });
    t.strictSame(same.overridden, { changed: ['ann'], deleted: [] });
    t.equal(folder.writes, 1, 'the next start writes nothing');

    const retagged = folder.start([{ ...configured, tags: ['c'] }]);
    t.strictSame(opens(retagged, 'ann:old', 'ann:new'), ['ann:new'], 'the password was not spoken of');
    t.strictSame(retagged.users.get('ann')?.tags, ['c']);
    t.strictSame(permissionsOf(retagged, 'ann'), { '/': NONE, y: ALL });

    const opened = folder.start([{ ...configured, tags: ['c'], permissions: { '/': ALL, x: NONE, z: ALL } }]);
    t.strictSame(
      permissionsOf(opened, 'ann'),
      { '/': NONE, x: NONE, z: ALL, y: ALL },
      'x is new, and z; the others are not',
    );
    const closed = folder.start([{ ...configured, tags: ['c'], permissions: { '/': ALL } }]);
    t.strictSame(permissionsOf(closed, 'ann'), { '/': NONE, y: ALL }, 'the configuration closes x and z');

    const renewed = folder.start([{ ...configured, password: 'newest', tags: ['c'], permissions: { '/': ALL } }]);
    t.strictSame(opens(renewed, 'ann:old', 'ann:new', 'ann:newest'), ['ann:newest']);
    t.strictSame(permissionsOf(renewed, 'ann'), { '/': NONE, y: ALL });
  },
);

t.test('a configured user that was changed at run time can not log in once the configuration drops it', async (t) => {
  const folder = new Folder();
  put(folder.start([user('ann', 'old')]), user('ann', 'new'));
  const without = folder.start([user('bob', 'b')]);
  t.strictSame(opens(without, 'ann:old', 'ann:new', 'bob:b'), ['bob:b']);
  t.equal(without.users.get('ann'), undefined);
  t.strictSame(without.overridden, { changed: [], deleted: [] });
  t.strictSame(opens(folder.start([user('ann', 'old')]), 'ann:old', 'ann:new'), ['ann:new'], 'old stays revoked');

  put(folder.start([]), user('ann', 'own'));
  t.strictSame(
    opens(folder.start([]), 'ann:own'),
    ['ann:own'],
    'made at run time while it is not configured, it is a user of its own',
  );
});

t.test(
  'a configured user that was deleted stays deleted until it gets another password, or is made again',
  async (t) => {
    const folder = new Folder();
    folder.start([user('ann', 'old')]).remove('ann');
    const second = folder.start([user('ann', 'old', { tags: ['x'], permissions: {} })]);
    t.equal(second.users.get('ann'), undefined);
    t.strictSame(second.overridden, { changed: [], deleted: ['ann'] });
    t.strictSame(opens(folder.start([]), 'ann:old'), []);
    t.strictSame(opens(folder.start([user('ann', 'old')]), 'ann:old'), []);
    t.strictSame(opens(folder.start([user('ann', 'new')]), 'ann:old', 'ann:new'), ['ann:new']);

    folder.start([user('ann', 'new')]).remove('ann');
    put(folder.start([user('ann', 'new')]), user('ann', 'again'));
    t.strictSame(opens(folder.start([user('ann', 'new')]), 'ann:new', 'ann:again'), ['ann:again']);
  },
);

t.test('the default user', async (t) => {
  await t.test('is made where there is no user yet, and is there at every start that names none', async (t) => {
    const folder = new Folder();
    t.strictSame(opens(folder.start(), 'guest:guest'), ['guest:guest']);
    const again = folder.start();
    put(again, user('ann', 'a'));
    t.strictSame(again.overridden, { changed: [], deleted: [] });
    t.strictSame(opens(folder.start(), 'guest:guest', 'ann:a'), ['guest:guest', 'ann:a']);
    t.equal(folder.writes, 2);
  });

  await t.test('stays deleted', async (t) => {
    const folder = new Folder();
    folder.start().remove('guest');
    t.strictSame(opens(folder.start(), 'guest:guest'), []);
    t.strictSame(opens(folder.start([user('ann', 'a')]), 'guest:guest'), []);
    t.strictSame(opens(folder.start(), 'guest:guest'), []);
  });

  await t.test('stays changed', async (t) => {
    const folder = new Folder();
    put(folder.start(), user('guest', 'rotated'));
    t.strictSame(opens(folder.start(), 'guest:guest', 'guest:rotated'), ['guest:rotated']);
    t.strictSame(
      opens(folder.start([user('ann', 'a')]), 'guest:guest', 'guest:rotated'),
      [],
      'and goes for configured ones',
    );
    t.strictSame(opens(folder.start(), 'guest:guest', 'guest:rotated'), ['guest:rotated']);
  });

  await t.test('has every permission on a virtual host that is new in the configuration', async (t) => {
    const folder = new Folder();
    folder.start();
    const permissions = { '/': ALL, orders: ALL };
    const directory = new UserDirectory({
      definitions: [{ ...GUEST, permissions }],
      isDefault: true,
      entries: [...folder.entries()],
      journal: null,
    });
    t.strictSame(permissionsOf(directory, 'guest'), permissions);
  });

  await t.test('is not made where users were made at run time beside configured ones', async (t) => {
    const folder = new Folder();
    put(folder.start([user('admin', 'a')]), user('app', 'b'));
    t.strictSame(opens(folder.start(), 'guest:guest', 'admin:a', 'app:b'), ['app:b']);
  });

  await t.test('does not take over a user of that name who was made at run time', async (t) => {
    const folder = new Folder();
    put(folder.start([user('admin', 'a')]), user('guest', 'own', { permissions: {} }));
    const directory = folder.start();
    t.strictSame(opens(directory, 'guest:guest', 'guest:own'), ['guest:own']);
    t.strictSame(permissionsOf(directory, 'guest'), {});
  });

  await t.test('is made again by a start without users after one that named some', async (t) => {
    const folder = new Folder();
    folder.start();
    t.strictSame(opens(folder.start([user('ann', 'a')]), 'guest:guest', 'ann:a'), ['ann:a']);
    t.strictSame(opens(folder.start(), 'guest:guest', 'ann:a'), ['guest:guest']);
  });
});

t.test('nobody has permissions on a virtual host that was deleted', async (t) => {
  const permissions = { '/': ALL, x: ALL };
  const folder = new Folder();
  const configured = [user('ann', 'a', { permissions }), user('bob', 'b', { permissions })];
  const first = folder.start(configured);
  put(first, user('eve', 'e', { permissions }));
  put(first, user('bob', 'b', { permissions: { '/': NONE, x: NONE } }));
  const before = folder.writes;
  first.virtualHostDeleted('x');
  t.strictSame(permissionsOf(first, 'ann'), { '/': ALL });
  t.strictSame(permissionsOf(first, 'bob'), { '/': NONE });
  t.strictSame(permissionsOf(first, 'eve'), { '/': ALL });
  t.equal(folder.writes - before, 2, 'ann needs not be written down');
  put(first, user('ann', 'a2', { permissions: { '/': ALL } }));

  const second = folder.start(configured);
  t.strictSame(permissionsOf(second, 'eve'), { '/': ALL });
  t.strictSame(permissionsOf(second, 'ann'), permissions, 'the configuration that makes it again gives them anew');
  t.strictSame(permissionsOf(second, 'bob'), { '/': NONE, x: ALL });
});

t.test('what a checkpoint holds is what was written', async (t) => {
  const folder = new Folder();
  const directory = folder.start([user('ann', 'a'), user('bob', 'b')]);
  put(directory, user('ann', 'new'));
  put(directory, user('eve', 'e'));
  directory.remove('bob');
  t.strictSame([...directory.entries()], [...folder.entries()]);
  const next = folder.start([user('ann', 'a')]);
  t.strictSame([...next.entries()], [...folder.entries()], 'those who sleep included');
});

t.test('an entry holds hash and algorithm, never a password', async (t) => {
  const record = recordOf(user('ann', 'the-password', { tags: ['t'], permissions: { x: ALL } }));
  const json = encodeKeptUser({ configured: record, current: record }).toString();
  t.notMatch(json, /the-password/);
  const plain = {
    passwordHash: record.passwordHash,
    hashingAlgorithm: 'rabbit_password_hashing_sha256',
    tags: ['t'],
    permissions: { x: ALL },
  };
  t.strictSame(JSON.parse(json), { ...plain, configured: plain });
  t.strictSame(JSON.parse(encodeKeptUser({ configured: record, current: null }).toString()), {
    deleted: true,
    configured: plain,
  });
});

t.test('a virtual host may have any name', async (t) => {
  const record = recordOf(user('ann', 'a', { permissions: JSON.parse(`{ "__proto__": ${JSON.stringify(ALL)} }`) }));
  const { current } = decodeKeptUser(encodeKeptUser({ configured: null, current: record }));
  t.strictSame([...(current?.permissions.keys() ?? [])], ['__proto__']);
});

t.test('what can not be read is refused, without being shown', async (t) => {
  const good = JSON.parse(encodeKeptUser({ configured: null, current: recordOf(user('ann', 'a')) }).toString());
  const cases: [content: unknown, reason: RegExp][] = [
    ['not JSON', /its JSON or a permission is broken/],
    ['null', /no object/],
    [{ ...good, passwordHash: undefined }, /no password hash/],
    [{ ...good, hashingAlgorithm: 'rot13' }, /algorithm "rot13" is not known/],
    [{ ...good, tags: [1] }, /no list of tags/],
    [{ ...good, permissions: [] }, /no permissions/],
    [{ ...good, permissions: { '/': { configure: '' } } }, /no permission \{ configure, write, read \}/],
    [{ ...good, permissions: { '/': { ...ALL, read: '(' } } }, /its JSON or a permission is broken/],
    [{ deleted: true, configured: 7 }, /no object/],
  ];
  for (const [content, reason] of cases) {
    const json = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
    const start = () =>
      new UserDirectory({ definitions: [], isDefault: false, entries: [{ name: 'ann', json }], journal: null });
    t.throws(start, { message: reason });
    t.throws(start, { message: /^user 'ann' of the data folder can't be read: / });
  }
});

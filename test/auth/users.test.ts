// The store of users.
import t from 'tap';
import { checkAccess, checkVhostAccess } from '../../lib/auth/permissions.ts';
import { recordOf } from '../../lib/auth/user-record.ts';
import { type UserDefinition, UserStore } from '../../lib/auth/users.ts';

const ann: UserDefinition = {
  name: 'ann',
  password: 'secret',
  tags: ['monitoring'],
  permissions: { '/': { configure: '^ann\\.', write: '.*', read: '' } },
};

t.test('a user logs in with name and password, and with nothing else', async (t) => {
  const store = new UserStore([ann]);
  t.equal(store.authenticate('ann', 'secret')?.name, 'ann');
  t.equal(store.authenticate('ann', 'Secret'), undefined);
  t.equal(store.authenticate('ann', ''), undefined);
  t.equal(store.authenticate('Ann', 'secret'), undefined, 'names are case-sensitive');
  t.equal(store.authenticate('bob', 'nobody'), undefined, 'no name opens with the decoy');
  t.equal(new UserStore([{ ...ann, password: '' }]).authenticate('ann', ''), undefined);
});

t.test('users are added, listed and removed', async (t) => {
  const store = new UserStore();
  const user = store.add(ann);
  t.equal(store.get('ann'), user);
  t.throws(() => store.add(ann), { message: "user 'ann' already exists" });
  t.strictSame(
    store.list().map(({ name, tags }) => [name, tags]),
    [['ann', ['monitoring']]],
  );
  t.ok(store.remove('ann'));
  t.notOk(store.remove('ann'));
  t.equal(store.authenticate('ann', 'secret'), undefined);
});

t.test('who holds a user sees it change, and go', async (t) => {
  const store = new UserStore([ann]);
  const user = store.get('ann');
  if (user === undefined) throw new Error('ann is there');
  t.equal(store.put('ann', recordOf({ ...ann, password: 'other', tags: [], permissions: {} })), user);
  t.equal(store.authenticate('ann', 'secret'), undefined);
  t.equal(store.authenticate('ann', 'other'), user);
  t.strictSame(user.tags, []);
  t.notOk(checkVhostAccess(user, '/'));
  store.put('ann', recordOf(ann));
  t.ok(checkAccess(user, '/', 'any', 'write'));
  store.remove('ann');
  t.notOk(checkVhostAccess(user, '/'), 'a connection that still has it may do nothing');
  t.not(store.add(ann), user, 'one that is made again is another one');
  t.notOk(checkVhostAccess(user, '/'));
});

t.test('a user keeps no plain password', async (t) => {
  t.notMatch(JSON.stringify(new UserStore([ann]).get('ann')), /secret/);
});

t.test('permissions hold for their virtual host alone', async (t) => {
  const user = new UserStore([ann]).add({ ...ann, name: 'bob' });
  t.ok(checkVhostAccess(user, '/'));
  t.notOk(checkVhostAccess(user, 'other'));
  t.ok(checkAccess(user, '/', 'ann.queue', 'configure'));
  t.notOk(checkAccess(user, '/', 'bob.queue', 'configure'));
  t.ok(checkAccess(user, '/', 'bob.queue', 'write'));
  t.notOk(checkAccess(user, '/', 'ann.queue', 'read'));
  t.notOk(checkAccess(user, 'other', 'ann.queue', 'write'));
});

t.test('a virtual host named as a property of Object is closed like any other', async (t) => {
  t.notOk(checkVhostAccess(new UserStore().add(ann), 'constructor'));
});

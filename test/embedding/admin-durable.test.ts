// When a change is reported as done: not before it is durable, and never when it can't be.
import t from 'tap';
import { ExchangeTypeRegistry } from '../../exchanges/exchange-type-registry.ts';
import { AdminChanges } from '../../lib/admin-changes.ts';
import { UserDirectory } from '../../lib/auth/user-directory.ts';
import { BrokerAdmin } from '../../lib/broker-admin.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { createLogger } from '../../lib/log.ts';
import { defect, TestClock } from '../core/helper.ts';

/** An admin whose disk answers when the test says so. */
function createAdmin() {
  const waiting: (() => void)[] = [];
  const durability = { sequence: 0, whenDurable: (done: () => void) => waiting.push(done) };
  const changes = new AdminChanges(durability);
  const admin = new BrokerAdmin({
    virtualHosts: new Map(),
    context: {
      exchangeTypes: new ExchangeTypeRegistry(),
      memory: new MemoryAccount(2 ** 40, 2 ** 40),
      turn: new TurnScheduler(new TestClock()),
      slab: new RetentionSlab(),
      clock: new TestClock(),
      defect,
      durability,
      store: null,
    },
    directory: new UserDirectory({ definitions: [], isDefault: false, entries: [], journal: null }),
    store: null,
    listener: { closeConnections: () => {} },
    changes,
    logger: createLogger({ level: 'silent' }),
  });
  return { admin, changes, waiting };
}

t.test('a change is done at once, and reported when it is durable', async (t) => {
  const { admin, changes: gate, waiting } = createAdmin();
  const reported: string[] = [];
  const changes = [
    admin.createVirtualHost('x').then(() => reported.push('created')),
    admin.putUser({ name: 'ann', permissions: { x: { configure: '', write: '', read: '' } } }),
    admin.deleteVirtualHost('x').then(() => reported.push('deleted')),
    admin.deleteUser('ann'),
  ];
  t.strictSame(admin.virtualHosts, []);
  t.strictSame(admin.users, []);
  t.equal(waiting.length, 4);
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(reported, []);
  gate.close();
  for (const done of waiting) done();
  await Promise.all(changes);
  t.strictSame(reported, ['created', 'deleted'], 'also when the broker is being closed meanwhile');
});

t.test('what can not become durable is reported as failed, and so is all that follows', async (t) => {
  const { admin, changes } = createAdmin();
  const change = admin.putUser({ name: 'ann' });
  changes.failed(new Error('EIO: i/o error, fdatasync'));
  const failed = { name: 'AdminError', code: 'failed', message: /can not keep changes safe any more: EIO/ };
  await t.rejects(change, failed);
  await t.rejects(admin.createVirtualHost('x'), failed);
  t.strictSame(admin.virtualHosts, []);
});

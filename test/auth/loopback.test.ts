// Who counts as being on this machine.
import t from 'tap';
import { isLoopbackAddress } from '../../lib/auth/loopback.ts';

t.test('loopback addresses of both families', async (t) => {
  for (const address of [
    '127.0.0.1',
    '127.255.255.254',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '::FFFF:127.1.2.3',
    '::1%lo',
  ]) {
    t.ok(isLoopbackAddress(address), address);
  }
  for (const address of [
    undefined,
    '',
    '128.0.0.1',
    '10.127.0.1',
    '::',
    '::2',
    '::ffff:10.0.0.1',
    'localhost',
    '127.0.0.1.example.org',
    '127.0.0',
    '127.0.0.999',
  ]) {
    t.notOk(isLoopbackAddress(address), String(address));
  }
});

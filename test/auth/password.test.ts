// Password hashes in RabbitMQ's form.
import fc from 'fast-check';
import t from 'tap';
import { hashPassword, verifyPassword } from '../../lib/auth/password.ts';

t.test("the example of RabbitMQ's documentation hashes as it says", async (t) => {
  // https://www.rabbitmq.com/docs/passwords#computing-password-hash: test12 with salt 908DC60A.
  const hash = hashPassword('test12', Buffer.from('908DC60A', 'hex'));
  t.equal(hash, 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR');
  t.ok(verifyPassword('test12', hash));
});

t.test('a password verifies against its own hash only', async () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (password, other) => {
      const hash = hashPassword(password);
      return verifyPassword(password, hash) && verifyPassword(other, hash) === (other === password);
    }),
  );
});

t.test('equal passwords have different hashes', async (t) => {
  t.not(hashPassword('x'), hashPassword('x'));
});

t.test('an empty password is never right, nor any for a hash of another form', async (t) => {
  t.notOk(verifyPassword('', hashPassword('')));
  t.notOk(verifyPassword('x', ''));
  t.notOk(verifyPassword('x', 'AAAA'));
  t.throws(() => hashPassword('x', Buffer.alloc(3)), RangeError);
});

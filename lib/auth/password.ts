// Passwords as RabbitMQ's rabbit_password_hashing_sha256 keeps them: base64(salt ++ SHA-256(salt ++ password)), salt of 4 bytes.
// https://www.rabbitmq.com/docs/passwords
import { hash as hashOnce, randomBytes, timingSafeEqual } from 'node:crypto';

const SALT_BYTES = 4;
const HASH_BYTES = 32;

function digest(salt: Uint8Array, password: string): Buffer {
  return hashOnce('sha256', Buffer.concat([salt, Buffer.from(password, 'utf8')]), 'buffer');
}

/** Hashes a password; equal passwords give different hashes, since the salt is random. */
export function hashPassword(password: string, salt: Uint8Array = randomBytes(SALT_BYTES)): string {
  if (salt.length !== SALT_BYTES) throw new RangeError(`a salt has ${SALT_BYTES} bytes, not ${salt.length}`);
  return Buffer.concat([salt, digest(salt, password)]).toString('base64');
}

/**
 * True when the password is the one that was hashed. The time that it takes doesn't tell where they differ.
 * An empty password is never right, as in RabbitMQ; neither is any for a hash of another form.
 */
export function verifyPassword(password: string, hash: string): boolean {
  const stored = Buffer.from(hash, 'base64');
  if (password === '' || stored.length !== SALT_BYTES + HASH_BYTES) return false;
  return timingSafeEqual(digest(stored.subarray(0, SALT_BYTES), password), stored.subarray(SALT_BYTES));
}

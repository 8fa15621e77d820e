// What all changes of a running broker have in common: whether they are taken now, when they are reported, and how they fail.
import { show } from './config-error.ts';
import type { Durability } from './core/ports.ts';

/** Why something could not be changed. Nothing of it was done, unless `code` is `failed`. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  /**
   * `invalid`: what was asked for is not allowed. `not-found`: there is no such virtual host, user or policy. `closed`: the broker is
   * closed. `failed`: the broker can't keep anything safe any more (see its event `error`), and the change may be gone after a restart.
   */
  readonly code: 'invalid' | 'not-found' | 'closed' | 'failed';

  constructor(code: AdminError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export class AdminChanges {
  readonly #durability: Durability;
  /** Rejects what waits to be durable. */
  readonly #waiting = new Set<(error: AdminError) => void>();
  #refusal: AdminError | null = null;

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  /** @throws {AdminError} when nothing is changed any more */
  check(): void {
    // A fresh one each time, with the trace of who asked.
    if (this.#refusal !== null) throw new AdminError(this.#refusal.code, this.#refusal.message);
  }

  /** Resolves when what was done so far is durable. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#durability.whenDurable(() => {
        this.#waiting.delete(reject);
        resolve();
      });
    });
  }

  /** From now on nothing is changed any more. What waits to be durable will be when the data folder is closed. */
  close(): void {
    this.#refusal ??= new AdminError('closed', 'the broker is closed');
  }

  /** Nothing becomes durable any more. */
  failed(error: Error): void {
    const refusal = new AdminError('failed', `the broker can not keep changes safe any more: ${error.message}`);
    this.#refusal = refusal;
    for (const reject of this.#waiting) reject(refusal);
    this.#waiting.clear();
  }
}

export function checkName(name: unknown, what: string): asserts name is string {
  if (typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= 255) return;
  throw new AdminError('invalid', `the name of ${what} is a text of 1 to 255 bytes, which ${show(name)} is not`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function noVirtualHost(name: unknown): AdminError {
  return new AdminError('not-found', `virtual host ${show(name)} does not exist`);
}

export function noUser(name: unknown): AdminError {
  return new AdminError('not-found', `user ${show(name)} does not exist`);
}

// The bodies of a connection that are still arriving: they use memory, though no queue has them yet.
import type { MemoryAccount } from '../../core/memory-account.ts';

export class PartialBodies {
  readonly #memory: MemoryAccount;
  #bytes = 0;

  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Positive when some of a body came, negative when it is complete or given up. */
  adjust(bytes: number): void {
    this.#bytes += bytes;
    this.#memory.adjust(bytes);
  }
}

// What a channel in tx mode holds back until tx.commit. Its messages count as used memory, though no queue has them yet.
import type { MemoryAccount } from '../../core/memory-account.ts';
import { RetentionSlab } from '../../core/retention-slab.ts';
import type { Settlement } from './deliveries.ts';
import type { HeldPublish } from './publisher.ts';
import type { UnackedDelivery } from './unacked-deliveries.ts';

export interface HeldSettlement {
  readonly deliveries: readonly UnackedDelivery[];
  readonly settlement: Settlement;
}

export class Transaction {
  readonly #memory: MemoryAccount;
  readonly #slab = new RetentionSlab();
  readonly #publishes: HeldPublish[] = [];
  readonly settlements: HeldSettlement[] = [];

  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  get publishes(): readonly HeldPublish[] {
    return this.#publishes;
  }

  hold(publish: HeldPublish): void {
    this.#publishes.push(publish);
    this.#memory.retain(publish.message);
    // A transaction may take its time: what it holds must not pin the chunks that it came in.
    this.#slab.begin(publish.message.bytesToIsolate);
    publish.message.isolate(this.#slab);
  }

  /** All deliveries that the transaction would settle. */
  claimed(): UnackedDelivery[] {
    return this.settlements.flatMap((held) => held.deliveries);
  }

  clear(): void {
    for (const { message } of this.#publishes) this.#memory.release(message);
    this.#publishes.length = 0;
    this.settlements.length = 0;
  }
}

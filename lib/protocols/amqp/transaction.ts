// What a channel in tx mode holds back until tx.commit.

import type { Settlement } from './deliveries.ts';
import type { HeldPublish } from './publisher.ts';
import type { UnackedDelivery } from './unacked-deliveries.ts';

export interface HeldSettlement {
  readonly deliveries: readonly UnackedDelivery[];
  readonly settlement: Settlement;
}

export class Transaction {
  readonly publishes: HeldPublish[] = [];
  readonly settlements: HeldSettlement[] = [];

  /** All deliveries that the transaction would settle. */
  claimed(): UnackedDelivery[] {
    return this.settlements.flatMap((held) => held.deliveries);
  }

  clear(): void {
    this.publishes.length = 0;
    this.settlements.length = 0;
  }
}

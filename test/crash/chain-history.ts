// Histories of chains for the tests of the model: what clients saw, in short words, with or without a mistake of the broker. Time
// moves when the history says so.
import type { Test } from 'tap';
import type { ChainLedger } from './chain-ledger.ts';
import { CHAIN_PLANS } from './chain-plans.ts';
import type { FindingKind } from './findings.ts';
import type { Draft } from './messages.ts';
import { Model } from './model.ts';
import type { Traveller } from './traveller.ts';

/** In the middle of a second, since deaths tell whole ones. */
const START_MS = 1_795_000_000_500;

/** What the broker tells of a delivery; what is left out is as it should be. */
export interface Told {
  /** Reasons of the deaths, the first one first. */
  readonly reasons?: readonly string[];
  readonly redelivered?: boolean;
  readonly count?: number;
  /** When the client let the broker deliver it; now otherwise. */
  readonly decidedMs?: number;
  readonly deathCount?: number;
}

export class ChainHistory {
  readonly model = new Model();
  readonly chain: ChainLedger;
  nowMs = START_MS;
  #sequence = 0;
  readonly #travellers = new Map<string, Traveller>();
  #drainSince = START_MS;

  /** @param name of a plan */
  constructor(name: string) {
    const plan = CHAIN_PLANS.find((candidate) => candidate.name === name);
    if (plan === undefined) throw new Error(`no chain ${name}`);
    this.chain = this.model.addChain(plan);
  }

  publish(expirationMs = Number.POSITIVE_INFINITY, delayMs = 0): string {
    const sequence = this.#sequence++;
    const id = `p:${sequence}`;
    const draft: Draft = {
      id,
      publisher: 'p',
      sequence,
      transient: false,
      content: Buffer.alloc(0),
      options: {},
      expirationMs,
      delayMs,
    };
    this.#travellers.set(id, this.chain.published(draft, this.nowMs));
    return id;
  }

  confirmed(expirationMs?: number, delayMs?: number): string {
    const id = this.publish(expirationMs, delayMs);
    this.chain.confirm(this.#of(id), this.nowMs);
    return id;
  }

  wait(ms: number): void {
    this.nowMs += ms;
  }

  deliver(id: string, stage: number, told: Told = {}): void {
    const { reasons = [], redelivered = false, count, decidedMs = this.nowMs, deathCount = 1 } = told;
    const first = this.chain.stages[0].isExchange ? 1 : 0;
    const timeS = Math.floor(this.nowMs / 1000);
    const deaths = reasons.map((reason, index) => {
      return { reason, queue: this.chain.stages[first + index].name, count: deathCount, timeS };
    });
    const { nowMs } = this;
    this.chain.delivered({
      id,
      stage,
      redelivered,
      deaths: deaths.reverse(),
      count,
      who: 'somebody',
      decidedMs,
      nowMs,
    });
  }

  acknowledge(id: string): void {
    this.chain.acknowledged(this.#of(id));
  }

  reject(id: string): void {
    this.chain.rejected(this.#of(id));
  }

  giveBack(id: string): void {
    this.chain.returned(this.#of(id));
  }

  /** What was seen of these messages is on disk. */
  flush(...ids: readonly string[]): void {
    this.chain.flushed(this.chain.snapshot(ids.map((id) => this.#of(id))), 'something');
  }

  crash(): void {
    this.model.crash(this.nowMs);
    this.#drainSince = this.nowMs;
  }

  /** All queues were drained, and gave these messages, which were told of by `deliver`. */
  drained(...ids: readonly string[]): void {
    this.chain.reconcile(new Set(ids.map((id) => this.#of(id))), this.#drainSince, this.nowMs);
  }

  #of(id: string): Traveller {
    const traveller = this.#travellers.get(id);
    if (traveller === undefined) throw new Error(`no message ${id}`);
    return traveller;
  }
}

/** Tells a history to the model, which must have findings of these kinds. */
export function checkChain(
  t: Test,
  chain: string,
  title: string,
  expected: readonly FindingKind[],
  tell: (history: ChainHistory) => void,
): void {
  const history = new ChainHistory(chain);
  tell(history);
  const kinds = history.model.findings.list.map(({ kind }) => kind);
  t.same([...new Set(kinds)], expected, `${title}${kinds.length > 0 ? `\n${history.model.findings}` : ''}`);
}

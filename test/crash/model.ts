// All queues of the experiment, and what was published to them, over all lives of the broker.

import { ChainLedger } from './chain-ledger.ts';
import type { ChainPlan } from './chain-plans.ts';
import { Commit } from './commit.ts';
import { type FindingKind, Findings, noFigures } from './findings.ts';
import { type Entry, QueueLedger, type QueueTraits } from './ledger.ts';
import type { Draft } from './messages.ts';
import type { World } from './world.ts';

/** A message on its way: what its confirm will be about. */
export interface Publication {
  readonly parts: readonly { readonly ledger: QueueLedger; readonly entry: Entry }[];
}

export class Model {
  readonly findings: Findings;
  readonly figures = noFigures();
  readonly #world: World;
  readonly #ledgers = new Map<string, QueueLedger>();
  readonly #chains: ChainLedger[] = [];
  /** Commits that are open, or sent and not answered. */
  readonly #commits = new Set<Commit>();

  /** @param tolerated kinds of findings that do not count */
  constructor(tolerated: readonly FindingKind[] = []) {
    this.findings = new Findings(tolerated);
    this.#world = { life: 1, isStopping: false, clock: 0, findings: this.findings, figures: this.figures };
  }

  get life(): number {
    return this.#world.life;
  }

  get ledgers(): readonly QueueLedger[] {
    return [...this.#ledgers.values()];
  }

  get chains(): readonly ChainLedger[] {
    return this.#chains;
  }

  /** @param exclusive only one actor uses it, one message at a time */
  addQueue(name: string, exclusive: boolean, traits?: QueueTraits): QueueLedger {
    const ledger = new QueueLedger(name, exclusive, this.#world, traits);
    this.#ledgers.set(name, ledger);
    return ledger;
  }

  addChain(plan: ChainPlan): ChainLedger {
    const chain = new ChainLedger(plan, this.#world);
    this.#chains.push(chain);
    return chain;
  }

  queue(name: string): QueueLedger {
    const ledger = this.#ledgers.get(name);
    if (ledger === undefined) throw new Error(`no queue ${name}`);
    return ledger;
  }

  /** To be called before the message leaves. */
  published(draft: Draft, queues: readonly string[], commit: Commit | null = null): Publication {
    this.figures.published++;
    const parts = queues.map((name) => {
      const ledger = this.queue(name);
      const { id, transient, content, options } = draft;
      const { priority } = options;
      return { ledger, entry: ledger.published({ id, transient, bytes: content.length, priority, commit }) };
    });
    for (const part of parts) commit?.publishes(part);
    return { parts };
  }

  confirmed({ parts }: Publication): void {
    this.figures.confirmed++;
    for (const { ledger, entry } of parts) ledger.confirm(entry);
  }

  begin(name: string): Commit {
    const commit = new Commit(name, this.findings);
    this.#commits.add(commit);
    return commit;
  }

  committed(commit: Commit): void {
    this.figures.commits++;
    this.#commits.delete(commit);
    commit.done();
  }

  rolledBack(commit: Commit): void {
    this.figures.rollbacks++;
    this.#commits.delete(commit);
    commit.void();
  }

  /** The broker was told to stop. */
  stopping(): void {
    this.#world.isStopping = true;
  }

  /** The broker's process is gone, and all that it had sent has been read. */
  crash(nowMs = Date.now()): void {
    for (const commit of this.#commits) {
      commit.crash();
      if (commit.state === 'doubtful') this.figures.doubtfulCommits++;
    }
    this.#commits.clear();
    for (const ledger of this.#ledgers.values()) ledger.crash();
    for (const chain of this.#chains) chain.crash(nowMs);
    this.#world.life++;
    this.#world.isStopping = false;
  }
}

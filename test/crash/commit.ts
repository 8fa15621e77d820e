// One tx.commit as the experiment knows it. A crash may leave it in doubt; then every trace of it must point the same way.
import type { Findings } from './findings.ts';
import type { Entry, QueueLedger } from './ledger.ts';

export interface Part {
  readonly ledger: QueueLedger;
  readonly entry: Entry;
}

export class Commit {
  readonly #findings: Findings;
  readonly #name: string;
  /** `doubtful`: the broker was killed before it answered. */
  state: 'open' | 'sent' | 'doubtful' | 'done' | 'void' = 'open';
  readonly #published: Part[] = [];
  readonly #acknowledged: Part[] = [];
  #sawDone: string | undefined;
  #sawVoid: string | undefined;

  constructor(name: string, findings: Findings) {
    this.#name = name;
    this.#findings = findings;
  }

  toString(): string {
    return this.#name;
  }

  publishes(part: Part): void {
    this.#published.push(part);
  }

  acknowledges(part: Part): void {
    this.#acknowledged.push(part);
    part.entry.ackCommit = this;
  }

  /** tx.commit leaves. */
  sent(): void {
    this.state = 'sent';
  }

  /** tx.commit-ok is here: all of it is durable. */
  done(): void {
    this.state = 'done';
    for (const { ledger, entry } of this.#published) ledger.confirm(entry);
    for (const { ledger, entry } of this.#acknowledged) ledger.forget(entry, `acknowledged by ${this.#name}`);
  }

  /** Rolled back, or cut off before tx.commit was sent: nothing of it may ever show. */
  void(): void {
    this.state = 'void';
    for (const { ledger, entry } of this.#published) ledger.forget(entry, `${this.#name} was never committed`);
    for (const { entry } of this.#acknowledged) entry.ackCommit = null;
  }

  crash(): void {
    if (this.state === 'sent') this.state = 'doubtful';
    else if (this.state === 'open') this.void();
  }

  /** A trace that only a commit that took place leaves. */
  provesDone(trace: string): void {
    this.#sawDone ??= trace;
    this.#compare();
  }

  /** A trace that only a commit that did not take place leaves. */
  provesVoid(trace: string): void {
    this.#sawVoid ??= trace;
    this.#compare();
  }

  #compare(): void {
    if (this.#sawDone === undefined || this.#sawVoid === undefined) return;
    this.#findings.add('half', `${this.#name}: ${this.#sawDone}, but ${this.#sawVoid}`);
  }
}

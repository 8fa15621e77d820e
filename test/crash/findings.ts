// What the experiment found wrong, and what it counted.

/** What can be wrong. */
export const FINDING_KINDS = [
  /** Confirmed, not acknowledged, and not there. */
  'lost',
  /** Delivered while another delivery of it is open, or twice in one drain. */
  'duplicate',
  /** Delivered before, and delivered again without the redelivered flag. */
  'unmarked',
  /** Flagged as redelivered though nobody can have got it before. */
  'marked',
  /** Not in the order in which its publisher published, or not in its old place. */
  'reordered',
  /** Body or properties are not those that were published. */
  'corrupt',
  /** There again though it was acknowledged, purged, deleted with its queue, or known to be gone. */
  'resurrected',
  /** In a queue to which nobody published it. */
  'stray',
  /** A part of a commit is there and a part is not. */
  'half',
  /** The broker tells another number of messages than it gives. */
  'miscounted',
  /** An exchange, a queue or a binding that was declared is gone, or one that was deleted is there. */
  'topology',
  /** The broker refused, returned or closed what it should not have. */
  'refused',
  /** There before its time: it left a queue before its deadline, or an exchange before its delay was over. */
  'early',
  /** Delivered after its deadline. */
  'late',
  /** Its x-death header does not tell what happened to it. */
  'death',
  /** Its x-delivery-count is wrong, or it was delivered more often than the limit allows. */
  'count',
  /** Nothing comes any more though something should. */
  'stalled',
  /** The broker ended by itself, logged a defect, or did not start. */
  'broker',
] as const;

export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  readonly kind: FindingKind;
  readonly text: string;
}

/** Enough to understand what happened; the rest follows from it mostly. */
const MAX_FINDINGS = 40;

export class Findings {
  readonly list: Finding[] = [];
  /** Kinds that do not count, with how many of them there were: for going on behind a mistake that is known. */
  readonly tolerated: Map<FindingKind, number>;
  #total = 0;
  /** Called with the first one. */
  onFirst: () => void = () => {};

  constructor(tolerated: readonly FindingKind[] = []) {
    this.tolerated = new Map(tolerated.map((kind) => [kind, 0]));
  }

  add(kind: FindingKind, text: string): void {
    const count = this.tolerated.get(kind);
    if (count !== undefined) {
      this.tolerated.set(kind, count + 1);
      return;
    }
    this.#total++;
    if (this.list.length < MAX_FINDINGS) this.list.push({ kind, text });
    if (this.#total === 1) this.onFirst();
  }

  get total(): number {
    return this.#total;
  }

  toString(): string {
    const lines = this.list.map(({ kind, text }) => `  ${kind}: ${text}`);
    if (this.#total > this.list.length) lines.push(`  ... and ${this.#total - this.list.length} more`);
    return lines.join('\n');
  }
}

/** What happened so far, for the report. */
export interface Figures {
  lives: number;
  kills: number;
  killsInRecovery: number;
  gracefulStops: number;
  published: number;
  confirmed: number;
  delivered: number;
  acknowledged: number;
  flushed: number;
  requeued: number;
  commits: number;
  rollbacks: number;
  doubtfulCommits: number;
  drains: number;
  drainedMessages: number;
  /** Dead letters that were delivered, and messages that were delivered after their delay. */
  deadLetters: number;
  delayed: number;
  /** Messages that went when their deadline came, nobody having got them. */
  expired: number;
  /** Runs in pages, as deaths left them, of messages that expire within the hour, and of messages that are held back. */
  pagedExpiring: number;
  pagedDelayed: number;
  readonly recoveryMs: number[];
}

export function noFigures(): Figures {
  return {
    lives: 0,
    kills: 0,
    killsInRecovery: 0,
    gracefulStops: 0,
    published: 0,
    confirmed: 0,
    delivered: 0,
    acknowledged: 0,
    flushed: 0,
    requeued: 0,
    commits: 0,
    rollbacks: 0,
    doubtfulCommits: 0,
    drains: 0,
    drainedMessages: 0,
    deadLetters: 0,
    delayed: 0,
    expired: 0,
    pagedExpiring: 0,
    pagedDelayed: 0,
    recoveryMs: [],
  };
}

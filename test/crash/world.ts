// What all ledgers share.
import type { Figures, Findings } from './findings.ts';

/** Why a message may be missing, as bits. */
export const UNCONFIRMED = 1;
export const ACKNOWLEDGED = 2;
export const TRANSIENT = 4;
/** Purged, or deleted with its queue or exchange. */
export const REMOVED = 8;
/** The commit that publishes it is in doubt. */
export const COMMIT = 16;
/** The commit that acknowledges it is in doubt. */
export const ACK_COMMIT = 32;

export interface World {
  /** Counts the broker's processes. */
  life: number;
  /** The broker was told to stop: it gives back what clients have, and does not hear them any more. */
  isStopping: boolean;
  /** Counts what is published: the experiment's clock. */
  clock: number;
  readonly findings: Findings;
  readonly figures: Figures;
}

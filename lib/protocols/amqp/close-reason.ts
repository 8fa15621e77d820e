// Why connections end, and how long that may take. Each end has exactly one reason; it is logged once and counted.

export const CLOSE_REASONS = [
  /** The client said connection.close. */
  'client-close',
  /** The client closed its socket without a word. */
  'socket-closed',
  'socket-error',
  'bad-protocol-header',
  'handshake-timeout',
  /** Something else than the handshake's next step came, or a value that can't be agreed on. */
  'handshake-failed',
  'authentication-failed',
  'virtual-host-refused',
  /** The client broke the protocol: a hard error. */
  'protocol-error',
  'heartbeat-timeout',
  /** A defect of ours. */
  'internal-error',
  /** An operator, or a program that embeds the broker, closed it. */
  'forced',
  'shutdown',
  'too-many-connections',
] as const;

export type CloseReason = (typeof CLOSE_REASONS)[number];

/** The reasons that are no cause for a warning in the log. */
const QUIET: ReadonlySet<CloseReason> = new Set(['client-close', 'forced', 'shutdown']);

export function isQuiet(reason: CloseReason): boolean {
  return QUIET.has(reason);
}

/** How long a peer that must answer connection.close, or close its socket, may take. */
export const CLOSE_TIMEOUT_MS = 30_000;
/** The same for a peer whose frames can't be read any more, or that may not log in. */
export const DEAF_CLOSE_TIMEOUT_MS = 3_000;

// Why connections end. Each end has exactly one reason; it is logged once and counted.

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

/** The reasons that are worth a warning in the log. */
const QUIET: ReadonlySet<CloseReason> = new Set(['client-close', 'forced', 'shutdown']);

export function isQuiet(reason: CloseReason): boolean {
  return QUIET.has(reason);
}

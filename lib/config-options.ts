// The table of options: each one once, with its kind, default, unit, help and names. Types, checks, flags, environment,
// help text and README follow from it. Knows nothing of where values come from.
import { constants } from 'node:buffer';
import { hostname, totalmem } from 'node:os';
import type { ExchangeType } from '../exchanges/exchange-type.ts';
import type { UserDefinition } from './auth/users.ts';
import {
  bytes,
  type CheckContext,
  choice,
  folder,
  integer,
  names,
  type OptionKind,
  programmatic,
  text,
  type UserOptions,
  users,
} from './config-kinds.ts';
import { LOG_FORMATS, LOG_LEVELS, type Logger } from './log.ts';

/** Leveret's own version; the same as in package.json. */
export const LEVERET_VERSION = '0.1.0';

/** One row of the table. */
export interface Option<Value, Input = Value> {
  readonly kind: OptionKind<Value, Input>;
  /** Computed when the option is not given, if need be from those that stand before it in the table. */
  readonly defaultValue: (context: CheckContext) => NoInfer<Input | Value>;
  /** How the help names the default, when that isn't the value itself. Needed when it depends on other options. */
  readonly defaultText?: string;
  /** What it is, in one line. */
  readonly help: string;
  /** Flag without `--`, when it isn't the name in kebab-case. Options that only a program can give have no flag at all. */
  readonly flag?: string;
  /** Environment variable, when it isn't `LEVERET_` and the name in upper snake case. */
  readonly variable?: string;
  /** RabbitMQ's name of the same, asked when ours isn't set. */
  readonly rabbitVariable?: string;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

function option<Value, Input>(row: Option<Value, Input>): Option<Value, Input> {
  return row;
}

/** Bytes that this process may use: the container's limit when there is one, the machine's memory otherwise. */
export function availableMemoryBytes(): number {
  // Zero when unknown, and beyond the machine's memory when unlimited.
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

const LEAST_MEMORY_BUDGET_BYTES = 2 ** 20;
const MOST_DEFAULT_MEMORY_BUDGET_BYTES = 256 * 2 ** 20;

/** The memory that queued messages get when there is a disk to move the others to: `memoryBudgetBytes`, when it isn't given. */
export function defaultMemoryBudgetBytes(memoryLimitBytes: number): number {
  const share = Math.min(Math.floor(memoryLimitBytes / 4), MOST_DEFAULT_MEMORY_BUDGET_BYTES);
  return Math.max(share, LEAST_MEMORY_BUDGET_BYTES);
}

/** When storage forces messages to disk. */
export const FSYNC_MODES = ['always', 'interval', 'never'] as const;
export type FsyncMode = (typeof FSYNC_MODES)[number];

const isExchangeTypeList = (value: unknown): value is readonly ExchangeType[] =>
  Array.isArray(value) &&
  value.every((type) => typeof type?.name === 'string' && typeof type.createRouter === 'function');

const isLogger = (value: unknown): value is Logger =>
  typeof value === 'object' &&
  value !== null &&
  'info' in value &&
  'child' in value &&
  typeof value.child === 'function';

/** Every option. The order is that of the help. */
export const OPTIONS = {
  /** Address or name of the interface to listen on. Default: `127.0.0.1`. */
  host: option({
    kind: text(),
    defaultValue: () => '127.0.0.1',
    help: 'address to listen on; 0.0.0.0 or :: for all',
    rabbitVariable: 'RABBITMQ_NODE_IP_ADDRESS',
  }),
  /** TCP port to listen on, 0 to 65535; 0 takes any free one. Default: 5672. */
  port: option({
    kind: integer(0, 65535),
    defaultValue: () => 5672,
    help: 'port to listen on; 0 for any free one',
    rabbitVariable: 'RABBITMQ_NODE_PORT',
  }),
  /** What is logged when no `logger` is given. Default: `silent` in a program, `info` for the command. */
  logLevel: option({
    kind: choice(LOG_LEVELS),
    defaultValue: () => 'silent' as const,
    defaultText: 'info (embedded: silent)',
    help: `least level that is logged: ${LOG_LEVELS.join(', ')}`,
  }),
  /** Form of the log when no `logger` is given. Default: `auto`, pretty on a terminal and JSON otherwise. */
  logFormat: option({
    kind: choice(LOG_FORMATS),
    defaultValue: () => 'auto' as const,
    help: `form of the log: ${LOG_FORMATS.join(', ')} (auto: pretty on a terminal, JSON otherwise)`,
  }),
  /** A logger to use in place of Leveret's own; pino's fits. */
  logger: option({
    kind: programmatic<Logger | undefined>('a logger such as pino makes', isLogger),
    defaultValue: () => undefined,
    help: 'a pino-compatible logger in place of our own',
  }),
  /** Virtual hosts; at least one. Default: `['/']`. */
  vhosts: option({
    kind: names('vhost names', 1),
    defaultValue: () => ['/'],
    help: 'virtual host, repeatable',
    flag: 'vhost',
  }),
  /** Users; they replace the default one, guest/guest with tag administrator and every permission on every vhost. */
  users: option<readonly UserDefinition[], readonly UserOptions[]>({
    kind: users(),
    defaultValue: () => [{ name: 'guest', password: 'guest', tags: ['administrator'] }],
    defaultText: 'guest:guest:administrator',
    help: 'user as name:password[:tag,tag], repeatable; full permissions on every vhost',
    flag: 'user',
  }),
  /** Names of users that may connect from this machine only. Default: `['guest']`. */
  loopbackUsers: option({
    kind: names('user names', 0),
    defaultValue: () => ['guest'],
    help: "user that may connect from this machine only, repeatable; 'none' lifts the restriction",
    flag: 'loopback-user',
  }),
  /** Largest frame to negotiate, 4096 bytes to 2 GiB. Default: 131072. */
  frameMaxBytes: option({
    kind: bytes(4096, 2 ** 31 - 1),
    defaultValue: () => 131_072,
    help: 'largest frame that is negotiated',
  }),
  /** Most channels of a connection, 1 to 65535. Default: 2047. */
  channelMax: option({
    kind: integer(1, 65535),
    defaultValue: () => 2047,
    help: 'most channels of a connection',
  }),
  /** Heartbeat to propose to clients, 0 to 65535 s; 0 is off. Default: 60. */
  heartbeatSeconds: option({
    kind: integer(0, 65535),
    defaultValue: () => 60,
    help: 'heartbeat proposed to clients; 0 for none',
  }),
  /** Time that a client has to log in and open its virtual host, in ms. Default: 10000. */
  handshakeTimeoutMs: option({
    kind: integer(1, MAX_TIMER_MS),
    defaultValue: () => 10_000,
    help: 'time that a client has to open its connection',
  }),
  /** Most open connections; more are closed as they come. Default: 0, no limit. */
  maxConnections: option({
    kind: integer(0, 2 ** 31 - 1),
    defaultValue: () => 0,
    help: 'most open connections; 0 for no limit',
  }),
  /** Most queues of all virtual hosts together. Default: 0, no limit. */
  maxQueues: option({
    kind: integer(0, 2 ** 31 - 1),
    defaultValue: () => 0,
    help: 'most queues of all virtual hosts; 0 for no limit',
  }),
  /**
   * How often a message may be redelivered by a quorum queue that is given no `x-delivery-limit` or policy; then it is dead-lettered or
   * dropped. -1 for no limit, as in RabbitMQ 3; RabbitMQ 4 has 20. Default: -1.
   */
  quorumDeliveryLimit: option({
    kind: integer(-1, 2 ** 31 - 1),
    defaultValue: () => -1,
    help: 'redeliveries of a message by a quorum queue that says nothing of them; -1 for no limit',
  }),
  /** Time in which a delivery must be acknowledged, in ms; then its channel is closed. 0 is off. Default: 1800000, half an hour. */
  consumerTimeoutMs: option({
    kind: integer(0, MAX_TIMER_MS),
    defaultValue: () => 1_800_000,
    help: 'time that a consumer has to acknowledge a delivery; 0 for no limit',
  }),
  /** Largest message body, 1 byte to 512 MiB. Default: 128 MiB. */
  maxMessageSizeBytes: option({
    kind: bytes(1, Math.min(512 * 2 ** 20, constants.MAX_LENGTH)),
    defaultValue: () => 128 * 2 ** 20,
    help: 'largest message body',
  }),
  /**
   * Memory beyond which publishers are blocked, as a number of bytes or a text: `'40%'`, `'512MiB'`, `'2GB'`.
   * Default: 40% of the machine's memory or of the container's limit. 0 blocks every publisher.
   */
  memoryLimitBytes: option({
    kind: bytes(0, Number.MAX_SAFE_INTEGER, availableMemoryBytes),
    defaultValue: () => '40%',
    help: "memory beyond which publishers are blocked: bytes, '512MiB', '2GB' or a share of what the machine or container has",
  }),
  /**
   * Folder that holds messages and topology. `'none'`: they are kept in memory only, and gone when the broker ends.
   * Default: none in a program, `./leveret-data` for the command.
   */
  dataDir: option({
    kind: folder(),
    defaultValue: () => undefined,
    defaultText: './leveret-data (embedded: none)',
    help: "folder that holds messages and topology; 'none' keeps them in memory only",
  }),
  /** When messages are forced to disk: before their confirm, once a second, or when the operating system likes. Default: `always`. */
  fsync: option({
    kind: choice(FSYNC_MODES),
    defaultValue: () => 'always' as const,
    help: 'when messages are forced to disk: always (before their confirm), interval (once a second), never (when the operating system likes)',
  }),
  /** Size of a segment of the write-ahead log, 1 MiB to 1 GiB. Default: 64 MiB. */
  segmentSizeBytes: option({
    kind: bytes(2 ** 20, 2 ** 30),
    defaultValue: () => 64 * 2 ** 20,
    help: 'size of a segment of the write-ahead log',
  }),
  /**
   * Queued messages that are kept in memory when there is a data folder, at least 1 MiB; those beyond move to disk.
   * A number of bytes or a text, as `memoryLimitBytes`. Default: a quarter of `memoryLimitBytes`, at most 256 MiB.
   */
  memoryBudgetBytes: option({
    kind: bytes(LEAST_MEMORY_BUDGET_BYTES, Number.MAX_SAFE_INTEGER, availableMemoryBytes),
    defaultValue: ({ memoryLimitBytes }) => defaultMemoryBudgetBytes(memoryLimitBytes),
    defaultText: 'a quarter of the memory limit, at most 256MiB',
    help: 'queued messages kept in memory when there is a data folder; those beyond move to disk',
  }),
  /** Free disk space below which publishers are blocked when there is a data folder; 0 turns that off. Default: 50000000. */
  diskFreeLimitBytes: option({
    kind: bytes(0, Number.MAX_SAFE_INTEGER),
    defaultValue: () => 50_000_000,
    help: 'free disk space below which publishers are blocked; 0 for no limit',
  }),
  /** Longest time that a graceful close may take, in ms; then connections are cut. Default: 5000. */
  shutdownTimeoutMs: option({
    kind: integer(0, MAX_TIMER_MS),
    defaultValue: () => 5000,
    help: 'longest time that a graceful shutdown may take',
  }),
  /** `product` of the server properties, on which clients branch. Default: `RabbitMQ`. */
  product: option({
    kind: text(),
    defaultValue: () => 'RabbitMQ',
    help: 'product that clients are told',
  }),
  /** `version` of the server properties, on which clients branch. Default: `3.13.7`. */
  version: option({
    kind: text(),
    defaultValue: () => '3.13.7',
    help: 'version that clients are told',
    flag: 'product-version',
    variable: 'LEVERET_PRODUCT_VERSION',
  }),
  /** `platform` of the server properties. Default: Leveret's and Node's versions. */
  platform: option({
    kind: text(),
    defaultValue: () => `Leveret ${LEVERET_VERSION} on Node.js ${process.version}`,
    defaultText: 'Leveret and Node.js with their versions',
    help: 'platform that clients are told',
  }),
  /** `cluster_name` of the server properties. Default: `leveret@` and the name of the machine. */
  clusterName: option({
    kind: text(),
    defaultValue: () => `leveret@${hostname()}`.slice(0, 255),
    defaultText: 'leveret@<hostname>',
    help: 'cluster name that clients are told',
  }),
  /** Exchange types beside the built-in ones. */
  exchangeTypes: option({
    kind: programmatic<readonly ExchangeType[]>('a list of exchange types { name, createRouter }', isExchangeTypeList),
    defaultValue: () => [],
    defaultText: 'none',
    help: 'exchange types of your own beside the built-in ones',
  }),
};

export type OptionName = keyof typeof OPTIONS;

/** All names, in the order of the table. */
// The keys of the object literal above are its type's keys: nothing was added to it.
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** One row of the table without the types of its value, for what treats all rows alike. */
export interface OptionRow {
  readonly name: OptionName;
  readonly kind: OptionKind<unknown, unknown>;
  readonly defaultValue: (context: CheckContext) => unknown;
  readonly defaultText: string;
  readonly help: string;
  /** With the dashes; undefined when only a program can give the option. */
  readonly flag: string | undefined;
  /** Environment variables, first the one that wins. */
  readonly variables: readonly string[];
  /** The flag may be repeated, and the value is a list. */
  readonly isList: boolean;
}

/** For defaults that depend on no other option. */
const NO_OTHERS: CheckContext = { vhosts: [], memoryLimitBytes: 0 };

/** The table with every derived name. */
export const OPTION_ROWS: readonly OptionRow[] = OPTION_NAMES.map((name) => {
  const row: Option<unknown, unknown> = OPTIONS[name];
  const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const isText = row.kind.fromText !== undefined;
  const variable = row.variable ?? `LEVERET_${words.replaceAll('-', '_').toUpperCase()}`;
  return {
    name,
    kind: row.kind,
    defaultValue: row.defaultValue,
    defaultText: row.defaultText ?? textOf(row.defaultValue(NO_OTHERS)),
    help: row.help,
    flag: isText ? `--${row.flag ?? words}` : undefined,
    variables: isText ? [variable, ...(row.rabbitVariable === undefined ? [] : [row.rabbitVariable])] : [],
    isList: row.kind.listFromText !== undefined,
  };
});

function textOf(value: unknown): string {
  if (value === undefined) return 'none';
  return Array.isArray(value) ? value.join(',') : String(value);
}

// Logging through pino: one line of JSON an event, or a readable one on a terminal. Secrets never leave.
// The broker itself asks for no more than `Logger`, so an embedding program may pass its own.
import { createRequire } from 'node:module';
import {
  type BaseLogger,
  type DestinationStream,
  destination,
  type Logger as PinoLogger,
  pino,
  stdTimeFunctions,
} from 'pino';
import type PinoPretty from 'pino-pretty';

/** Levels from the most talkative to none at all. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto` is `pretty` on a terminal and `json` otherwise. */
export const LOG_FORMATS = ['auto', 'pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What the broker needs of a logger; pino's and fastify's fit. */
export type Logger = Pick<BaseLogger, Exclude<LogLevel, 'silent'>> & {
  /** A logger that adds these fields to every line. */
  child(bindings: Record<string, unknown>): Logger;
};

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Default: `auto`. */
  readonly format?: LogFormat;
  /** Where lines go, each before the call returns. Default: standard output. */
  readonly stream?: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Fields that may hold a secret, wherever the broker or a program logs an object with one. */
const SECRET_PATHS = ['password', 'passwordHash', 'secret', 'response', 'users'].flatMap((name) => [name, `*.${name}`]);

/** Makes a logger whose lines are written at once, so that none is lost when the process ends right after. */
export function createLogger({ level, format = 'auto', stream }: LoggerOptions): PinoLogger {
  const isTerminal = stream === undefined ? process.stdout.isTTY === true : stream.isTTY === true;
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal);
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    },
    isPretty ? prettyStream(stream, isTerminal) : (stream ?? destination({ fd: 1, sync: true })),
  );
}

function prettyStream(stream: LoggerOptions['stream'], isTerminal: boolean): DestinationStream {
  // Loaded only when somebody looks: it costs more time than the rest of a broker's start.
  const pinoPretty = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  return pinoPretty({
    colorize: isTerminal,
    destination: stream ?? 1,
    ignore: 'pid,hostname',
    singleLine: true,
    sync: true,
    translateTime: 'SYS:HH:MM:ss.l',
  });
}

#!/usr/bin/env node
// The command: reads options, starts one broker, logs that it is ready, and closes it on SIGTERM or SIGINT.
// Exit codes: 0 after a graceful close, 1 for what the caller can mend, 70 for a fault of ours or of the disk, 128 + n after a
// second signal. `leveret log` looks into a data folder instead, and has exit codes of its own.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { type BrokerOptions, parseCommandLine, processEnvironment, resolveOptions } from '../lib/config.ts';
import { ConfigError } from '../lib/config-error.ts';
import { helpText } from '../lib/config-help.ts';
import { LEVERET_VERSION } from '../lib/config-options.ts';
import { type Broker, createBroker } from '../lib/index.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { StorageError } from '../lib/storage/storage-error.ts';
import { paceCollections } from './collections.ts';
import { compileSoon } from './optimizer.ts';

/** Both npm and the terminal pass a Ctrl-C on: a signal this soon after the first is the same key press. */
const SAME_SIGNAL_MS = 250;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_FAULT = 70;

const LOG_HELP = `
'leveret log verify FOLDER' checks a data folder, and 'leveret log dump FOLDER' shows what is in it; see 'leveret log --help'.
`;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (argv[0] === 'log') {
    // Only then, as a broker has no use for it.
    const { runLogCommand } = await import('../lib/storage/inspect-command.ts');
    process.exitCode = await runLogCommand(argv.slice(1), process.stdout, process.stderr);
    return;
  }
  const commandLine = parseCommandLine(argv, processEnvironment(), (path) => readFileSync(path, 'utf8'));
  if (commandLine.help) {
    process.stdout.write(helpText() + LOG_HELP);
  } else if (commandLine.version) {
    process.stdout.write(`${LEVERET_VERSION}\n`);
  } else {
    await run(commandLine.options);
  }
}

async function run(options: BrokerOptions): Promise<void> {
  compileSoon();
  paceCollections();
  const config = resolveOptions(options);
  const logger = createLogger({ level: config.logLevel, format: config.logFormat });
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'leveret stops: a fault in leveret itself');
    process.exit(EXIT_FAULT);
  });
  const broker = await createBroker({ ...options, logger }).catch((error: unknown) => {
    throw explainStartFailure(error, config);
  });
  broker.on('error', (error) => {
    logger.fatal({ err: error }, 'leveret stops: it can not keep messages safe any more');
    process.exit(EXIT_FAULT);
  });
  closeOnSignal(broker, logger);
  const { host, port } = broker;
  const url = `amqp://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const { dataDir = null } = config;
  const place = dataDir === null ? 'memory only' : `data in ${dataDir}`;
  const elapsedMs = Math.round(performance.now());
  const text = `leveret ${LEVERET_VERSION} ready on ${url}, ${place} (${elapsedMs} ms)`;
  logger.info({ host, port, url, dataDir, pid: process.pid }, text);
}

/** The one line that tells the caller what to do about a broker that did not start; the error itself when there is nothing to do. */
function explainStartFailure(
  error: unknown,
  { host, port }: { readonly host: string; readonly port: number },
): unknown {
  // It says what to do already.
  if (error instanceof StorageError) return new ConfigError(error.message);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return new ConfigError(
        `port ${port} on ${host} is in use; choose another with --port, or stop what listens there`,
      );
    case 'EACCES':
      return new ConfigError(`no permission to listen on port ${port} of ${host}; ports from 1024 on need none`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConfigError(`${host} is no address of this machine (${code}); choose another with --host`);
    default:
      return error;
  }
}

function closeOnSignal(broker: Broker, logger: Logger): void {
  let firstAt: number | undefined;
  const onSignal = (signal: 'SIGTERM' | 'SIGINT'): void => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      logger.info({ signal }, `${signal}: closing connections`);
      broker.close().then(() => {
        logger.info('leveret stopped');
        process.exit(0);
      }, throwUncaught);
    } else if (now - firstAt > SAME_SIGNAL_MS) {
      logger.warn({ signal }, `${signal} again: stopping at once`);
      process.exit(128 + constants.signals[signal]);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** Makes a rejection that nobody waits for an uncaught exception. */
function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

main().catch((error: unknown) => {
  if (!(error instanceof ConfigError)) return throwUncaught(error);
  process.stderr.write(`leveret: ${error.message}\n`, () => process.exit(1));
});

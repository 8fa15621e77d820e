// What the logger writes, and what it must not.
import { PassThrough } from 'node:stream';
import t from 'tap';
import { createLogger, type LoggerOptions } from '../../lib/log.ts';

function logTo(options: Partial<LoggerOptions>, isTTY = false) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY });
  const logger = createLogger({ level: 'info', stream, ...options });
  return { logger, read: () => String(stream.read() ?? '') };
}

t.test('not on a terminal a line is one JSON object', async (t) => {
  const { logger, read } = logTo({});
  logger.child({ connection: 7 }).info({ port: 5672 }, 'ready');
  t.match(JSON.parse(read()), { level: 'info', connection: 7, port: 5672, msg: 'ready', time: /^\d{4}-\d\d-\d\dT/ });
});

t.test('on a terminal a line is for people', async (t) => {
  const { logger, read } = logTo({ format: 'auto' }, true);
  logger.info({ port: 5672 }, 'ready');
  await new Promise(setImmediate);
  const line = read();
  t.match(line, /INFO.*ready/);
  t.match(line, /5672/);
  t.throws(() => JSON.parse(line));
});

t.test('the format can be forced', async (t) => {
  const json = logTo({ format: 'json' }, true);
  json.logger.info('x');
  t.match(JSON.parse(json.read()), { msg: 'x' });
  const pretty = logTo({ format: 'pretty' });
  pretty.logger.info('x');
  await new Promise(setImmediate);
  t.match(pretty.read(), /INFO.*x/);
});

t.test('what is below the level is not written', async (t) => {
  const { logger, read } = logTo({ level: 'warn' });
  logger.info('quiet');
  t.equal(read(), '');
  const silent = logTo({ level: 'silent' });
  silent.logger.fatal('quiet');
  t.equal(silent.read(), '');
});

t.test('secrets are never written', async (t) => {
  const { logger, read } = logTo({});
  logger.info(
    { password: 'hidden1', options: { password: 'hidden2', users: ['hidden3'] }, response: 'hidden4' },
    'options',
  );
  const line = read();
  t.notMatch(line, /hidden/);
  t.match(line, /\[redacted\]/);
});

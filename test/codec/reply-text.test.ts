import t from 'tap';
import { isHardError, REPLY_CODES, replyName } from '../../codec/generated/constants.ts';
import { replyText } from '../../codec/reply-text.ts';
import { shortStringSize } from '../../codec/strings.ts';
import { protocol } from './arbitraries.ts';

t.test('every reply code has its name and severity', (t) => {
  for (const [name, code] of Object.entries(REPLY_CODES)) {
    t.equal(replyName(code), name);
    const described = protocol.replyCodes.find(({ value }) => value === code);
    t.equal(isHardError(code), described?.severity === 'hard', name);
  }
  t.equal(Object.keys(REPLY_CODES).length, protocol.replyCodes.length);
  t.equal(replyName(999), '999');
  t.equal(isHardError(999), true);
  t.end();
});

t.test('name and message', (t) => {
  t.equal(replyText(REPLY_CODES.NOT_FOUND, "no queue 'q' in vhost '/'"), "NOT_FOUND - no queue 'q' in vhost '/'");
  t.equal(replyText(REPLY_CODES.INTERNAL_ERROR, ''), 'INTERNAL_ERROR');
  t.end();
});

t.test('over 255 bytes it is cut to 252 and three dots', (t) => {
  const prefix = 'NOT_FOUND - ';
  t.equal(replyText(404, 'x'.repeat(255 - prefix.length)), prefix + 'x'.repeat(255 - prefix.length));
  t.equal(replyText(404, 'x'.repeat(256 - prefix.length)), `${prefix}${'x'.repeat(252 - prefix.length)}...`);
  const within = replyText(404, `x${'é'.repeat(200)}`);
  t.equal(within, `${prefix}x${'é'.repeat(119)}\udcc3...`, 'RabbitMQ cuts bytes, not characters');
  t.equal(shortStringSize(within), 256);
  t.end();
});

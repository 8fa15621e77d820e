// Messages that can tell whether they are whole, and what is said of those that aren't.
import type { Message } from 'amqplib';
import t from 'tap';
import { readMarks } from './marks.ts';
import { MessageFactory } from './messages.ts';

t.test('a message is whole or reported', async (t) => {
  const factory = new MessageFactory(7);
  factory.register('p', { sizes: 'mixed', transientOneIn: 3 });
  factory.register('r', { sizes: 'mixed', transientOneIn: 3 });
  const drafts = Array.from({ length: 300 }, (_, sequence) => factory.make('p', sequence));
  const received = (sequence: number, change: { content?: Buffer; properties?: object } = {}): Message => {
    const { content, options } = drafts[sequence];
    const fields = { deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
    const properties = { ...options, ...change.properties } as Message['properties']; // as amqplib types them: all are there
    return { content: change.content ?? content, fields, properties };
  };
  for (const [sequence] of drafts.entries()) t.equal(factory.faultOf(received(sequence)), undefined);
  const sizes = drafts.map(({ content }) => content.length);
  t.ok(sizes.includes(0) && sizes.some((size) => size > 10_000), 'from nothing to a lot');

  const large = sizes.findIndex((size) => size > 1000);
  const flipped = Buffer.from(drafts[large].content);
  flipped[500] ^= 1;
  t.match(factory.faultOf(received(large, { content: flipped })), /differs from byte 500 .* checksum is wrong/);
  const cut = drafts[large].content.subarray(0, 900);
  t.match(factory.faultOf(received(large, { content: cut })), /body of 900 bytes/);
  const strange = factory.make('r', large).content;
  t.match(factory.faultOf(received(large, { content: strange })), /differs from byte/);
  t.match(factory.faultOf(received(large, { properties: { priority: 300 } })), /property priority is 300/);
  t.match(factory.faultOf(received(large, { properties: { messageId: 'x:1' } })), /is nobody's/);
});

t.test('what the broker writes on a message is read, and taken off', async (t) => {
  const factory = new MessageFactory(7);
  factory.register('p', { sizes: 'small', transientOneIn: 0, expiresWithinMs: 1000, delaysWithinMs: 1000 });
  const drafts = Array.from({ length: 50 }, (_, sequence) => factory.make('p', sequence));
  const draft = drafts.find(({ delayMs, expirationMs }) => delayMs > 0 && expirationMs < Infinity) ?? drafts[0];
  const { content, options, delayMs, expirationMs } = draft;
  t.ok(drafts.some((other) => other.delayMs === 0) && drafts.some((other) => other.expirationMs === Infinity));
  t.equal(options.expiration, String(expirationMs));

  const death = { count: 1, reason: 'expired', queue: 'q', time: { '!': 'timestamp', value: 5 } };
  const marks = {
    'x-delay': -delayMs,
    'x-delivery-count': 2,
    'x-death': [{ ...death, 'original-expiration': options.expiration }],
    'x-first-death-queue': 'q',
    'x-first-death-reason': 'expired',
    'x-first-death-exchange': '',
    'x-last-death-queue': 'q',
    'x-last-death-reason': 'expired',
    'x-last-death-exchange': '',
  };
  const received = (changed: object = {}, expiration?: string): Message => {
    const fields = { deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
    const headers = { ...options.headers, ...marks, ...changed };
    const properties = { ...options, headers, expiration } as unknown as Message['properties']; // all are there
    return { content, fields, properties };
  };
  const read = readMarks(received(), true);
  t.same(read.deaths, [{ count: 1, reason: 'expired', queue: 'q', timeS: 5 }]);
  t.equal(read.count, 2);
  t.equal(read.fault, undefined);
  t.equal(factory.faultOf(read.published), undefined);

  const faultOf = (message: Message): string | undefined => {
    const { published, fault } = readMarks(message, true);
    return fault ?? factory.faultOf(published);
  };
  t.match(faultOf(received({ 'x-delay': delayMs })), /property headers is/, 'a delay that was not negated');
  t.match(faultOf(received({ 'x-death': [death] })), /property expiration is/, 'an expiration that is forgotten');
  t.match(faultOf(received({}, String(expirationMs))), /has an expiration/);
  t.match(faultOf(received({ 'x-first-death-queue': 'r' })), /x-first-death-queue is r/);
  t.match(faultOf(received({ 'x-last-death-reason': undefined })), /x-last-death-reason is undefined/);
  t.match(faultOf(received({ 'x-death': 'lost' })), /x-death is "lost"/);
});

// Messages that can tell whether they are whole, and what is said of those that aren't.
import type { Message } from 'amqplib';
import t from 'tap';
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

// A message in the chunk that it came in, and out of it.
import fc from 'fast-check';
import t from 'tap';
import { decodeProperties, encodeProperties } from '../../codec/properties.ts';
import { Message } from '../../lib/core/message.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { properties } from '../codec/arbitraries.ts';
import { bodyBytes, messageOf, propertyBytes, table } from './helper.ts';

const body = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ minLength: 4000, maxLength: 9000 }));

t.test('isolating changes no byte of a message, and shares nothing with the chunk', async () => {
  const slab = new RetentionSlab();
  fc.assert(
    fc.property(properties, body, fc.constantFrom(20_000, 65_536), (props, bytes, chunkBytes) => {
      const message = messageOf(Buffer.from(bytes), { properties: props, chunkBytes });
      const { bodyBuffer: chunk, size } = message;
      const before = [Buffer.from(propertyBytes(message)), Buffer.from(bodyBytes(message))];
      message.isolate(slab);
      if (chunk.length < 2 * size) return message.bodyBuffer === chunk;
      chunk.fill(0);
      return (
        message.size === size &&
        propertyBytes(message).equals(before[0]) &&
        bodyBytes(message).equals(before[1]) &&
        message.propertiesBuffer.buffer !== chunk.buffer &&
        message.bodyBuffer.buffer !== chunk.buffer
      );
    }),
  );
});

t.test('isolating again does nothing', async (t) => {
  const slab = new RetentionSlab();
  const message = messageOf('body', { chunkBytes: 1000 });
  message.isolate(slab);
  const { bodyBuffer, bodyStart } = message;
  const used = slab.reserve(0);
  message.isolate(slab);
  t.equal(message.bodyBuffer, bodyBuffer);
  t.equal(message.bodyStart, bodyStart);
  t.equal(slab.reserve(0), used);
});

t.test('a message that is most of its chunk stays in it', async (t) => {
  const message = messageOf(Buffer.alloc(600), { chunkBytes: 400 });
  const { bodyBuffer } = message;
  message.isolate(new RetentionSlab());
  t.equal(message.bodyBuffer, bodyBuffer);
});

t.test('properties and body in chunks of their own are both copied', async (t) => {
  const { route } = messageOf('');
  const chunks = [Buffer.alloc(500, 1), Buffer.alloc(500, 2)];
  const message = new Message(route, chunks[0], 10, 15, chunks[1], 20, 7, null);
  message.isolate(new RetentionSlab());
  for (const chunk of chunks) chunk.fill(0);
  t.same(propertyBytes(message), Buffer.alloc(5, 1));
  t.same(bodyBytes(message), Buffer.alloc(7, 2));
});

t.test('a body in pieces stays in them; its properties are copied', async (t) => {
  const { route } = messageOf('');
  const chunk = Buffer.alloc(1000, 1);
  const pieces = [Buffer.alloc(70_000, 2), Buffer.alloc(5, 3)];
  const message = new Message(route, chunk, 10, 15, chunk, 15, 70_005, pieces);
  message.isolate(new RetentionSlab());
  chunk.fill(0);
  t.same(propertyBytes(message), Buffer.alloc(5, 1));
  t.same(bodyBytes(message), Buffer.concat(pieces));
  t.equal(message.size, 70_010);
});

t.test('a message knows its exchange, routing key, size and headers', async (t) => {
  const headers = table({ x: 'y' });
  const options = { exchange: 'logs', routingKey: 'a.b', properties: { contentType: 'text/plain', headers } };
  const message = messageOf('body', options);
  t.equal(message.exchange, 'logs');
  t.equal(message.routingKey, 'a.b');
  t.same(message.headers, headers);
  t.equal(message.size, encodeProperties(options.properties).length + 4);
  t.equal(messageOf('body', { properties: { contentType: 'text/plain' } }).headers, null);
  message.isolate(new RetentionSlab());
  const { propertiesBuffer, propertiesStart, propertiesEnd } = message;
  t.same(decodeProperties(propertiesBuffer, propertiesStart, propertiesEnd), options.properties);
});

t.test('a message knows the properties that exchange types route by', async (t) => {
  const message = messageOf('body', {
    properties: {
      headers: table({ x: 'y' }),
      priority: 1,
      correlationId: 'c',
      messageId: '',
      timestamp: 2n ** 64n - 1n,
    },
  });
  t.equal(message.property('correlation_id'), 'c');
  t.equal(message.property('message_id'), '');
  t.equal(message.property('timestamp'), '18446744073709551615');
  for (const name of ['correlation_id', 'message_id', 'timestamp'] as const) {
    t.equal(messageOf('body', { properties: { type: 't' } }).property(name), null);
  }
});

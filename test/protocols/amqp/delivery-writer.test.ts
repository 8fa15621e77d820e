// Deliveries as bytes, read back with the codec's frame parser.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { encodeMethodFrame } from '../../../codec/frame-writer.ts';
import { BASIC_DELIVER, BASIC_GET_OK, type Method } from '../../../codec/generated/methods.ts';
import { encodeProperties } from '../../../codec/properties.ts';
import { encodeShortString, shortStringSize } from '../../../codec/strings.ts';
import { Message } from '../../../lib/core/message.ts';
import { RetentionSlab } from '../../../lib/core/retention-slab.ts';
import type { Route } from '../../../lib/core/route.ts';
import { DeliveryWriter, writeContent } from '../../../lib/protocols/amqp/delivery-writer.ts';
import { OutputBuffer, OutputPool } from '../../../lib/protocols/amqp/output-buffer.ts';
import { anyString, properties, shortText } from '../../codec/arbitraries.ts';
import { bodyBytes, type MessageOptions, messageOf } from '../../core/helper.ts';
import { FrameReader, TestStream } from './helper.ts';

const BY_REFERENCE_BYTES = 16 * 1024;

function encoded(text: string): Buffer {
  const bytes = Buffer.alloc(shortStringSize(text));
  encodeShortString(text, bytes, 0);
  return bytes;
}

function body(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7 + (i >> 8)) & 0xff;
  return bytes;
}

/** The message, its body in pieces that end at the cuts. */
function inPieces(message: Message, cuts: readonly number[]): Message {
  const all = bodyBytes(message);
  const ends = [...cuts.map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length];
  const pieces = ends.map((end, i) => all.subarray(ends[i - 1] ?? 0, end));
  const { route, propertiesBuffer, propertiesStart, propertiesEnd, bodySize } = message;
  return new Message(route, propertiesBuffer, propertiesStart, propertiesEnd, propertiesBuffer, 0, bodySize, pieces);
}

function write(run: (output: OutputBuffer) => void): TestStream {
  const stream = new TestStream();
  const output = new OutputBuffer(stream, new OutputPool(), true);
  run(output);
  output.endTurn();
  return stream;
}

interface Delivery {
  readonly channel: number;
  readonly consumerTag: string;
  readonly deliveryTag: number;
  readonly redelivered: boolean;
}

const FIRST: Delivery = { channel: 1, consumerTag: 'c', deliveryTag: 1, redelivered: false };

function deliver(message: Message, frameMax: number, delivery: Delivery = FIRST): TestStream {
  const { channel, consumerTag, deliveryTag, redelivered } = delivery;
  return write((output) => {
    new DeliveryWriter(channel, encoded(consumerTag)).write(output, frameMax, deliveryTag, redelivered, message);
  });
}

/** Reads a delivery back and compares everything. */
function check(message: Message, frameMax: number, delivery: Delivery = FIRST): void {
  const reader = FrameReader.read(deliver(message, frameMax, delivery).bytes, frameMax - 8);
  assert.equal(reader.methods.length, 1);
  const [{ channel, method, content }] = reader.methods;
  const { consumerTag, deliveryTag, redelivered } = delivery;
  const { exchange, routingKey, propertiesBuffer, propertiesStart, propertiesEnd, bodySize } = message;
  assert.equal(channel, delivery.channel);
  assert.deepEqual(method, { id: BASIC_DELIVER, consumerTag, deliveryTag, redelivered, exchange, routingKey });
  assert.ok(content !== undefined);
  assert.ok(content.propertyBytes.equals(propertiesBuffer.subarray(propertiesStart, propertiesEnd)));
  assert.equal(content.bodySize, bodySize);
  assert.ok(content.body.equals(bodyBytes(message)));
  const frames = Math.ceil(bodySize / (frameMax - 8));
  assert.equal(reader.bodyFrameSizes.length, frames);
  assert.ok(
    reader.bodyFrameSizes.slice(0, -1).every((size) => size === frameMax - 8),
    'frames are full but the last',
  );
}

t.test('a delivery reads back as it was, whatever its names, tags and properties', async () => {
  const delivery = fc.record({
    channel: fc.integer({ min: 1, max: 65_535 }),
    consumerTag: shortText,
    deliveryTag: fc.oneof(fc.integer({ min: 1 }), fc.maxSafeInteger().map(Math.abs)),
    redelivered: fc.boolean(),
  });
  const options: fc.Arbitrary<MessageOptions> = fc.record({ exchange: anyString, routingKey: anyString, properties });
  fc.assert(
    fc.property(delivery, options, fc.uint8Array({ maxLength: 100 }), (each, message, bytes) => {
      fc.pre(encodeProperties(message.properties ?? {}).length < 65_000);
      check(messageOf(Buffer.from(bytes), message), 131_072, each);
    }),
    { numRuns: 300 },
  );
});

t.test('a body of any size around the multiples of what a frame holds is cut as it must', async () => {
  for (const frameMax of [4096, 20_000]) {
    const sizes = new Set([0, 1, BY_REFERENCE_BYTES - 1, BY_REFERENCE_BYTES, BY_REFERENCE_BYTES + 1]);
    for (const times of [1, 2, 3, 10]) {
      for (const more of [-9, -8, -7, -1, 0, 1, 8]) sizes.add(times * (frameMax - 8) + more);
    }
    for (const size of sizes) check(messageOf(body(size)), frameMax);
  }
});

t.test('a body in pieces of any size is cut as it must', async () => {
  const size = fc.oneof(fc.nat({ max: 100_000 }), fc.constantFrom(0, 4088, 4089, 8176, 70_000));
  fc.assert(
    fc.property(size, fc.array(fc.nat()), fc.constantFrom(4096, 131_072), (bytes, cuts, frameMax) => {
      check(inPieces(messageOf(body(bytes)), cuts), frameMax);
    }),
  );
});

t.test('a body goes out by reference from 16 KiB on, and when it takes several frames', async (t) => {
  const isReferenced = (size: number, frameMax: number): boolean => {
    const message = messageOf(body(size));
    return deliver(message, frameMax).written.some(({ buffer }) => buffer === message.bodyBuffer.buffer);
  };
  t.notOk(isReferenced(10_000, 131_072));
  t.notOk(isReferenced(BY_REFERENCE_BYTES - 1, 131_072));
  t.ok(isReferenced(BY_REFERENCE_BYTES, 131_072));
  t.ok(isReferenced(10_000, 10_007));
  t.notOk(isReferenced(10_000, 10_008));
});

t.test('deliveries one after the other do not disturb each other, along one route or several', async () => {
  const kind = fc.record({
    size: fc.constantFrom(0, 1, 40, 60, 5000, 20_000, 70_000),
    key: fc.constantFrom('', 'a', 'a', 'longer'),
    type: fc.constantFrom(undefined, 't'),
    tag: fc.constantFrom(1, 255, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7),
    redelivered: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(kind, { maxLength: 40, size: 'max' }), (all) => {
      const routes = new Map<string, Route>();
      const messages = all.map(({ size, key, type }) => {
        const made = messageOf(body(size), { routingKey: key, properties: { type } });
        const route = routes.get(key) ?? made.route;
        routes.set(key, route);
        return made.republished(route, encodeProperties({ type }));
      });
      const stream = write((output) => {
        const writer = new DeliveryWriter(1, encoded('c'));
        for (const [i, { tag, redelivered }] of all.entries()) {
          writer.write(output, 8192, tag, redelivered, messages[i]);
        }
      });
      const { methods } = FrameReader.read(stream.bytes, 8192);
      assert.equal(methods.length, messages.length);
      for (const [i, { method, content }] of methods.entries()) {
        assert.ok(method.id === BASIC_DELIVER);
        const { key, type, tag, redelivered } = all[i];
        assert.deepEqual([method.routingKey, method.deliveryTag, method.redelivered], [key, tag, redelivered]);
        assert.deepEqual(content?.propertyBytes, encodeProperties({ type }));
        assert.ok(content?.body.equals(bodyBytes(messages[i])));
      }
    }),
  );
});

t.test('a content goes behind any method', async (t) => {
  const message = messageOf(body(9000));
  const method: Method = {
    id: BASIC_GET_OK,
    deliveryTag: 1,
    redelivered: true,
    exchange: 'x',
    routingKey: 'k',
    messageCount: 3,
  };
  const stream = write((output) => {
    output.write(encodeMethodFrame(5, method));
    writeContent(output, 5, 4096, message);
  });
  const [read] = FrameReader.read(stream.bytes, 4096).methods;
  t.same(read.method, method);
  t.same(read.content?.body, bodyBytes(message));
});

t.test('what leaves before a message is isolated is not changed by that', async (t) => {
  const message = messageOf(body(20_000), { chunkBytes: 65_536 });
  const stream = new TestStream();
  const output = new OutputBuffer(stream, new OutputPool(), false);
  const writer = new DeliveryWriter(1, encoded('c'));
  writer.write(output, 4096, 1, false, message);
  message.isolate(new RetentionSlab());
  writer.write(output, 4096, 2, true, message);
  output.endTurn();
  for (const { content } of FrameReader.read(stream.bytes, 4096).methods) t.same(content?.body, bodyBytes(message));
});

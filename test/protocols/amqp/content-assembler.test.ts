// Contents put together from frames, however they were cut, and what is charged for them meanwhile.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { CodecError } from '../../../codec/errors.ts';
import { FrameParser, type FrameSink } from '../../../codec/frame-parser.ts';
import { encodeContentFrames, encodeContentHeaderPayload } from '../../../codec/frame-writer.ts';
import { encodeProperties } from '../../../codec/properties.ts';
import { MemoryAccount } from '../../../lib/core/memory-account.ts';
import { ContentAssembler } from '../../../lib/protocols/amqp/content-assembler.ts';
import { sequenceOf } from '../../core/helper.ts';
import { amqpError } from './helper.ts';

const LIMIT = 1_000_000;
const properties = encodeProperties({ contentType: 'text/plain', priority: 3 });

/** An assembler behind a frame parser. */
class Receiver implements FrameSink {
  readonly memory = new MemoryAccount(2 ** 40, 2 ** 40);
  readonly content = new ContentAssembler(this.memory, LIMIT);
  readonly bodies: Buffer[] = [];
  completed = 0;
  mostCharged = 0;

  receive(chunks: readonly Buffer[], frameMax = 0): this {
    const parser = new FrameParser(this, frameMax);
    this.content.begin();
    for (const chunk of chunks) parser.push(chunk);
    return this;
  }

  onHeader(_channel: number, buffer: Buffer, start: number, end: number): void {
    if (this.content.header(buffer, start, end, false)) this.#complete();
  }

  onBody(_channel: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (this.content.body(buffer, start, end, last)) this.#complete();
    else this.mostCharged = Math.max(this.mostCharged, this.memory.usedBytes);
  }

  onMethod(): void {}
  onHeartbeat(): void {}
  onRefusedFrame(error: CodecError): void {
    throw error;
  }

  #complete(): void {
    const { content } = this;
    this.completed++;
    const { propertiesBuffer, propertiesStart, propertiesEnd } = content;
    assert.ok(propertiesBuffer.subarray(propertiesStart, propertiesEnd).equals(properties));
    this.bodies.push(bodyOf(content));
    content.forget();
    assert.equal(this.memory.usedBytes, 0, 'what was charged is given back');
    content.begin();
  }
}

function bodyOf({ pieces, bodyBuffer, bodyStart, bodySize }: ContentAssembler): Buffer {
  return pieces === null ? bodyBuffer.subarray(bodyStart, bodyStart + bodySize) : Buffer.concat(pieces);
}

/** Bytes that tell where they belong. */
function bodyBytes(size: number): Buffer {
  const body = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) body[i] = (i * 31 + (i >> 8)) & 0xff;
  return body;
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const sorted = [0, ...cuts.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, i) => Buffer.from(bytes.subarray(sorted[i], end)));
}

function assertReceived(receiver: Receiver, ...bodies: Buffer[]): void {
  assert.equal(receiver.completed, bodies.length);
  for (const [i, body] of bodies.entries()) assert.ok(receiver.bodies[i].equals(body), `body of ${body.length} bytes`);
}

t.test('a content is the same for every place at which its bytes are cut', async () => {
  for (const size of [0, 1, 32, 71]) {
    const body = bodyBytes(size);
    const bytes = encodeContentFrames(1, properties, body, 40);
    for (let at = 0; at <= bytes.length; at++) assertReceived(new Receiver().receive(cut(bytes, [at])), body);
    assertReceived(new Receiver().receive(Array.from(bytes, (byte) => Buffer.of(byte))), body);
  }
});

t.test('contents of any size in any frames, cut anywhere, come out as they went in', async () => {
  const size = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(4096, 65_535, 65_536, 65_537, 200_000, LIMIT));
  const frameMax = fc.constantFrom(100, 4096, 131_072);
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 3 }), frameMax, fc.array(fc.nat()), (sizes, max, cuts) => {
      const bodies = sizes.map(bodyBytes);
      const bytes = Buffer.concat(bodies.map((body) => encodeContentFrames(1, properties, body, max)));
      assertReceived(new Receiver().receive(cut(bytes, cuts), max), ...bodies);
    }),
    { numRuns: 100 },
  );
});

t.test('a body in one piece is not copied, nor charged', async (t) => {
  const chunk = encodeContentFrames(1, properties, bodyBytes(5000), 0);
  const content = new ContentAssembler(new MemoryAccount(2 ** 40, 2 ** 40), LIMIT);
  content.begin();
  const headerEnd = 7 + 12 + properties.length;
  t.notOk(content.header(chunk, 7, headerEnd, false));
  t.ok(content.body(chunk, headerEnd + 8, chunk.length - 1, true));
  t.equal(content.bodyBuffer, chunk);
  t.equal(content.pieces, null);
});

t.test('up to 64 KiB a body in pieces is put together, beyond that it stays in them', async (t) => {
  for (const [size, contiguous] of [
    [65_536, true],
    [65_537, false],
  ] as const) {
    const bytes = encodeContentFrames(1, properties, bodyBytes(size), 10_000);
    const receiver = new Receiver();
    let pieces: Buffer[] | null = null;
    const { content } = receiver;
    const forget = content.forget.bind(content);
    content.forget = () => {
      pieces = content.pieces;
      forget();
    };
    receiver.receive([bytes]);
    t.equal(pieces === null, contiguous, `${size}`);
    t.equal(receiver.mostCharged > 0, true, 'an incomplete body is charged');
  }
});

t.test('a large body in crumbs is gathered into few pieces', async (t) => {
  const body = bodyBytes(200_000);
  const content = new ContentAssembler(new MemoryAccount(2 ** 40, 2 ** 40), LIMIT);
  begin(content, body.length);
  for (let at = 0; at < body.length; at += 100) content.body(body, at, at + 100, true);
  t.ok((content.pieces?.length ?? 0) <= 200_000 / 16_384 + 2, `${content.pieces?.length} pieces`);
  t.ok(bodyOf(content).equals(body));
});

t.test('crumbs and large pieces keep their order', async () => {
  const body = bodyBytes(300_000);
  fc.assert(
    fc.property(sequenceOf(fc.constantFrom(0, 1, 100, 4095, 4096, 16_384, 40_000)), (sizes) => {
      const content = new ContentAssembler(new MemoryAccount(2 ** 40, 2 ** 40), LIMIT);
      begin(content, body.length);
      let at = 0;
      for (const size of sizes) {
        const end = Math.min(at + size, body.length - 1);
        content.body(body, at, end, true);
        at = end;
      }
      assert.ok(content.body(body, at, body.length, true));
      assert.ok(bodyOf(content).equals(body));
    }),
  );
});

function begin(content: ContentAssembler, bodySize: number, drop = false): void {
  const payload = encodeContentHeaderPayload(bodySize, properties);
  content.begin();
  content.header(payload, 0, payload.length, drop);
}

t.test('a body over the limit, or one that nobody wants, is read and dropped', async (t) => {
  for (const [size, drop] of [
    [LIMIT + 1, false],
    [100_000, true],
  ] as const) {
    const memory = new MemoryAccount(2 ** 40, 2 ** 40);
    const content = new ContentAssembler(memory, LIMIT);
    const body = bodyBytes(size);
    begin(content, size, drop);
    t.notOk(content.body(body, 0, 50_000, true));
    t.equal(memory.usedBytes, 0);
    t.ok(content.body(body, 50_000, size, true));
    t.ok(content.dropped);
    t.equal(content.pieces, null);
    content.expectMethod();
    begin(content, 1);
    t.notOk(content.dropped, 'the next one is taken');
  }
});

t.test('the limit itself is allowed', async (t) => {
  const content = new ContentAssembler(new MemoryAccount(2 ** 40, 2 ** 40), 10);
  begin(content, 10);
  t.notOk(content.dropped);
  t.ok(content.body(bodyBytes(10), 0, 10, true));
});

t.test('a body that is longer than announced never completes', async (t) => {
  const memory = new MemoryAccount(2 ** 40, 2 ** 40);
  const content = new ContentAssembler(memory, LIMIT);
  begin(content, 10);
  t.notOk(content.body(bodyBytes(20), 0, 5, true));
  t.notOk(content.body(bodyBytes(20), 5, 20, true));
  t.notOk(content.body(bodyBytes(20), 0, 0, true));
  t.match(amqpError(() => content.expectMethod()).message, /^expected content body, got non content body frame/);
  content.reset();
  t.equal(memory.usedBytes, 0);
  content.expectMethod();
});

t.test('an incomplete content that is forgotten gives back what was charged', async (t) => {
  const memory = new MemoryAccount(2 ** 40, 2 ** 40);
  const content = new ContentAssembler(memory, LIMIT);
  for (const size of [1000, 100_000]) {
    begin(content, size);
    content.body(bodyBytes(600), 0, 600, true);
    t.ok(memory.usedBytes >= 600);
    content.reset();
    t.equal(memory.usedBytes, 0);
    t.equal(content.pieces, null);
  }
});

t.test('the properties of a body that takes its time do not pin the chunk that they came in', async (t) => {
  const chunk = Buffer.concat([Buffer.alloc(60_000), encodeContentHeaderPayload(100, properties)]);
  const content = new ContentAssembler(new MemoryAccount(2 ** 40, 2 ** 40), LIMIT);
  content.begin();
  content.header(chunk, 60_000, chunk.length, false);
  content.body(bodyBytes(50), 0, 50, true);
  chunk.fill(0);
  const { propertiesBuffer, propertiesStart, propertiesEnd } = content;
  t.ok(propertiesBuffer.length < 60_000);
  t.same(propertiesBuffer.subarray(propertiesStart, propertiesEnd), properties);
});

t.test('frames out of order are refused as RabbitMQ refuses them', async (t) => {
  const content = new ContentAssembler(new MemoryAccount(2 ** 40, 2 ** 40), LIMIT);
  const header = encodeContentHeaderPayload(5, properties);
  const sendHeader = (payload = header) => content.header(payload, 0, payload.length, false);
  const sendBody = () => content.body(bodyBytes(5), 0, 5, true);
  const refusal = (run: () => unknown) => {
    const { replyCode, message, methodId } = amqpError(run);
    t.equal(replyCode, 505);
    return [message, methodId];
  };
  const notMethod = ['expected method frame, got non method frame instead', 0];
  const publish = 0x003c0028;
  const notHeader = ['expected content header for class 60, got non content header frame instead', publish];
  const notBody = ['expected content body, got non content body frame instead', publish];
  t.same(refusal(sendHeader), notMethod);
  t.same(refusal(sendBody), notMethod);
  content.begin();
  t.same(refusal(sendBody), notHeader);
  t.same(
    refusal(() => content.expectMethod()),
    notHeader,
  );
  const otherClass = Buffer.from(header);
  otherClass.writeUInt16BE(50, 0);
  t.same(
    refusal(() => sendHeader(otherClass)),
    ['expected content header for class 60, got one for class 50 instead', publish],
  );
  const withWeight = Buffer.from(header);
  withWeight.writeUInt16BE(1, 2);
  t.same(
    refusal(() => sendHeader(withWeight)),
    notHeader,
  );
  sendHeader();
  t.same(refusal(sendHeader), notBody);
  t.same(
    refusal(() => content.expectMethod()),
    notBody,
  );
  t.ok(sendBody());
  content.expectMethod();
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { CodecError } from '../../codec/errors.ts';
import { FrameParser, type FrameSink } from '../../codec/frame-parser.ts';
import { encodeContentFrames, encodeMethodFrame, HEARTBEAT_FRAME } from '../../codec/frame-writer.ts';
import { BASIC_PUBLISH, CHANNEL_CLOSE_OK } from '../../codec/generated/methods.ts';
import { encodeProperties } from '../../codec/properties.ts';
import { anyMethod, properties } from './arbitraries.ts';
import { codecError, frame, hex } from './helper.ts';

/** Notes frames as text; the pieces of a body frame as one. */
class Recorder implements FrameSink {
  readonly frames: string[] = [];
  pieces = 0;
  #body = '';

  onMethod(channel: number, buffer: Buffer, start: number, end: number): void {
    this.frames.push(`method ${channel} ${buffer.toString('hex', start, end)}`);
  }
  onHeader(channel: number, buffer: Buffer, start: number, end: number): void {
    this.frames.push(`header ${channel} ${buffer.toString('hex', start, end)}`);
  }
  onBody(channel: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.pieces++;
    this.#body += buffer.toString('hex', start, end);
    if (!last) return;
    this.frames.push(`body ${channel} ${this.#body}`);
    this.#body = '';
  }
  onHeartbeat(): void {
    this.frames.push('heartbeat');
  }
  onRefusedFrame(error: CodecError): void {
    this.frames.push(`refused ${error.replyCode} ${error.message}`);
  }
}

/** Frames, and the error that ended them. */
function parse(chunks: readonly Buffer[], frameMax = 0): { frames: string[]; error?: string } {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, frameMax);
  try {
    for (const chunk of chunks) parser.push(chunk);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return { frames: recorder.frames, error: `${error.replyCode} ${error.message}` };
  }
  // One that is refused does not end the stream; most tests want to see it apart from the sound ones.
  const frames = recorder.frames.filter((text) => !text.startsWith('refused '));
  const refused = recorder.frames.find((text) => text.startsWith('refused '));
  return refused === undefined ? { frames } : { frames, error: refused.slice('refused '.length) };
}

function splitAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const sorted = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  // Copies: each chunk its own memory, as from a socket.
  return sorted.slice(1).map((cut, i) => Buffer.from(bytes.subarray(sorted[i], cut)));
}

const publish = encodeMethodFrame(1, {
  id: BASIC_PUBLISH,
  exchange: 'amq.topic',
  routingKey: 'a.b',
  mandatory: false,
  immediate: false,
});
const content = encodeContentFrames(1, encodeProperties({ deliveryMode: 2 }), Buffer.from('hello, world'), 8 + 18);
const stream = Buffer.concat([
  HEARTBEAT_FRAME,
  publish,
  content,
  frame(3, 1, Buffer.alloc(0)),
  HEARTBEAT_FRAME,
  publish,
]);
const streamFrames = [
  'heartbeat',
  `method 1 ${publish.toString('hex', 7, publish.length - 1)}`,
  'header 1 003c0000000000000000000c100002',
  'body 1 68656c6c6f2c20776f726c64',
  'body 1 ',
  'heartbeat',
  `method 1 ${publish.toString('hex', 7, publish.length - 1)}`,
];

t.test('the frames of a chunk', (t) => {
  t.same(parse([stream]), { frames: streamFrames });
  t.end();
});

t.test('the same frames however the stream is split in two or three', (t) => {
  for (let first = 0; first <= stream.length; first++) {
    assert.deepEqual(parse(splitAt(stream, [first])), { frames: streamFrames });
    for (let second = first; second <= stream.length; second += 3) {
      assert.deepEqual(parse(splitAt(stream, [first, second])), { frames: streamFrames });
    }
  }
  t.same(parse(Array.from(stream, (byte) => Buffer.from([byte]))), { frames: streamFrames }, 'byte by byte');
  t.end();
});

t.test('random frames, randomly split', (t) => {
  const frames = fc.oneof(
    fc.tuple(fc.nat(65535), anyMethod).map(([channel, method]) => encodeMethodFrame(channel, method)),
    fc
      .tuple(fc.integer({ min: 1, max: 65535 }), properties, fc.uint8Array({ maxLength: 300 }))
      .map(([channel, props, body]) => encodeContentFrames(channel, encodeProperties(props), body, 0)),
    fc.constant(HEARTBEAT_FRAME),
  );
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 8 }), (list, cuts) => {
      const bytes = Buffer.concat(list);
      const whole = parse([bytes]);
      assert.equal(whole.error, undefined);
      assert.deepEqual(parse(splitAt(bytes, cuts)), whole);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('random bytes never crash it, and end alike however they are split', (t) => {
  const likely = fc.constantFrom(0, 0, 0, 1, 2, 3, 8, 9, 12, 0xce);
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.array(likely, { maxLength: 60 }));
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 5 }), fc.constantFrom(0, 4, 4096), (array, cuts, frameMax) => {
      const buffer = Buffer.from(array);
      const whole = parse([buffer], frameMax);
      assert.match(whole.error ?? '501 ', /^50[15] /);
      assert.deepEqual(parse(splitAt(buffer, cuts), frameMax), whole);
    }),
    { numRuns: 5000 },
  );
  t.end();
});

// Codes and texts below are what RabbitMQ 3.10.8 replied to these bytes.
const errors: readonly [what: string, bytes: Buffer, error: string][] = [
  ['unknown type', frame(9, 1, Buffer.alloc(0)), '501 type 9, all octets = <<>>: unknown_frame'],
  ['unknown type', frame(9, 0, Buffer.from('hello')), '501 type 9, all octets = <<"hello">>: unknown_frame'],
  ['unknown type', frame(4, 1, hex('010203')), '501 type 4, all octets = <<1,2,3>>: unknown_frame'],
  [
    'unknown type',
    frame(9, 1, Buffer.from('hello hello hello hello')),
    '501 type 9, first 16 octets = <<"hello hello hell">>: unknown_frame',
  ],
  [
    'unknown type',
    frame(9, 1, Buffer.alloc(20, 255)),
    `501 type 9, first 16 octets = <<"${'\udcff'.repeat(16)}">>: unknown_frame`,
  ],
  ['heartbeat on a channel', frame(8, 1, Buffer.alloc(0)), '505 type 8, all octets = <<>>'],
  ['heartbeat with a payload', frame(8, 0, hex('01')), '501 type 8, all octets = <<1>>: unknown_frame'],
  ['heartbeat with a payload', frame(8, 1, hex('01')), '501 type 8, all octets = <<1>>: unknown_frame'],
  ['method without ids', frame(1, 1, Buffer.alloc(0)), '501 type 1, all octets = <<>>: unknown_frame'],
  ['method without ids', frame(1, 1, hex('003200')), '501 type 1, all octets = <<0,50,0>>: unknown_frame'],
  ['short header', frame(2, 1, hex('003c00')), '501 type 2, all octets = <<0,60,0>>: unknown_frame'],
  [
    'header on channel 0',
    frame(2, 0, hex('003c0000000000000000000000000000'.slice(0, 28))),
    '505 type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>',
  ],
  ['body on channel 0', frame(3, 0, hex('0102')), '505 type 3, all octets = <<1,2>>'],
  ['bad end octet', frame(8, 0, Buffer.alloc(0), 65), '501 type 8, all octets = <<>>: {invalid_frame_end_marker,65}'],
  [
    'bad end octet of a body',
    frame(3, 1, Buffer.from('hello'), 10),
    '501 type 3, all octets = <<"hello">>: {invalid_frame_end_marker,10}',
  ],
  [
    'bad end octet of an unknown type',
    frame(9, 1, Buffer.from('hello'), 10),
    '501 type 9, all octets = <<"hello">>: {invalid_frame_end_marker,10}',
  ],
  [
    'bad end octet of a method',
    frame(1, 1, hex('0032000a00000b636f6465632d70726f62650600000000'), 0),
    '501 type 1, first 16 octets = <<0,50,0,10,0,0,11,99,111,100,101,99,45,112,114,111>>: ' +
      `{invalid_frame_end_marker,\n${' '.repeat(82)}0}`,
  ],
];

for (const [what, bytes, error] of errors) {
  t.test(`${what}: ${error.slice(0, 60)}`, (t) => {
    const after = Buffer.concat([bytes, HEARTBEAT_FRAME]);
    const goesOn = !/frame_too_large|invalid_frame_end/.test(error);
    t.same(parse([after]), { frames: goesOn ? ['heartbeat'] : [], error });
    for (let cut = 0; cut <= after.length; cut++) assert.equal(parse(splitAt(after, [cut])).error, error);
    t.equal(parse(Array.from(bytes, (byte) => Buffer.from([byte]))).error, error);
    t.end();
  });
}

t.test('frame-max is the largest payload, eight octets more than the largest frame ought to have', (t) => {
  const exact = frame(3, 1, Buffer.alloc(4096));
  t.equal(parse([exact], 4096).frames.length, 1);
  t.equal(parse(splitAt(exact, [100]), 4096).frames.length, 1);
  const error = '501 type 3, all octets = <<>>: {frame_too_large,4097,4088}';
  const larger = frame(3, 1, Buffer.alloc(4097));
  t.same(parse([larger], 4096), { frames: [], error });
  t.same(parse([larger.subarray(0, 7)], 4096), { frames: [], error }, 'known from the header alone');
  t.same(parse(splitAt(larger.subarray(0, 7), [3]), 4096), { frames: [], error });
  t.equal(parse([larger], 0).frames.length, 1, '0 is no limit');
  t.end();
});

t.test('a change of frame-max counts from the next frame', (t) => {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, 4096);
  recorder.onHeartbeat = () => {
    parser.frameMax = 8192;
  };
  parser.push(Buffer.concat([HEARTBEAT_FRAME, frame(3, 1, Buffer.alloc(8192))]));
  t.equal(recorder.frames.length, 1);
  t.end();
});

t.test('a frame that announces four gigabytes takes no memory for them', (t) => {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, 0);
  const before = process.memoryUsage().arrayBuffers;
  parser.push(hex('01 0001 ffffffff 0032000a'));
  parser.push(Buffer.alloc(1000));
  t.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  t.same(recorder.frames, []);
  t.end();
});

t.test('a large method in many chunks', (t) => {
  const payload = Buffer.alloc(300_000, 7);
  const bytes = frame(1, 1, payload);
  const chunks = Array.from({ length: 31 }, (_, i) => bytes.subarray(i * 10_000, (i + 1) * 10_000));
  t.same(parse(chunks), { frames: [`method 1 ${payload.toString('hex')}`] });
  t.end();
});

t.test('body pieces are offsets into the chunks that were pushed', (t) => {
  const pieces: [Buffer, number, number, boolean][] = [];
  const recorder = new Recorder();
  recorder.onBody = (_, ...piece) => pieces.push(piece);
  const parser = new FrameParser(recorder, 0);
  const bytes = frame(3, 1, Buffer.from('hello'));
  const chunks = [bytes.subarray(0, 9), bytes.subarray(9, 12), bytes.subarray(12)];
  for (const chunk of chunks) parser.push(chunk);
  t.same(
    pieces.map(([, start, end, last]) => [start, end, last]),
    [
      [7, 9, false],
      [0, 3, false],
      [0, 0, true],
    ],
    'the end octet came alone, so an empty piece ends the frame',
  );
  for (const [i, chunk] of chunks.entries()) t.equal(pieces[i][0], chunk);
  t.end();
});

t.test('a buffer that was handed out never changes', (t) => {
  const seen: [buffer: Buffer, copy: Buffer][] = [];
  const recorder = new Recorder();
  recorder.onMethod = (_, buffer) => seen.push([buffer, Buffer.from(buffer)]);
  const parser = new FrameParser(recorder, 0);
  for (const chunk of splitAt(Buffer.concat([publish, publish, publish]), [10, 50, 70])) parser.push(chunk);
  t.equal(seen.length, 3);
  for (const [buffer, copy] of seen) t.ok(buffer.equals(copy));
  t.end();
});

for (const cuts of [[], [3], [10], [publish.length - 1], [publish.length + 9]]) {
  t.test(`stop ends parsing at once, also within a chunk, cut at ${cuts}`, (t) => {
    const recorder = new Recorder();
    const parser = new FrameParser(recorder, 0);
    const closing = encodeMethodFrame(1, { id: CHANNEL_CLOSE_OK });
    const onMethod = recorder.onMethod.bind(recorder);
    recorder.onMethod = (...args) => {
      onMethod(...args);
      parser.stop();
    };
    for (const chunk of splitAt(Buffer.concat([publish, closing, frame(9, 9, hex('09'))]), cuts)) parser.push(chunk);
    t.equal(recorder.frames.length, 1);
    parser.push(HEARTBEAT_FRAME);
    t.equal(recorder.frames.length, 1);
    t.end();
  });
}

t.test('stop from within a body piece', (t) => {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, 0);
  recorder.onBody = () => parser.stop();
  parser.push(frame(3, 1, Buffer.from('hello')).subarray(0, 9));
  parser.push(HEARTBEAT_FRAME);
  t.same(recorder.frames, []);
  t.end();
});

t.test('after a frame that is refused the next one is parsed, wherever the chunks end', (t) => {
  const bytes = Buffer.concat([frame(9, 9, hex('09')), HEARTBEAT_FRAME, frame(8, 1, hex('')), publish]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const recorder = new Recorder();
    const parser = new FrameParser(recorder, 0);
    for (const chunk of splitAt(bytes, [cut])) parser.push(chunk);
    t.same(recorder.frames, [
      'refused 501 type 9, all octets = <<"\\t">>: unknown_frame',
      'heartbeat',
      'refused 505 type 8, all octets = <<>>',
      streamFrames[1],
    ]);
  }
  t.end();
});

t.test("after an error, the parser's or its sink's, nothing is parsed", (t) => {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, 0);
  codecError(() => parser.push(hex('09 0009 00000001 09 00')));
  parser.push(HEARTBEAT_FRAME);
  t.same(recorder.frames, []);
  const throwing = new Recorder();
  throwing.onHeartbeat = () => {
    throw new Error('from the sink');
  };
  const other = new FrameParser(throwing, 0);
  t.throws(() => other.push(HEARTBEAT_FRAME), { message: 'from the sink' });
  other.push(publish);
  t.same(throwing.frames, []);
  t.end();
});

t.test('a push from within a callback is a mistake of ours', (t) => {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, 0);
  recorder.onHeartbeat = () => parser.push(publish);
  t.throws(() => parser.push(HEARTBEAT_FRAME), /within a callback/);
  t.end();
});

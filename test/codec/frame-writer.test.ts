import t from 'tap';
import {
  CONTENT_HEADER_SIZE,
  encodeContentFrames,
  encodeContentHeaderPayload,
  encodeMethodFrame,
  FRAME_HEADER_SIZE,
  HEARTBEAT_FRAME,
  PROTOCOL_HEADER,
  writeFrameHeader,
} from '../../codec/frame-writer.ts';
import { BASIC_ACK } from '../../codec/generated/methods.ts';
import { codecError, frame, hex } from './helper.ts';

const noProperties = hex('0000');

t.test('constant bytes', (t) => {
  t.same(PROTOCOL_HEADER, Buffer.from('AMQP\0\0\x09\x01'));
  t.same(HEARTBEAT_FRAME, hex('08 0000 00000000 ce'));
  t.end();
});

t.test('a method frame', (t) => {
  const bytes = encodeMethodFrame(0xfffe, { id: BASIC_ACK, deliveryTag: 5, multiple: true });
  t.same(bytes, hex('01 fffe 0000000d 003c0050 0000000000000005 01 ce'));
  t.end();
});

t.test('a frame header in the midst of a buffer', (t) => {
  const buffer = Buffer.alloc(10);
  t.equal(writeFrameHeader(buffer, 2, 3, 0x0102, 0x03040506), 2 + FRAME_HEADER_SIZE);
  t.same(buffer, hex('0000 03 0102 03040506 00'));
  t.end();
});

t.test('a content header', (t) => {
  const payload = encodeContentHeaderPayload(2 ** 40 + 1, noProperties);
  t.same(payload, hex('003c 0000 0000010000000001 0000'));
  t.equal(payload.length, CONTENT_HEADER_SIZE + 2);
  t.end();
});

t.test('content is cut at frame-max', (t) => {
  const header = frame(2, 1, hex('003c 0000 0000000000000014 0000'));
  const body = Buffer.from('abcdefghijklmnopqrst');
  t.same(encodeContentFrames(1, noProperties, body, 0), Buffer.concat([header, frame(3, 1, body)]));
  const cut = Buffer.concat([header, frame(3, 1, body.subarray(0, 14)), frame(3, 1, body.subarray(14))]);
  t.same(encodeContentFrames(1, noProperties, body, 22), cut);
  t.same(
    encodeContentFrames(1, noProperties, body.subarray(0, 0), 22),
    frame(2, 1, hex('003c 0000 0000000000000000 0000')),
  );
  t.end();
});

t.test('what does not fit is refused', (t) => {
  const ack = { id: BASIC_ACK, deliveryTag: 1, multiple: false } as const;
  t.match(codecError(() => encodeMethodFrame(65536, ack)).message, /^65536 is not/);
  t.match(codecError(() => encodeMethodFrame(-1, ack)).message, /^-1 is not/);
  t.match(codecError(() => writeFrameHeader(Buffer.alloc(7), 0, 1, 1, 2 ** 32)).message, /^4294967296 is not/);
  t.match(codecError(() => encodeContentHeaderPayload(2 ** 53, noProperties)).message, /64-bit/);
  t.match(
    codecError(() => encodeContentFrames(1, noProperties, Buffer.alloc(1), 21)).message,
    /14 octets exceeds frame-max 21/,
  );
  t.match(codecError(() => encodeContentFrames(1, noProperties, Buffer.alloc(1), 3)).message, /exceeds frame-max 3/);
  t.end();
});

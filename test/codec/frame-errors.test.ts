// Expected texts are what Erlang's io_lib printed for these terms; it breaks lines at 80 columns in ways of its own.
import t from 'tap';
import { badFrameEnd, frameTooLarge, unexpectedFrame, unknownFrame } from '../../codec/frame-errors.ts';
import { hex } from './helper.ts';

const repeated = (byte: number, times: number) => Buffer.alloc(times, byte);

t.test('printable payloads are quoted, with escapes', (t) => {
  t.equal(
    unknownFrame(1, 12, Buffer.from('a"b\\c\n\t\x1b\r\v\b\f')).message,
    'type 1, all octets = <<"a\\"b\\\\c\\n\\t\\e\\r\\v\\b\\f">>: unknown_frame',
  );
  t.equal(unknownFrame(1, 2, hex('a0a1')).message, 'type 1, all octets = <<"\udca0\udca1">>: unknown_frame');
  t.equal(unexpectedFrame(8, 0, hex('')).message, 'type 8, all octets = <<>>');
  t.end();
});

t.test('others are numbers', (t) => {
  for (const [bytes, text] of [
    ['00', '0'],
    ['6162637f', '97,98,99,127'],
    ['80', '128'],
    ['616200', '97,98,0'],
  ]) {
    t.equal(unexpectedFrame(1, hex(bytes).length, hex(bytes)).message, `type 1, all octets = <<${text}>>`);
  }
  t.end();
});

t.test('a term that does not fit the line goes on in the next', (t) => {
  const seven = '127,'.repeat(14);
  t.equal(
    unknownFrame(1, 15, repeated(127, 15)).message,
    `type 1, all octets = <<${seven}\n${' '.repeat(23)}127>>: unknown_frame`,
  );
  t.equal(
    badFrameEnd(1, 16, repeated(127, 16), 255).message,
    `type 1, all octets = <<${seven}\n${' '.repeat(23)}127,127>>: {invalid_frame_end_marker,255}`,
  );
  t.equal(
    badFrameEnd(1, 9, repeated(127, 9), 0).message,
    `type 1, all octets = <<${'127,'.repeat(8)}127>>: {invalid_frame_end_marker,\n${' '.repeat(63)}0}`,
  );
  t.equal(
    badFrameEnd(9, 8, hex('0063090a63646400'), 248).message,
    `type 9, all octets = <<0,99,9,10,99,100,100,0>>: {invalid_frame_end_marker,\n${' '.repeat(50)}248}`,
  );
  t.equal(
    unknownFrame(255, 24, hex('0a646309636463640a0964630a00640a')).message,
    'type 255, first 16 octets = <<10,100,99,9,99,100,99,100,10,9,100,99,10,0,100,10>>: unknown_frame',
    'the closing brackets do not count',
  );
  t.end();
});

t.test('a frame over the limit', (t) => {
  const { message, replyCode } = frameTooLarge(3, 0xffff_ffff, 131_072);
  t.equal(message, 'type 3, all octets = <<>>: {frame_too_large,4294967295,131064}');
  t.equal(replyCode, 501);
  t.end();
});

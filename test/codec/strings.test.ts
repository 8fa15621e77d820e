import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  decodeString,
  decodeUtf8,
  encodedStringSize,
  encodeLongString,
  encodeShortString,
  encodeString,
  longStringSize,
  shortStringSize,
} from '../../codec/strings.ts';
import { codecError, hex } from './helper.ts';

function encoded(text: string): Buffer {
  const size = encodedStringSize(text);
  const buffer = Buffer.alloc(size + 2, 0xaa);
  assert.equal(encodeString(text, size, buffer, 1), size + 1);
  assert.equal(buffer[0], 0xaa);
  assert.equal(buffer[size + 1], 0xaa);
  return buffer.subarray(1, size + 1);
}

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  // Bytes that begin, continue and break UTF-8 sequences.
  fc.array(fc.constantFrom(0x41, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98, 0xff), {
    maxLength: 40,
  }),
);

t.test('every byte sequence survives decoding and encoding', (t) => {
  fc.assert(
    fc.property(bytes, (array) => {
      const buffer = Buffer.from(array);
      return encoded(decodeString(buffer, 0, buffer.length)).equals(buffer);
    }),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('well-formed text is UTF-8', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      const expected = Buffer.from(text);
      return encoded(text).equals(expected) && decodeString(expected, 0, expected.length) === text;
    }),
    { numRuns: 1000 },
  );
  t.end();
});

t.test('bytes that are no UTF-8 become lone surrogates, the text around them stays', (t) => {
  t.equal(decodeString(hex('61 ff c3a9 e282'), 0, 6), 'a\udcffé\udce2\udc82');
  t.equal(decodeString(hex('c0 80'), 0, 2), '\udcc0\udc80', 'overlong');
  t.equal(decodeString(hex('eda080'), 0, 3), '\udced\udca0\udc80', 'encoded surrogate');
  t.equal(decodeString(hex('f4908080'), 0, 4), '\udcf4\udc90\udc80\udc80', 'over U+10FFFF');
  t.equal(decodeString(hex('efbbbf 61'), 0, 4), '\ufeffa', 'a byte order mark is a character like any other');
  t.end();
});

t.test('only the bytes asked for are decoded', (t) => {
  const buffer = Buffer.from('xxhello, long enough for the native pathxx');
  t.equal(decodeString(buffer, 2, 7), 'hello');
  t.equal(decodeString(buffer, 2, buffer.length - 2), 'hello, long enough for the native path');
  t.equal(decodeString(buffer, 3, 3), '');
  t.end();
});

t.test('decodeUtf8 tells valid from invalid', (t) => {
  t.equal(decodeUtf8(Buffer.from('plain'), 0, 5), 'plain');
  t.equal(decodeUtf8(Buffer.from('né'), 0, 3), 'né');
  t.equal(decodeUtf8(hex('61c328'), 0, 3), undefined);
  t.equal(decodeUtf8(Buffer.from('né'), 0, 2), undefined, 'cut within a character');
  t.end();
});

t.test('a surrogate that stands for no byte is refused', (t) => {
  for (const text of ['\ud83d', 'a\ude00', '\ud83da', '\udc7f', '\udd00', '\ud83d\udcff\ud83d']) {
    const { replyCode, message } = codecError(() => encodedStringSize(text));
    t.equal(replyCode, 541);
    t.match(message, /^lone surrogate U\+D/);
  }
  t.end();
});

t.test('a short string has up to 255 bytes, not characters', (t) => {
  const buffer = Buffer.alloc(600);
  t.equal(shortStringSize('a'.repeat(255)), 256);
  t.equal(encodeShortString('a'.repeat(255), buffer, 3), 259);
  t.equal(buffer[3], 255);
  for (const text of ['a'.repeat(256), 'é'.repeat(128)]) {
    t.match(codecError(() => shortStringSize(text)).message, 'short string of 256 bytes is longer than 255');
    t.match(
      codecError(() => encodeShortString(text, buffer, 0)).message,
      'short string of 256 bytes is longer than 255',
    );
  }
  t.end();
});

t.test('short and long strings carry their size', (t) => {
  fc.assert(
    fc.property(bytes, (array) => {
      const content = Buffer.from(array);
      const text = decodeString(content, 0, content.length);
      const short = Buffer.alloc(shortStringSize(text));
      const long = Buffer.alloc(longStringSize(text));
      return (
        encodeShortString(text, short, 0) === short.length &&
        encodeLongString(text, long, 0) === long.length &&
        short.equals(Buffer.concat([Buffer.from([content.length]), content])) &&
        long.equals(Buffer.concat([Buffer.from([0, 0, 0, content.length]), content]))
      );
    }),
  );
  t.end();
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { encodeMethodFrame } from '../../codec/frame-writer.ts';
import { isHardError } from '../../codec/generated/constants.ts';
import * as generated from '../../codec/generated/methods.ts';
import {
  decodeMethod,
  encodedMethodSize,
  encodeMethod,
  expectsContent,
  isSynchronous,
  type Method,
  methodName,
} from '../../codec/generated/methods.ts';
import { methods, protocol } from './arbitraries.ts';
import { codecError, hex } from './helper.ts';

function encoded(method: Method): Buffer {
  const size = encodedMethodSize(method);
  const buffer = Buffer.alloc(size + 2, 0xaa);
  if (encodeMethod(method, buffer, 1) !== size + 1) throw new Error('encodedMethodSize is not what was written');
  if (buffer[0] !== 0xaa || buffer[size + 1] !== 0xaa) throw new Error('wrote beyond its place');
  return buffer.subarray(1, size + 1);
}

function decoded(buffer: Buffer): Method {
  return decodeMethod(buffer, 0, buffer.length);
}

function decodingError(text: string) {
  const buffer = hex(text);
  const { replyCode, message, methodId, detail } = codecError(() => decoded(buffer));
  return { replyCode, message, methodId, detail };
}

for (const [name, arbitrary] of methods) {
  t.test(`${name} survives encoding and decoding`, (t) => {
    fc.assert(
      fc.property(arbitrary, (method) => {
        const result = decoded(encoded(method));
        assert.equal(methodName(result.id), name);
        assert.deepStrictEqual(result, method);
      }),
      { numRuns: 50 },
    );
    t.end();
  });

  t.test(`${name} is a CodecError at every byte that it is cut at, and with a byte too many`, (t) => {
    fc.assert(
      fc.property(arbitrary, (method) => {
        const whole = encoded(method);
        const id = methodName(method.id).startsWith('connection.') ? 0 : method.id;
        const expected = id === 0 ? 541 : 501;
        for (let end = 4; end < whole.length; end++) {
          const error = codecError(() => decodeMethod(whole, 0, end));
          if (error.replyCode !== expected || error.methodId !== id) throw new Error(`${end}: ${error.replyCode}`);
        }
        return codecError(() => decoded(Buffer.concat([whole, Buffer.alloc(1)]))).replyCode === expected;
      }),
      { numRuns: 10 },
    );
    t.end();
  });
}

t.test('every method has an id constant', (t) => {
  const ids = new Set(Object.values(generated).filter((value) => typeof value === 'number'));
  t.equal(ids.size, methods.size);
  t.equal(generated.QUEUE_DECLARE, 0x0032000a);
  t.end();
});

t.test('random arguments either decode or are a CodecError', (t) => {
  const ids = protocol.classes.flatMap((cls) => cls.methods.map((method) => cls.id * 0x10000 + method.id));
  fc.assert(
    fc.property(fc.constantFrom(...ids, 0, 0xffffffff), fc.uint8Array({ maxLength: 40 }), (id, bytes) => {
      const buffer = Buffer.alloc(4 + bytes.length);
      buffer.writeUInt32BE(id, 0);
      buffer.set(bytes, 4);
      try {
        return decoded(buffer).id === id;
      } catch {
        const { replyCode } = codecError(() => decoded(buffer));
        return isHardError(replyCode) || replyCode === 406;
      }
    }),
    { numRuns: 5000 },
  );
  t.end();
});

// The replies below are what RabbitMQ 3.10.8 sent for these bytes.
t.test('arguments of the wrong length are quoted', (t) => {
  t.match(decodingError('0032000a 0000 0541'), {
    replyCode: 501,
    message: 'cannot decode <<0,0,5,65>>',
    methodId: 0x32000a,
  });
  t.match(decodingError('0032000a 0000 0171 06 00000009'), { message: 'cannot decode <<0,0,1,113,6,0,0,0,9>>' });
  t.match(decodingError('0032000a 0000 0171 06 00000000 00'), { message: 'cannot decode <<0,0,1,113,6,0,0,0,0,0>>' });
  const long = decodingError(`0032000a ${'00'.repeat(100_000)}`);
  t.ok(long.message.length > 255 && long.message.length < 1000, 'no more than a reply text can show');
  t.end();
});

t.test('on channel 0 they are an internal error without a text', (t) => {
  const expected = { replyCode: 541, message: '', methodId: 0 };
  t.match(decodingError('000a0032 00c8 03627965 0000 0000 09'), { ...expected, detail: /^cannot decode <<0,200,/ });
  t.match(decodingError('000a0046 00000009'), expected);
  t.match(decodingError('000a000b 00000004 016b7a01 00 00000000 00'), {
    ...expected,
    detail: /'k': unknown type 0x7a/,
  });
  t.end();
});

t.test('malformed UTF-8 is an error but in methods with content', (t) => {
  const text = 'Malformed UTF-8 in shortstr';
  t.match(decodingError('0032000a 0000 02c328 06 00000000'), { replyCode: 501, message: text, methodId: 0 });
  t.match(decodingError('000a0032 00c8 02c328 0000 0000'), { replyCode: 501, message: text, methodId: 0x000a0032 });
  t.match(decoded(hex('003c0028 0000 00 02c328 00')), { routingKey: '\udcc3(' });
  t.end();
});

t.test('the wrong length comes before malformed UTF-8', (t) => {
  t.match(decodingError('0032000a 0000 02c328 06 00000000 00'), { message: /^cannot decode/ });
  t.end();
});

t.test('a malformed table names its key and the method', (t) => {
  t.match(decodingError('0032000a 0000 0171 06 00000004 016b7a01'), {
    replyCode: 502,
    message: "malformed field table: 'k': unknown type 0x7a",
    methodId: 0x32000a,
  });
  t.end();
});

t.test('a delivery tag over 2^53 - 1 is unknown, and never rounded', (t) => {
  for (const [id, tail] of [
    ['003c0050', '00'],
    ['003c0078', '00'],
    ['003c005a', '00'],
  ]) {
    t.match(decodingError(`${id} ffffffffffffffff ${tail}`), {
      replyCode: 406,
      message: 'unknown delivery tag 18446744073709551615',
      methodId: Number.parseInt(id, 16),
    });
    t.match(decodingError(`${id} 0020000000000001 ${tail}`), { message: 'unknown delivery tag 9007199254740993' });
    t.match(decoded(hex(`${id} 001fffffffffffff ${tail}`)), { deliveryTag: Number.MAX_SAFE_INTEGER });
  }
  t.end();
});

t.test('unknown methods are not implemented', (t) => {
  t.match(decodingError('00320063'), { replyCode: 540, message: 'unknown method {50,99}', methodId: 0x00320063 });
  t.match(decodingError('00630001'), { replyCode: 540, message: 'unknown method {99,1}' });
  t.equal(methodName(0x00320063), '{50,99}');
  t.equal(methodName(0xffffffff), '{65535,65535}');
  t.end();
});

t.test('reserved fields are read and dropped; bits without a name too', (t) => {
  t.same(decoded(hex('0032000a 0102 0171 e6 00000000')), decoded(hex('0032000a 0000 0171 06 00000000')));
  t.same(decoded(hex('000a0028 012f 0178 01')), { id: generated.CONNECTION_OPEN, virtualHost: '/' });
  t.end();
});

t.test('bits are packed from the lowest', (t) => {
  const method: Method = {
    id: generated.EXCHANGE_DECLARE,
    exchange: 'e',
    type: 't',
    passive: false,
    durable: true,
    autoDelete: false,
    internal: false,
    noWait: true,
    arguments: new Map(),
  };
  t.equal(encoded(method).toString('hex'), '0028000a0000016501741200000000');
  t.end();
});

t.test('values that do not fit are refused', (t) => {
  const close = { id: generated.CHANNEL_CLOSE, replyText: 'bye', classId: 0, methodId: 0 } as const;
  t.match(codecError(() => encodeMethodFrame(1, { ...close, replyCode: 70_000 })).message, /70000 is not/);
  const long = { ...close, replyCode: 200, replyText: 'x'.repeat(256) };
  t.match(codecError(() => encodeMethodFrame(1, long)).message, /256 bytes/);
  const ack = { id: generated.BASIC_ACK, deliveryTag: 2 ** 53, multiple: false } as const;
  t.match(codecError(() => encodeMethodFrame(1, ack)).message, /9007199254740992 is not/);
  t.end();
});

t.test('isSynchronous and expectsContent', (t) => {
  const purge = { id: generated.QUEUE_PURGE, queue: 'q' } as const;
  t.equal(isSynchronous({ ...purge, noWait: false }), true);
  t.equal(isSynchronous({ ...purge, noWait: true }), false);
  t.equal(isSynchronous({ id: generated.TX_SELECT }), true);
  t.equal(isSynchronous({ id: generated.TX_SELECT_OK }), false);
  const withContent = [...methods.keys()].filter((name) => {
    const [cls, method] = name.split('.');
    const found = protocol.classes.find((each) => each.name === cls);
    const id = found?.methods.find((each) => each.name === method)?.id ?? 0;
    return expectsContent((found?.id ?? 0) * 0x10000 + id);
  });
  t.same(withContent, ['basic.publish', 'basic.return', 'basic.deliver', 'basic.get-ok']);
  t.end();
});

// Helpers of the codec's tests.
import t from 'tap';
import { CodecError } from '../../codec/errors.ts';

/** The CodecError that `run` throws; fails the test when it throws nothing or something else. */
export function codecError(run: () => unknown): CodecError {
  try {
    run();
  } catch (error) {
    if (error instanceof CodecError) return error;
    throw error;
  }
  t.fail('expected a CodecError');
  throw new Error('expected a CodecError');
}

/** Bytes from hexadecimal; blanks are for the reader. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}

/** Bytes of a frame. */
export function frame(type: number, channel: number, payload: Uint8Array, end = 0xce): Buffer {
  const header = Buffer.alloc(7);
  header[0] = type;
  header.writeUInt16BE(channel, 1);
  header.writeUInt32BE(payload.length, 3);
  return Buffer.concat([header, payload, Buffer.from([end])]);
}

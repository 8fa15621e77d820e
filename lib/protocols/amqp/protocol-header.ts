// The eight bytes that a client says first (AMQP 0-9-1, 4.2.2), gathered over as many chunks as they take.
import { PROTOCOL_HEADER } from '../../../codec/frame-writer.ts';

/** What clients of AMQP 0-9 say; RabbitMQ takes it for 0-9-1. */
const OLD_PROTOCOL_HEADER = Buffer.from('AMQP\x01\x01\x00\x09', 'latin1');

const NO_BYTES: Buffer = Buffer.alloc(0);

export class ProtocolHeaderReader {
  #bytes = NO_BYTES;

  /** Takes a chunk. Returns what follows the header, 'incomplete' when more must come, 'wrong' when it is another one. */
  take(chunk: Buffer): Buffer | 'incomplete' | 'wrong' {
    const bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const size = PROTOCOL_HEADER.length;
    if (bytes.length < size) {
      this.#bytes = bytes;
      return 'incomplete';
    }
    const header = bytes.subarray(0, size);
    return header.equals(PROTOCOL_HEADER) || header.equals(OLD_PROTOCOL_HEADER) ? bytes.subarray(size) : 'wrong';
  }
}

// How the sockets of a server read: into one buffer that they share. Node makes a buffer of 64 KiB for every read, shortens it to what came
// in, and takes it through a stream's queue; most reads are a few hundred bytes. Clients can have that with `onread`; for an accepted socket
// it takes its handle, which is no public API, so whoever has none is served as before.
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

/**
 * As much as Node reads at once. Twice as much is 1.13 times the rate of messages of 1 MB, but a publisher of small ones takes twice as long a turn
 * then: its neighbours wait 0.65 instead of 0.25 ms.
 */
const READ_BYTES = 64 * 1024;
/** A read that brings so much is followed by one into a buffer of the socket's own. */
const BUSY_BYTES = READ_BYTES / 2;
/** So many sockets may have one: who falls silent keeps it. */
const MOST_OWNERS = 64;

const shared = Buffer.allocUnsafeSlow(READ_BYTES);
let owners = 0;

/** What is used of Node's handle of a socket. */
interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
}

interface SocketWithHandle {
  _handle: Handle | null;
}

interface ReadOptions extends SocketConstructorOpts {
  readonly handle: Handle;
  readonly onread: OnReadOpts;
}

/**
 * A socket in place of an accepted one, of a server with `pauseOnConnect`, that emits the same events for less: 31 instead of 39 µs of CPU for
 * one small message at a time, a tenth more round trips a second. Its chunks are nobody else's, but may share a pool of Node's.
 */
export function readShared(accepted: Socket): Socket {
  const holder = accepted as unknown as SocketWithHandle;
  const handle = holder._handle;
  if (typeof handle?.useUserBuffer !== 'function') return accepted.resume();
  holder._handle = null;
  // Null when the next read goes to the shared buffer. A busy socket has its own, and gives it away when it is half full: that saves a copy.
  let own: Buffer | null = null;
  const options: ReadOptions = {
    handle,
    onread: {
      buffer: () => own ?? shared,
      callback: (bytes) => {
        const isBusy = bytes >= BUSY_BYTES;
        const chunk = own !== null && isBusy ? own.subarray(0, bytes) : copyOf(own ?? shared, bytes);
        if (own !== null) owners--;
        own = isBusy && owners < MOST_OWNERS ? Buffer.allocUnsafeSlow(READ_BYTES) : null;
        if (own !== null) owners++;
        socket.emit('data', chunk);
        return true;
      },
    },
  };
  const socket = new Socket(options);
  socket.once('close', () => {
    if (own !== null) owners--;
  });
  // It has nothing left to close, but its server counts it.
  accepted.destroy();
  return socket;
}

function copyOf(buffer: Buffer, bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes);
  buffer.copy(copy, 0, 0, bytes);
  return copy;
}

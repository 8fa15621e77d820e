// Sockets that read into a buffer which others use as well: every byte arrives, in order, and stays what it was.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { shareReads } from '../lib/shared-reads.ts';

async function listen(t: Test, take: (socket: Socket) => void): Promise<{ server: Server; dial: () => Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  shareReads(server, take);
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const dial = (): Socket => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    return socket;
  };
  return { server, dial };
}

/** Bytes that tell where they stand in which stream. */
function pattern(stream: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0, at = from; i < length; i++, at++) bytes[i] = stream * 31 + at * 7 + (at >> 8);
  return bytes;
}

t.test('streams of small and large pieces, side by side, keep their bytes', async (t) => {
  const received = new Map<Socket, Buffer[]>();
  let ended = 0;
  let allEnded: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    allEnded = resolve;
  });
  // More than get a buffer of their own.
  const STREAMS = 70;
  const { dial } = await listen(t, (socket) => {
    const chunks: Buffer[] = [];
    received.set(socket, chunks);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => {
      socket.end();
      if (++ended === STREAMS) allEnded();
    });
  });
  const sizes = [65_536, 1, 100, 4095, 200_000, 7, 131_072, 20_000];
  const clients: Socket[] = [];
  const sent: number[] = [];
  for (let stream = 0; stream < STREAMS; stream++) {
    const socket = dial();
    clients.push(socket);
    let at = 0;
    for (let i = 0; i < sizes.length + (stream % 5); i++) {
      const size = sizes[(i + stream) % sizes.length];
      if (!socket.write(pattern(stream, at, size))) await once(socket, 'drain');
      at += size;
    }
    sent.push(at);
  }
  for (const client of clients) client.end().resume();
  await done;
  t.equal(received.size, STREAMS);
  const missing = new Set(sent.keys());
  for (const chunks of received.values()) {
    const whole = Buffer.concat(chunks);
    // No two begin alike.
    const stream = sent.findIndex((_, one) => pattern(one, 0, 1).equals(whole.subarray(0, 1)));
    const isWhole = whole.length === sent[stream] && pattern(stream, 0, whole.length).equals(whole);
    t.ok(isWhole, `stream ${stream}: ${whole.length} bytes in ${chunks.length} chunks`);
    missing.delete(stream);
  }
  t.same([...missing], []);
});

t.test('it can be paused and resumed, and reads nothing meanwhile', async (t) => {
  let accepted: (socket: Socket) => void = () => undefined;
  const acceptance = new Promise<Socket>((resolve) => {
    accepted = resolve;
  });
  const { dial } = await listen(t, (socket) => {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= 100_000 && bytes - chunk.length < 100_000) {
        socket.pause();
        setImmediate(() => {
          t.equal(socket.bytesRead, bytes, 'nothing came after the pause');
          socket.resume();
        });
      }
      if (bytes === 1_000_000) socket.end('all');
    });
    accepted(socket);
  });
  const client = dial();
  client.write(Buffer.alloc(1_000_000));
  t.equal(String(await once(client, 'data')), 'all');
  const socket = await acceptance;
  t.match(socket.remoteAddress, /127\.0\.0\.1/);
  t.equal(socket.remotePort, client.localPort);
});

interface ServerHandle {
  onconnection(error: number, accepted?: { useUserBuffer?: unknown }): void;
}

function handleOf(server: Server): ServerHandle {
  return (server as unknown as { readonly _handle: ServerHandle })._handle;
}

t.test('where handles are of another kind, the sockets are those of the server', async (t) => {
  const { server, dial } = await listen(t, () => t.fail('it shares a buffer without being able to'));
  const handle = handleOf(server);
  const { onconnection } = handle;
  handle.onconnection = (error, accepted) => {
    if (accepted !== undefined) accepted.useUserBuffer = undefined;
    onconnection.call(handle, error, accepted);
  };
  dial().write('hello');
  const [socket] = await once(server, 'connection');
  t.equal(String(...(await once(socket, 'data'))), 'hello');
  socket.destroy();
});

t.test('a server that does not listen yet keeps its sockets', async (t) => {
  const server = createServer();
  shareReads(server, () => t.fail('it had no handle'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = await once(server, 'connection');
  t.equal(socket.remotePort, client.localPort);
  client.destroy();
  socket.destroy();
  server.close();
});

t.test('what can not be accepted is an error of the server', async (t) => {
  const { server } = await listen(t, () => t.fail('there is none'));
  const EMFILE = -24;
  const failed = once(server, 'error');
  handleOf(server).onconnection(EMFILE);
  t.match(await failed, [{ code: 'EMFILE', syscall: 'accept' }]);
});

t.test('a client that is gone ends the socket, and the server can close', async (t) => {
  const ends: string[] = [];
  let gone: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const { server, dial } = await listen(t, (socket) => {
    socket.on('error', () => ends.push('error'));
    socket.on('close', () => {
      ends.push('close');
      gone();
    });
    socket.on('data', () => undefined);
  });
  const client = dial();
  await once(client, 'connect');
  client.write('hello');
  client.resetAndDestroy();
  await ended;
  t.equal(ends.at(-1), 'close');
  server.close();
  await once(server, 'close');
});

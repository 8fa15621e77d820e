// The broker's end of a client's socket, to see how much waits there for a client that does not read.
import { connect, Socket } from 'node:net';
import type { Test } from 'tap';
import { EmbedClient, type OpenOptions } from './embed-client.ts';

export interface ObservedClient {
  readonly client: EmbedClient;
  /** Bytes that the broker's process keeps for the client, beyond what the kernel has taken. */
  readonly waitingBytes: () => number;
}

/** Connects a client and finds the socket that the broker accepted for it, in the same process. */
export async function connectObserved(t: Test, port: number, options: OpenOptions = {}): Promise<ObservedClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  t.teardown(() => socket.destroy());
  const client = await new EmbedClient(socket).open(options);
  const brokersEnd = openSockets().find(({ remotePort }) => remotePort === socket.localPort);
  if (brokersEnd === undefined) throw new Error('the broker did not accept the socket in this process');
  return { client, waitingBytes: () => brokersEnd.writableLength };
}

/** The open sockets of this process: Node tells of those that a server accepts, but the broker reads with others in their place. */
function openSockets(): Socket[] {
  const { _getActiveHandles } = process as unknown as { _getActiveHandles(): unknown[] };
  return _getActiveHandles().filter((handle) => handle instanceof Socket);
}

// Connections by the ten thousand: each logs in as any client does, answer by answer, and then costs its process next to nothing.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { emptyFieldTable } from '../../../codec/field-table.ts';
import { FrameParser, type FrameSink } from '../../../codec/frame-parser.ts';
import { encodeMethodFrame, PROTOCOL_HEADER } from '../../../codec/frame-writer.ts';
import * as methods from '../../../codec/generated/methods.ts';
import { readUInt32 } from '../../../codec/integers.ts';
import { publishBytes } from '../client.ts';
import { consumeFrame, declareFrame } from './load.ts';

const START_OK = encodeMethodFrame(0, {
  id: methods.CONNECTION_START_OK,
  clientProperties: emptyFieldTable,
  mechanism: 'PLAIN',
  response: '\0guest\0guest',
  locale: 'en_US',
});
const TUNE_OK_AND_OPEN = Buffer.concat([
  encodeMethodFrame(0, { id: methods.CONNECTION_TUNE_OK, channelMax: 2047, frameMax: 131_072, heartbeat: 0 }),
  encodeMethodFrame(0, { id: methods.CONNECTION_OPEN, virtualHost: '/' }),
]);
const CHANNEL_OPEN = encodeMethodFrame(1, { id: methods.CHANNEL_OPEN });
const AT_ONCE = 100;
/** What a process needs beside its connections. */
const OTHER_FILES = 200;

export class LightConnection implements FrameSink {
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, 0);
  #awaited = 0;
  #resolve = (): void => {};
  #reject: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#parser.push(chunk));
    socket.on('error', (error) => this.#reject(error));
    socket.on('close', () => this.#reject(new Error('the broker closed a connection')));
  }

  /** Connects and logs in; heartbeats are off. */
  static async open(port: number): Promise<LightConnection> {
    const connection = new LightConnection(connect(port, '127.0.0.1'));
    await connection.call(PROTOCOL_HEADER, methods.CONNECTION_START);
    await connection.call(START_OK, methods.CONNECTION_TUNE);
    await connection.call(TUNE_OK_AND_OPEN, methods.CONNECTION_OPEN_OK);
    return connection;
  }

  async openChannel(): Promise<void> {
    await this.call(CHANNEL_OPEN, methods.CHANNEL_OPEN_OK);
  }

  /** Declares a queue of its own, consumes it, publishes one message to it and waits for that. */
  async exchangeOne(queue: string): Promise<void> {
    const frames = [declareFrame(queue, { exclusive: true }), consumeFrame(queue), publishBytes('', queue, 100)];
    await this.call(Buffer.concat(frames), methods.BASIC_DELIVER);
  }

  call(bytes: Buffer, answerId: number): Promise<void> {
    this.#socket.write(bytes);
    return new Promise((resolve, reject) => {
      this.#awaited = answerId;
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  destroy(): void {
    this.#reject = () => {};
    this.#socket.destroy();
  }

  onMethod(_channel: number, buffer: Buffer, start: number): void {
    const id = readUInt32(buffer, start);
    if (id === this.#awaited) this.#resolve();
    else this.#reject(new Error(`the broker sent method ${id >>> 16}.${id & 0xffff}`));
  }

  onHeader(): void {
    // One delivery is like the other.
  }

  onBody(): void {
    // See above.
  }

  onHeartbeat(): void {
    // Off.
  }

  onRefusedFrame(error: Error): void {
    this.#reject(error);
  }
}

/** Calls `work` with each number below `total`, a hundred at a time. */
export async function inParallel(total: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < total) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

export async function openConnections(port: number, total: number, withChannel: boolean): Promise<LightConnection[]> {
  const connections: LightConnection[] = [];
  await inParallel(total, async () => {
    const connection = await LightConnection.open(port);
    if (withChannel) await connection.openChannel();
    connections.push(connection);
  });
  return connections;
}

/** So many connections, or as many as the system lets a process have. */
export function possibleConnections(wanted: number): number {
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === undefined || limit === 'unlimited' ? wanted : Math.min(wanted, Number(limit) - OTHER_FILES);
}

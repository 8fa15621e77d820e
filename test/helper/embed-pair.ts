// Two streams in memory, each one the other's peer: a connection without a socket.
import { Duplex } from 'node:stream';

export type Delivery = 'synchronous' | 'next-turn';

class End extends Duplex {
  readonly #delivery: Delivery;
  #peer: End | undefined;
  /** Called by the peer when this end wants more. */
  #whenWanted: (() => void) | undefined;

  constructor(delivery: Delivery) {
    super({ allowHalfOpen: true });
    this.#delivery = delivery;
  }

  join(peer: End): void {
    this.#peer = peer;
  }

  override _read(): void {
    const wanted = this.#whenWanted;
    this.#whenWanted = undefined;
    wanted?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pass(() => this.#peer?.receive(chunk, done));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#pass(() => {
      this.#peer?.push(null);
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const peer = this.#peer;
    if (peer !== undefined && !peer.destroyed && !this.writableFinished) this.#pass(() => peer.destroy());
    done(error);
  }

  /** Takes a chunk; `done` is called once there is room for another one. */
  receive(chunk: Buffer, done: () => void): void {
    if (this.destroyed) done();
    else if (this.push(chunk)) done();
    else this.#whenWanted = done;
  }

  #pass(step: () => void): void {
    if (this.#delivery === 'synchronous') step();
    else setImmediate(step);
  }
}

/**
 * Two ends of a connection in memory. `synchronous` delivers within write itself, so that the peer may answer before write
 * returns, again and again; `next-turn` delivers on a later turn of the event loop.
 */
export function createPair(delivery: Delivery): [broker: Duplex, client: Duplex] {
  const [broker, client] = [new End(delivery), new End(delivery)];
  broker.join(client);
  client.join(broker);
  return [broker, client];
}

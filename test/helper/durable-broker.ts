// What the durability tests run against: a broker that is ended in the middle of a test and started again on the same data
// folder. With AMQP_URL it is the broker of that name, which the shell command in AMQP_RESTART restarts.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { type Channel, type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import t, { type Test } from 'tap';
import { type Broker, type BrokerOptions, createBroker } from '../../lib/index.ts';
import { againstPeer, uniqueName } from './broker.ts';
import { quiet } from './messages.ts';

const restartCommand = process.env.AMQP_RESTART;

/**
 * How a broker ends: in an orderly way, with a checkpoint; or as with `kill -9`, so that the next start has the log to read. For
 * that the folder is copied while the broker runs, and the next one gets the copy.
 */
export type Ending = 'close' | 'crash';

const ENDINGS: readonly Ending[] = againstPeer ? ['close'] : ['close', 'crash'];

/** A connection with two channels. */
export interface Client {
  readonly connection: ChannelModel;
  readonly channel: Channel;
  /** Publishes: when its confirms are in, everything before is on disk. */
  readonly publisher: ConfirmChannel;
}

/** Opens a connection, which ends with the broker or the test. */
export async function connectTo(t: Test, brokerUrl: string, vhost?: string): Promise<Client> {
  const url = new URL(brokerUrl);
  if (vhost !== undefined) url.pathname = `/${encodeURIComponent(vhost)}`;
  const connection = quiet(await connect(url.href));
  t.teardown(() => connection.close().catch(() => undefined)); // the broker may have closed it already
  const channel = quiet(await connection.createChannel());
  const publisher = quiet(await connection.createConfirmChannel());
  return { connection, channel, publisher };
}

/**
 * Tests twice: with a broker that is closed, and with one that is killed.
 * @param alone whether it is to run by itself in a file whose tests run side by side
 */
export function afterEachEnding(
  title: string,
  test: (t: Test, broker: DurableBroker) => Promise<void>,
  options: BrokerOptions = {},
  alone = false,
): void {
  const skip = againstPeer && restartCommand === undefined && 'AMQP_RESTART does not say how to restart the peer';
  for (const ending of ENDINGS) {
    t.test(`${title} (${ending})`, { skip, ...(alone && { buffered: false }) }, async (t) => {
      await test(t, await DurableBroker.start(t, ending, options));
    });
  }
}

/**
 * Resolves when acknowledgements that were sent on the channel are on disk, which nobody is told of otherwise: they are written
 * at the latest with the next thing that is answered only then.
 */
export async function flush(channel: Channel): Promise<void> {
  const { exchange } = await channel.assertExchange(uniqueName('flush'), 'fanout');
  await channel.deleteExchange(exchange);
}

/** An empty folder that is removed when the test ends, after `before`: tap removes its own too early for a broker to close in it. */
export function temporaryFolder(t: Test, before: () => Promise<unknown> | undefined = async () => {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'leveret-'));
  t.teardown(async () => {
    await before();
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Copies a data folder as a start would find it if the process were gone now. */
function copyFolder(from: string, to: string): void {
  const isLeft = (path: string): boolean => !/^(lock|checkpoint\.new)$/.test(basename(path));
  for (let tries = 1; ; tries++) {
    try {
      cpSync(from, to, { recursive: true, filter: isLeft });
      return;
    } catch (error) {
      // The broker stands still meanwhile, but one thing that it told the system to do may still happen: a file is removed.
      if (tries === 3 || !(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
      rmSync(to, { recursive: true });
    }
  }
}

export class DurableBroker {
  readonly #t: Test;
  readonly ending: Ending;
  readonly #options: BrokerOptions;
  readonly #root: string;
  #life = 1;
  #broker: Broker | undefined;

  private constructor(t: Test, ending: Ending, options: BrokerOptions) {
    this.#t = t;
    this.ending = ending;
    this.#options = options;
    this.#root = temporaryFolder(t, () => this.#broker?.close());
  }

  /** Starts a broker with an empty data folder; it is closed when the test ends. */
  static async start(t: Test, ending: Ending = 'close', options: BrokerOptions = {}): Promise<DurableBroker> {
    const durable = new DurableBroker(t, ending, options);
    await durable.#open();
    return durable;
  }

  /** Where the broker that runs now keeps what is to last. */
  get dataDir(): string {
    return join(this.#root, `life-${this.#life}`);
  }

  /** Only of an embedded one. */
  get broker(): Broker {
    if (this.#broker === undefined) throw new Error('the broker is not embedded');
    return this.#broker;
  }

  /** Opens a connection, which ends with the broker or the test. */
  connect(vhost?: string): Promise<Client> {
    return connectTo(this.#t, process.env.AMQP_URL ?? this.broker.url, vhost);
  }

  /**
   * Ends the broker with all connections, starts it again, and opens a connection.
   * @param meanwhile gets the data folder while nobody uses it
   */
  async restart(meanwhile: (dataDir: string) => unknown = () => {}): Promise<Client> {
    if (againstPeer) await promisify(execFile)('sh', ['-c', restartCommand ?? 'false']);
    else await this.#reopen(meanwhile);
    return this.connect();
  }

  async #reopen(meanwhile: (dataDir: string) => unknown): Promise<void> {
    const { broker, dataDir } = this;
    if (this.ending === 'crash') {
      this.#life++;
      copyFolder(dataDir, this.dataDir);
    }
    await broker.close();
    await meanwhile(this.dataDir);
    await this.#open();
  }

  async #open(): Promise<void> {
    if (againstPeer) return;
    this.#broker = await createBroker({ port: 0, ...this.#options, dataDir: this.dataDir });
  }
}

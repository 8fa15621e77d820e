// A virtual host and a user of a test's own, and their limits: on Leveret through its API, on RabbitMQ through `rabbitmqctl`.
import { type ChannelModel, connect } from 'amqplib';
import type { Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { startTarget, type Target, uniqueName } from './broker.ts';
import { quiet } from './messages.ts';
import { rabbitmqctl } from './wire-target.ts';

const PASSWORD = 'secret';

/** Most of each; negative for no limit. */
export interface Limits {
  readonly connections?: number;
  readonly channels?: number;
}

export class Realm {
  readonly vhost = uniqueName('limits');
  readonly user = uniqueName('limited');
  readonly target: Target;
  readonly #t: Test;

  private constructor(t: Test, target: Target) {
    this.#t = t;
    this.target = target;
  }

  /** A broker, a virtual host, and a user that may do everything there; gone when the test ends. */
  static async open(t: Test, options: BrokerOptions = {}): Promise<Realm> {
    const realm = new Realm(t, await startTarget(t, options));
    await realm.addVirtualHost(realm.vhost);
    await realm.#addUser();
    await realm.allow(realm.vhost);
    return realm;
  }

  /** For PLAIN. */
  get response(): string {
    return `\0${this.user}\0${PASSWORD}`;
  }

  async addVirtualHost(name: string): Promise<void> {
    const { broker } = this.target;
    if (broker !== undefined) return broker.createVirtualHost(name);
    await rabbitmqctl('add_vhost', name);
    this.#t.teardown(() => rabbitmqctl('delete_vhost', name));
  }

  async allow(vhost: string): Promise<void> {
    const { broker } = this.target;
    const rules = { configure: '.*', write: '.*', read: '.*' };
    if (broker !== undefined) return broker.putUser({ name: this.user, permissions: { [vhost]: rules } });
    await rabbitmqctl('set_permissions', '-p', vhost, this.user, '.*', '.*', '.*');
  }

  async limitVirtualHost({ connections = -1 }: Limits): Promise<void> {
    const { broker } = this.target;
    if (broker !== undefined) return broker.setVirtualHostLimits(this.vhost, { maxConnections: connections });
    await rabbitmqctl('set_vhost_limits', '-p', this.vhost, JSON.stringify({ 'max-connections': connections }));
  }

  async limitUser({ connections = -1, channels = -1 }: Limits): Promise<void> {
    const { broker } = this.target;
    if (broker !== undefined) {
      return broker.setUserLimits(this.user, { maxConnections: connections, maxChannels: channels });
    }
    const limits = { 'max-connections': connections, 'max-channels': channels };
    await rabbitmqctl('set_user_limits', this.user, JSON.stringify(limits));
  }

  /** Closes the connections of the user, and those of the virtual host; then both are there again, empty and without limits. */
  async renew(): Promise<void> {
    const { broker } = this.target;
    if (broker !== undefined) {
      await broker.deleteUser(this.user);
      await broker.deleteVirtualHost(this.vhost);
      await broker.createVirtualHost(this.vhost);
    } else {
      await rabbitmqctl('delete_user', this.user);
      await rabbitmqctl('delete_vhost', this.vhost);
      await rabbitmqctl('add_vhost', this.vhost);
    }
    await this.#createUser();
    await this.allow(this.vhost);
  }

  async connect(vhost = this.vhost, query = ''): Promise<ChannelModel> {
    const { host, port } = this.target;
    const address = `${this.user}:${PASSWORD}@${host}:${port}`;
    const connection = quiet(await connect(`amqp://${address}/${encodeURIComponent(vhost)}${query}`));
    this.#t.teardown(() => connection.close().catch(() => undefined)); // a test may have closed it already
    return connection;
  }

  async #addUser(): Promise<void> {
    await this.#createUser();
    if (this.target.broker === undefined) this.#t.teardown(() => rabbitmqctl('delete_user', this.user));
  }

  async #createUser(): Promise<void> {
    const { broker } = this.target;
    if (broker !== undefined) await broker.putUser({ name: this.user, password: PASSWORD });
    else await rabbitmqctl('add_user', this.user, PASSWORD);
  }
}

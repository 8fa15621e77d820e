// A virtual host of the test's own, with policies and limits: set through the API of an embedded Leveret, or through `rabbitmqctl` of the
// peer (see wire-target.ts). What is refused rejects with RabbitMQ's text either way.
import type { Test } from 'tap';
import type { Broker, BrokerOptions, PolicyOptions, VirtualHostLimits } from '../../lib/index.ts';
import { startTarget, uniqueName } from './broker.ts';
import { rabbitmqctl } from './wire-target.ts';

export type TestPolicy = Omit<PolicyOptions, 'vhost'>;

export interface PolicyTarget {
  readonly vhost: string;
  /** Of the virtual host. */
  readonly url: string;
  setPolicy(policy: TestPolicy): Promise<void>;
  clearPolicy(name: string): Promise<void>;
  setOperatorPolicy(policy: TestPolicy): Promise<void>;
  clearOperatorPolicy(name: string): Promise<void>;
  setLimits(limits: Partial<VirtualHostLimits>): Promise<void>;
}

/** Starts a target with an empty virtual host, which goes when the test ends. */
export async function openPolicies(t: Test, options: BrokerOptions = {}): Promise<PolicyTarget> {
  const { broker, url } = await startTarget(t, options);
  const vhost = uniqueName('policies');
  const own = new URL(url);
  own.pathname = `/${vhost}`;
  if (broker !== undefined) return embedded(broker, vhost, own.href);
  await rabbitmqctl('add_vhost', vhost);
  t.teardown(() => rabbitmqctl('delete_vhost', vhost));
  await rabbitmqctl('set_permissions', '--vhost', vhost, own.username, '.*', '.*', '.*');
  return peer(vhost, own.href);
}

async function embedded(broker: Broker, vhost: string, url: string): Promise<PolicyTarget> {
  await broker.createVirtualHost(vhost);
  const permissions = { [vhost]: { configure: '.*', write: '.*', read: '.*' } };
  await broker.putUser({ name: new URL(url).username, permissions });
  return {
    vhost,
    url,
    setPolicy: (policy) => broker.putPolicy({ vhost, ...policy }),
    clearPolicy: (name) => broker.deletePolicy(vhost, name),
    setOperatorPolicy: (policy) => broker.putOperatorPolicy({ vhost, ...policy }),
    clearOperatorPolicy: (name) => broker.deleteOperatorPolicy(vhost, name),
    setLimits: (limits) => broker.setVirtualHostLimits(vhost, limits),
  };
}

function peer(vhost: string, url: string): PolicyTarget {
  const run = async (command: string, ...args: string[]): Promise<void> => {
    await rabbitmqctl(command, '--vhost', vhost, ...args).catch((error: Error & { stderr?: string }) => {
      throw new Error(error.stderr?.replace(/^Error:\s*/, '').trim() ?? error.message);
    });
  };
  const set = (command: string, { name, pattern, definition, priority = 0, applyTo = 'all' }: TestPolicy) =>
    run(command, '--priority', `${priority}`, '--apply-to', applyTo, name, pattern, JSON.stringify(definition));
  return {
    vhost,
    url,
    setPolicy: (policy) => set('set_policy', policy),
    clearPolicy: (name) => run('clear_policy', name),
    setOperatorPolicy: (policy) => set('set_operator_policy', policy),
    clearOperatorPolicy: (name) => run('clear_operator_policy', name),
    setLimits: ({ maxConnections, maxQueues }) =>
      run('set_vhost_limits', JSON.stringify({ 'max-connections': maxConnections, 'max-queues': maxQueues })),
  };
}

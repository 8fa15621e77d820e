// What raw-byte tests ask of the broker itself, not over AMQP: of Leveret through its options and API, of RabbitMQ through
// its own command, `rabbitmqctl` or what RABBITMQCTL says (`bash peer.sh ctl`). It always gets back what it was told.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import type { BrokerOptions } from '../../lib/index.ts';
import { againstPeer, type Target, uniqueName } from './broker.ts';
import {
  basicPublish,
  bytes,
  confirmSelect,
  contentBody,
  contentHeader,
  queueDeclare,
  queuePurge,
} from './wire-bytes.ts';
import { WireClient } from './wire-client.ts';

const [COMMAND, ...COMMAND_ARGS] = (process.env.RABBITMQCTL ?? 'rabbitmqctl').split(' ');

/** Runs the peer's own command. */
export async function rabbitmqctl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(COMMAND, [...COMMAND_ARGS, '--quiet', ...args]);
  return stdout;
}

export interface Stranger {
  readonly name: string;
  /** For PLAIN. */
  readonly response: string;
  /** What startTarget wants. */
  readonly options: BrokerOptions;
  /** To call once the target is there. */
  create(t: Test): Promise<void>;
}

/** A user that may log in but has no permissions on any vhost. */
export function userWithoutPermissions(): Stranger {
  const name = uniqueName('stranger');
  const password = 'secret';
  return {
    name,
    response: `\0${name}\0${password}`,
    options: {
      users: [
        { name: 'guest', password: 'guest' },
        { name, password, permissions: {} },
      ],
    },
    create: async (t) => {
      if (!againstPeer) return;
      await rabbitmqctl('add_user', name, password);
      t.teardown(() => rabbitmqctl('delete_user', name));
    },
  };
}

/** Options with which raiseMemoryAlarm works. */
export const SMALL_MEMORY: BrokerOptions = { memoryLimitBytes: 65_536 };

/** Raises the memory alarm and gives what clears it. */
export async function raiseMemoryAlarm(t: Test, target: Target): Promise<() => Promise<void>> {
  return againstPeer ? lowerWatermark(t) : fillMemory(t, target);
}

async function lowerWatermark(t: Test): Promise<() => Promise<void>> {
  const restore = async () => {
    await rabbitmqctl('set_vm_memory_high_watermark', '0.4');
  };
  t.teardown(restore);
  await rabbitmqctl('set_vm_memory_high_watermark', '0.000001');
  return restore;
}

async function fillMemory(t: Test, target: Target): Promise<() => Promise<void>> {
  const filler = await (await new WireClient(t, target).open()).openChannel(1);
  const queue = uniqueName();
  const size = 100_000;
  filler.send(confirmSelect(1), queueDeclare(1, queue));
  await filler.expectMethod(1, 85, 11);
  await filler.expectMethod(1, 50, 11);
  const body = contentBody(1, Buffer.alloc(size));
  filler.send(bytes(basicPublish(1, { routingKey: queue }), contentHeader(1, size), body));
  await filler.expectMethod(1, 60, 80);
  return async () => {
    filler.send(queuePurge(1, queue));
    await filler.expectMethod(1, 50, 31);
  };
}

/** Closes this connection as an operator does. Leveret has nothing finer yet than to close the broker. */
export async function closeByOperator(target: Target, client: WireClient, reason: string): Promise<void> {
  if (target.broker) {
    // The client still has to answer, so this is not waited for.
    void target.broker.close();
    return;
  }
  const connections = await rabbitmqctl('list_connections', 'pid', 'peer_port');
  const [pid = ''] =
    connections
      .split('\n')
      .find((line) => line.endsWith(`\t${client.localPort}`))
      ?.split('\t') ?? [];
  await rabbitmqctl('close_connection', pid, reason);
}

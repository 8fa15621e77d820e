// amqplib's own examples and tutorials, as they are in its package, each in a process of its own.
// Left out: ssl.js (no TLS yet) and stream_queues/ (no streams yet).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'amqplib';
import t, { type Test } from 'tap';
import { startTarget, type Target } from '../helper/broker.ts';

const require = createRequire(import.meta.url);
const examples = join(dirname(require.resolve('amqplib')), 'examples');
const preload = new URL('../helper/redirect-amqp.mjs', import.meta.url).href;

/** The names that the examples use: a broker that is not ours keeps them from one test to the next. */
const queues = ['hello', 'task_queue', 'rpc_queue'];
const exchanges = ['logs', 'direct_logs', 'topic_logs', 'matching exchange'];

async function removeLeftovers(target: Target): Promise<void> {
  const connection = await connect(target.url);
  const channel = await connection.createChannel();
  for (const queue of queues) await channel.deleteQueue(queue);
  for (const exchange of exchanges) await channel.deleteExchange(exchange);
  await connection.close();
}

async function start(t: Test): Promise<Target> {
  const target = await startTarget(t);
  await removeLeftovers(target);
  t.teardown(() => removeLeftovers(target));
  return target;
}

class Example {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #exited: Promise<unknown[]>;
  #changed: () => void = () => undefined;

  constructor(t: Test, target: Target, file: string, ...args: string[]) {
    const env = { ...process.env, NODE_OPTIONS: '', TARGET_HOST: target.host, TARGET_PORT: String(target.port) };
    this.#child = spawn(process.execPath, [`--import=${preload}`, join(examples, file), ...args], { env });
    this.#exited = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface(stream).on('line', (line) => {
        this.#lines.push(line);
        this.#changed();
      });
    }
    t.teardown(() => this.#child.kill('SIGKILL'));
  }

  /** Resolves when a line of the output contains this text. */
  async says(expected: string): Promise<void> {
    while (!this.#lines.some((line) => line.includes(expected))) {
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#changed = resolve;
        }),
        this.#exited.then(() => {
          if (!this.#lines.some((line) => line.includes(expected)))
            throw new Error(`it ended without '${expected}':\n${this.#lines.join('\n')}`);
        }),
      ]);
    }
  }

  /** The whole output once the process has ended by itself, with exit code 0. */
  async output(): Promise<string[]> {
    const [code, signal] = await this.#exited;
    if (code !== 0) throw new Error(`exit code ${code}, signal ${signal}:\n${this.#lines.join('\n')}`);
    return this.#lines;
  }

  /** Types an empty line, and waits until it has ended. */
  enter(): Promise<string[]> {
    this.#child.stdin?.end('\n');
    return this.output();
  }

  /** Asks it to end as its text says, with Ctrl+C, and waits until it has. */
  interrupt(): Promise<string[]> {
    this.#child.kill('SIGINT');
    return this.output();
  }
}

for (const [api, folder] of [
  ['promises', 'tutorials'],
  ['callbacks', 'tutorials/callback_api'],
] as const) {
  const run = (t: Test, target: Target, name: string, ...args: string[]) =>
    new Example(t, target, `${folder}/${name}.js`, ...args);

  t.test(`tutorial 1, ${api}: send and receive`, async (t) => {
    const target = await start(t);
    t.same(await run(t, target, 'send').output(), [" [x] Sent 'Hello World!'"]);
    const receiver = run(t, target, 'receive');
    await receiver.says(" [x] Received 'Hello World!'");
    const lines = await receiver.interrupt();
    t.ok(lines.some((line) => line.startsWith(' [*] Waiting for')));
  });

  t.test(`tutorial 2, ${api}: new_task and worker`, async (t) => {
    const target = await start(t);
    const worker = run(t, target, 'worker');
    await worker.says(' [*] Waiting for messages. To exit press CTRL+C');
    t.same(await run(t, target, 'new_task', 'quick', 'task').output(), [" [x] Sent 'quick task'"]);
    await worker.says(" [x] Received 'quick task'");
    await worker.says(' [x] Done');
    await t.resolves(worker.interrupt());
  });

  t.test(`tutorial 3, ${api}: emit_log and receive_logs`, async (t) => {
    const target = await start(t);
    const receivers = [run(t, target, 'receive_logs'), run(t, target, 'receive_logs')];
    await Promise.all(receivers.map((receiver) => receiver.says(' [*] Waiting for logs. To exit press CTRL+C')));
    t.same(await run(t, target, 'emit_log', 'info: to everybody').output(), [" [x] Sent 'info: to everybody'"]);
    await Promise.all(receivers.map((receiver) => receiver.says(" [x] 'info: to everybody'")));
    for (const receiver of receivers) await t.resolves(receiver.interrupt());
  });

  t.test(`tutorial 4, ${api}: emit_log_direct and receive_logs_direct`, async (t) => {
    const target = await start(t);
    const receiver = run(t, target, 'receive_logs_direct', 'warning', 'error');
    await receiver.says(' [*] Waiting for logs. To exit press CTRL+C.');
    await bindingsReady(target, 'direct_logs', ['warning', 'error']);
    for (const severity of ['info', 'warning', 'error'])
      await run(t, target, 'emit_log_direct', severity, `this is ${severity}`).output();
    await receiver.says("error:'this is error'");
    const received = (await receiver.interrupt()).filter((line) => line.startsWith(' [x]') && line.includes('this is'));
    t.same(received, [" [x] warning:'this is warning'", " [x] error:'this is error'"]);
  });

  t.test(`tutorial 5, ${api}: emit_log_topic and receive_logs_topic`, async (t) => {
    const target = await start(t);
    const receiver = run(t, target, 'receive_logs_topic', 'kern.*', '*.critical');
    await receiver.says(' [*] Waiting for logs. To exit press CTRL+C.');
    await bindingsReady(target, 'topic_logs', ['kern.probe', 'probe.critical']);
    for (const key of ['kern.info', 'mail.info', 'mail.critical'])
      await run(t, target, 'emit_log_topic', key, `from ${key}`).output();
    await receiver.says("mail.critical:'from mail.critical'");
    const received = (await receiver.interrupt()).filter((line) => line.startsWith(' [x]') && line.includes('from'));
    t.same(received, [" [x] kern.info:'from kern.info'", " [x] mail.critical:'from mail.critical'"]);
  });

  t.test(`tutorial 6, ${api}: rpc_client and rpc_server`, async (t) => {
    const target = await start(t);
    const server = run(t, target, 'rpc_server');
    await server.says(' [x] Awaiting RPC requests. To exit press CTRL+C.');
    t.same(await run(t, target, 'rpc_client', '30').output(), [' [x] Requesting fib(30)', ' [.] Got 832040']);
    await server.says(' [.] fib(30)');
    await t.resolves(server.interrupt());
  });
}

/** Some of the callback tutorials bind after they say that they wait: publishes until every key has a route. */
async function bindingsReady(target: Target, exchange: string, keys: string[]): Promise<void> {
  const connection = await connect(target.url);
  const channel = await connection.createConfirmChannel();
  for (const key of keys) {
    for (let routed = false; !routed; ) {
      routed = true;
      channel.once('return', () => {
        routed = false;
      });
      channel.publish(exchange, key, Buffer.from('probe'), { mandatory: true });
      await channel.waitForConfirms();
      channel.removeAllListeners('return');
    }
  }
  await connection.close();
}

t.test('example direct_reply_to: client and server', async (t) => {
  const target = await start(t);
  const server = new Example(t, target, 'direct_reply_to_server.js');
  await server.says(' [x] To exit press CTRL+C.');
  t.same(await new Example(t, target, 'direct_reply_to_client.js').output(), [' [.] pong']);
  await server.says(' [X] ping');
  await t.resolves(server.interrupt());
});

// It declares a durable queue with a server-made name and leaves it behind: one empty queue a run on a broker that is not ours.
t.test('example headers: two of three messages match', async (t) => {
  const target = await start(t);
  const example = new Example(t, target, 'headers.js');
  await example.says(' [x] To exit press CTRL+C.');
  await example.says('hello');
  const lines = await example.interrupt();
  t.notOk(lines.includes('lost'));
});

t.test('example waitForConfirms', async (t) => {
  const target = await start(t);
  t.same(await new Example(t, target, 'waitForConfirms.js').output(), ['All messages done']);
});

// These two need the package `co`, which amqplib does not bring along.
const withCo = { skip: isInstalled('co') ? false : 'the package co is not installed' };

t.test('example send_generators', withCo, async (t) => {
  const target = await start(t);
  t.same(await new Example(t, target, 'send_generators.js').output(), [" [x] Sent 'Hello World!'"]);
});

t.test('example receive_generator', withCo, async (t) => {
  const target = await start(t);
  const example = new Example(t, target, 'receive_generator.js');
  await example.says('consuming message "Hello World!" in generator');
  await t.resolves(example.enter());
});

function isInstalled(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

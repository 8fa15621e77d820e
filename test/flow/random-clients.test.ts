// Clients that do anything, in any order, and go in any way: the broker has no defect, and in the end holds nothing of theirs.
import { connect } from 'amqplib';
import t from 'tap';
import { createBroker, type Logger } from '../../lib/index.ts';
import { turnsUntil } from '../helper/embed-client.ts';
import { Dice, RandomClient } from '../helper/random-client.ts';

const CONNECTIONS = 400;
const AT_ONCE = 8;
const QUEUES = ['q1', 'q2', 'q3'];

/** Keeps what is logged as an error: the broker's own defects. */
function defectLogger(defects: unknown[]): Logger {
  const quiet = (): void => {};
  const error = (...line: unknown[]): void => void defects.push(line);
  const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error, fatal: error, child: () => logger };
  return logger;
}

for (const memoryLimitBytes of [1_000_000_000, 2_000_000]) {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  t.test(`with a limit of ${memoryLimitBytes} bytes, SEED=${seed}`, async (t) => {
    const defects: unknown[] = [];
    const broker = await createBroker({ port: 0, memoryLimitBytes, logger: defectLogger(defects) });
    t.teardown(() => broker.close());
    const dice = new Dice(seed);
    const totals = { channelErrors: 0, deliveries: 0 };
    let left = CONNECTIONS;
    const runAll = async (): Promise<void> => {
      while (left-- > 0) {
        const client = new RandomClient(broker.port, new Dice(dice.roll(2 ** 31)));
        await client.run(20 + dice.roll(150));
        totals.channelErrors += client.channelErrors;
        totals.deliveries += client.deliveries;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, runAll));
    await turnsUntil(() => broker.connectionCount === 0);
    t.same(defects, []);
    const bad = ['protocol-error', 'internal-error', 'handshake-failed'] as const;
    t.notOk(
      bad.some((reason) => broker.connectionEnds.has(reason)),
      'and nobody broke the protocol',
    );
    t.ok(totals.channelErrors > CONNECTIONS && totals.deliveries > 0, 'they came to something');

    const connection = await connect(broker.url);
    const channel = await connection.createChannel();
    for (const queue of QUEUES) await channel.deleteQueue(queue);
    await connection.close();
    t.equal(broker.memoryUsedBytes, 0, 'every message is accounted for');
  });
}

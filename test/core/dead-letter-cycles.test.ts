// Dead letters that go round in small topologies, against a model that remembers every death: they end, nothing is dropped but by the
// rule, and the counts are right.
import fc from 'fast-check';
import t from 'tap';
import type { FieldTable, FieldValue } from '../../codec/field-table.ts';
import type { DeadLetterReason } from '../../lib/core/dead-letter.ts';
import { DeadLetterer } from '../../lib/core/dead-letterer.ts';
import type { Message } from '../../lib/core/message.ts';
import type { Queue } from '../../lib/core/queue.ts';
import { bodyText, defect, messageOf, ownerOf, queueSettings, TestClock, table } from './helper.ts';
import { bindingTo, createVirtualHost, exchangeSettings } from './virtual-host-helper.ts';

const QUEUES = 4;
const REASONS = ['rejected', 'expired', 'maxlen', 'delivery_limit'] as const;
/** Without a rejection it comes by each queue once, in whatever order, from the one that it was published to: 1 + 3 + 3 * 2 + 3 * 2 * 1. */
const MOST_AUTOMATIC_DEATHS = 16;

interface Death {
  readonly queue: number;
  readonly reason: DeadLetterReason;
}

/** A message as the model knows it: where it is and how it died, the latest death last. */
interface Soul {
  readonly queue: number;
  readonly deaths: readonly Death[];
}

/** Each queue's dead letters go to these queues. */
type Topology = readonly (readonly number[])[];

/** The rule in the words of RabbitMQ's documentation: dropped when it reaches the same queue twice with no rejection in between. */
function isDropped(deaths: readonly Death[], target: number): boolean {
  const before = deaths.findLastIndex(({ queue }) => queue === target);
  return before >= 0 && deaths.slice(before).every(({ reason }) => reason !== 'rejected');
}

function deadLettersOf({ queue, deaths }: Soul, reason: DeadLetterReason, topology: Topology): Soul[] {
  const more = [...deaths, { queue, reason }];
  const targets = topology[queue].filter((target) => !isDropped(more, target));
  return targets.map((target) => ({ queue: target, deaths: more }));
}

/** What x-death should say: queue, reason and count, the latest first. */
function summaryOf(deaths: readonly Death[]): string[] {
  const counts = new Map<string, number>();
  for (const { queue, reason } of deaths) {
    const key = `${nameOf(queue)} ${reason}`;
    const count = counts.get(key) ?? 0;
    counts.delete(key);
    counts.set(key, count + 1);
  }
  return [...counts].map(([key, count]) => `${key} ${count}`).reverse();
}

function summary(message: Message): string[] {
  const headers = message.headers as FieldTable | null;
  const deaths = headers?.get('x-death');
  if (deaths?.type !== 'A') return [];
  const value = (death: FieldValue, key: string): unknown => death.type === 'F' && death.value.get(key)?.value;
  return deaths.value.map((death) => `${value(death, 'queue')} ${value(death, 'reason')} ${value(death, 'count')}`);
}

const nameOf = (queue: number): string => `q${queue}`;

class World {
  readonly #queues: readonly Queue[];
  readonly #letters: DeadLetterer;

  constructor(topology: Topology) {
    const host = createVirtualHost();
    this.#letters = new DeadLetterer(host, new TestClock(), defect);
    this.#queues = topology.map((_, i) => {
      const name = nameOf(i);
      host.declareExchange(exchangeSettings({ name: `x${i}`, type: 'fanout' }));
      return host.declareQueue(queueSettings({ name, arguments: table({ 'x-dead-letter-exchange': `x${i}` }) }));
    });
    topology.forEach((targets, i) => {
      for (const target of targets) host.bind(bindingTo(`x${i}`, 'queue', nameOf(target)), ownerOf());
    });
    this.#queues[0].publish(messageOf('soul'), null);
  }

  /** How many messages there are in each queue. */
  get counts(): number[] {
    return this.#queues.map((queue) => queue.messageCount);
  }

  /** The first message of the queue, which leaves it for this reason. */
  kill(queue: number, reason: DeadLetterReason): Message {
    let first: Message | undefined;
    this.#queues[queue].get(true, (delivery) => {
      first = delivery?.message;
    });
    if (first === undefined) throw new Error('the queue is empty');
    this.#letters.deadLetter(this.#queues[queue], first, reason, null);
    return first;
  }
}

/** Kills the messages in turn, the oldest first, each for the reason that comes next; gives how many deaths there were. */
function run(topology: Topology, reasonOf: (death: number) => DeadLetterReason | null): number {
  const world = new World(topology);
  const souls: Soul[] = [{ queue: 0, deaths: [] }];
  for (let death = 0; ; death++) {
    const counts = topology.map((_, queue) => souls.filter((soul) => soul.queue === queue).length);
    if (counts.some((count, queue) => count !== world.counts[queue])) {
      throw new Error(`${world.counts} messages instead of ${counts}, after death ${death}`);
    }
    const soul = souls.shift();
    const reason = reasonOf(death);
    if (soul === undefined || reason === null) return death;
    const message = world.kill(soul.queue, reason);
    const [said, known] = [summary(message), summaryOf(soul.deaths)];
    if (bodyText(message) !== 'soul' || said.join() !== known.join()) throw new Error(`${said} instead of ${known}`);
    souls.push(...deadLettersOf(soul, reason, topology));
  }
}

const topologies = fc.array(fc.uniqueArray(fc.nat(QUEUES - 1), { maxLength: QUEUES }), {
  minLength: QUEUES,
  maxLength: QUEUES,
});

t.test('what is dropped, and what is counted', async () => {
  const property = fc.property(
    topologies,
    fc.array(fc.constantFrom(...REASONS), { maxLength: 40, size: 'max' }),
    (topology, reasons) => {
      run(topology, (death) => reasons[death] ?? null);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

t.test('without a rejection every cycle ends', async (t) => {
  const automatic = fc.constantFrom(...REASONS.filter((reason) => reason !== 'rejected'));
  const property = fc.property(topologies, fc.infiniteStream(automatic), (topology, reasons) => {
    const deaths = run(topology, (death) => {
      if (death > MOST_AUTOMATIC_DEATHS) throw new Error('it goes on and on');
      return reasons.next().value ?? null;
    });
    return deaths <= MOST_AUTOMATIC_DEATHS;
  });
  fc.assert(property, { numRuns: 100 });
  const everywhere = [0, 1, 2, 3];
  t.equal(
    run(
      everywhere.map(() => everywhere),
      () => 'expired',
    ),
    MOST_AUTOMATIC_DEATHS,
  );
});

t.test('a rejection a while ago does not keep it going', async (t) => {
  // From q0, where it was rejected, to a pair of queues that dead-letter to each other.
  const deaths = run([[1], [2], [1], []], (death) => (death === 0 ? 'rejected' : 'expired'));
  t.equal(deaths, 3);
});

t.test('with a rejection each time round it goes on for ever', async (t) => {
  const deaths = run([[1], [0], [], []], (death) => (death === 100 ? null : death % 2 === 0 ? 'rejected' : 'expired'));
  t.equal(deaths, 100);
});

// What somebody finds in a data folder who opens it and takes everything out.
import { ClassicQueue } from '../../lib/core/classic-queue.ts';
import type { Delivery, Queue } from '../../lib/core/queue.ts';
import type { SimulatedDisk } from './sim-disk.ts';
import { keyOf, type StoreHistory } from './store-history.ts';
import { type Limits, StoreLife } from './store-life.ts';
import { describeMessage, describeQueue } from './store-model.ts';
import type { Unsettled } from './store-world.ts';

export interface Observation {
  /** As `ModelState.describe` has it. */
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

/** What was taken out. */
export interface Taken {
  readonly lines: string[];
  readonly deliveries: Unsettled[];
}

/** Opens what is on a disk, takes out every message of every queue, compares each with what was published, and kills the process. */
export async function observe(disk: SimulatedDisk, limits: Limits, history: StoreHistory): Promise<Observation> {
  const life = await StoreLife.open(disk, limits);
  try {
    const { lines } = await takeAll(life, history);
    return { lines, warnings: life.warnings };
  } finally {
    await life.kill();
  }
}

/** Takes out everything, by `get`, and does not acknowledge it. */
export async function takeAll(life: StoreLife, history: StoreHistory): Promise<Taken> {
  const lines: string[] = [];
  const deliveries: Unsettled[] = [];
  for (const [virtualHost, queue] of [...life.queues()]) {
    const counted = queue.messageCount;
    const messages: string[] = [];
    for (let found = await take(life, queue); found !== null; found = await take(life, queue)) {
      const { message, position, redelivered } = found;
      const id = history.recognize(message);
      const counts = queue instanceof ClassicQueue ? queue.deliveryCounts : new Map<number, number>();
      messages.push(describeMessage(id, redelivered, counts.get(position) ?? 0));
      deliveries.push({ queue, consumer: null, message, position, id });
    }
    if (messages.length !== counted && !life.isDead) {
      throw new Error(`queue ${queue.name} says that it has ${counted} messages, and has ${messages.length}`);
    }
    lines.push(describeQueue(virtualHost.name, queue.name, keyOf(queue), messages));
  }
  const topology = life.describeTopology().split('\n');
  lines.push(...topology.filter((line) => line !== ''));
  if (life.defects.length > 0) throw life.defects[0];
  return { lines: lines.sort(), deliveries };
}

async function take(life: StoreLife, queue: Queue): Promise<Delivery | null> {
  const answers: (Delivery | null)[] = [];
  queue.get(false, (found) => answers.push(found));
  await life.until(() => answers.length > 0, `an answer to get on ${queue.name}`);
  if (life.hasFailed) throw new Error('the store failed', { cause: life.failures[0] });
  return answers[0] ?? null;
}

// What a queue needs of its virtual host, for the tests of queues alone: dead letters go to a recorder.
import type { FieldValue } from '../../codec/field-table.ts';
import type { DeadLetterReason } from '../../lib/core/dead-letter.ts';
import { DeadLetterer, type Settled } from '../../lib/core/dead-letterer.ts';
import { Deadlines } from '../../lib/core/deadlines.ts';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import type { Message } from '../../lib/core/message.ts';
import type { Clock } from '../../lib/core/ports.ts';
import type { Queue } from '../../lib/core/queue.ts';
import type { QueueContext } from '../../lib/core/queue-context.ts';
import { featuresOf } from '../../lib/core/queue-features.ts';
import { RetentionSlab } from '../../lib/core/retention-slab.ts';
import { TurnScheduler } from '../../lib/core/turn.ts';
import { bodyText, defect, routeOf } from './helper.ts';

/** A message that a queue gave up for its dead letter exchange. */
export interface RecordedLetter {
  readonly queue: Queue;
  readonly message: Message;
  readonly reason: DeadLetterReason;
  /** Null where nobody waits. */
  readonly settled: Settled | null;
}

/** In the place of the exchange that dead letters go to: keeps them, and settles nothing by itself. */
export class DeadLetterRecorder extends DeadLetterer {
  letters: RecordedLetter[] = [];
  /** Hears of each letter while it is handed over. */
  onLetter: ((letter: RecordedLetter) => void) | null = null;

  constructor(clock: Clock) {
    const nobody = { findRoute: () => routeOf('', ''), route: () => [], hasReplyQueue: () => false };
    super({ ...nobody, exchanges: new Map(), deliverReplies: () => undefined }, clock, defect);
  }

  /** Body and reason of each, such as `1 expired`. */
  get texts(): string[] {
    return this.letters.map(({ message, reason }) => `${bodyText(message)} ${reason}`);
  }

  override deadLetter(queue: Queue, message: Message, reason: DeadLetterReason, settled: Settled | null): void {
    const letter = { queue, message, reason, settled };
    this.letters.push(letter);
    this.onLetter?.(letter);
  }
}

export interface TestQueueContext extends QueueContext {
  readonly deadLetters: DeadLetterRecorder;
}

/** A context in which queues have no disk, memory without limit, and the features of their arguments alone. */
export function queueContext(clock: Clock, overrides: Partial<TestQueueContext> = {}): TestQueueContext {
  return {
    virtualHost: '/',
    memory: new MemoryAccount(2 ** 40, 2 ** 40),
    turn: new TurnScheduler(clock),
    slab: new RetentionSlab(),
    clock,
    deadlines: new Deadlines(clock, defect),
    deadLetters: new DeadLetterRecorder(clock),
    features: (settings) => featuresOf(settings.arguments),
    defect,
    queueUnused: () => undefined,
    createStore: () => null,
    ...overrides,
  };
}

/** A field of a queue's arguments. */
export function integer(value: number): FieldValue {
  return { type: 'I', value };
}

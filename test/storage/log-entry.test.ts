// What the log knows of a message: who is told that it is safe, and when.
import t from 'tap';
import { MemoryAccount } from '../../lib/core/memory-account.ts';
import { DiskQueue } from '../../lib/storage/disk-queue.ts';
import { LogEntry } from '../../lib/storage/log-entry.ts';
import { Segment } from '../../lib/storage/segment.ts';
import { StoreContext } from '../../lib/storage/store-context.ts';
import { messageOf } from '../core/helper.ts';
import { StoreClock } from '../helper/store-clock.ts';

const raise = (error: unknown): never => {
  throw error;
};
const context = new StoreContext(new MemoryAccount(2 ** 40, 2 ** 40), new StoreClock(raise), raise);
const queue = new DiskQueue(1, '/', true, context);
const other = new DiskQueue(2, '/', true, context);

/** An entry, and what its publisher was told. */
function begun(): { entry: LogEntry; told: boolean[] } {
  const told: boolean[] = [];
  const entry = new LogEntry(messageOf('m'), queue, 7, { settled: (accepted) => told.push(accepted) });
  return { entry, told };
}

t.test('what left its queue before it was written is safe at once', async (t) => {
  const { entry, told } = begun();
  t.ok(entry.drop(queue, 7));
  t.notOk(entry.isAlive);
  t.strictSame(told, [true]);
  entry.confirm();
  t.strictSame(told, [true], 'told once');
});

t.test('what was handed over to others is safe when they have it', async (t) => {
  const { entry, told } = begun();
  const waiting: (() => void)[] = [];
  entry.drop(queue, 7, { whenDurable: (done) => void waiting.push(done) });
  t.notOk(entry.isAlive);
  entry.confirm();
  t.strictSame(told, []);
  for (const done of waiting) done();
  t.strictSame(told, [true]);
});

t.test('each of several queues is told of', async (t) => {
  const { entry, told } = begun();
  entry.addPlace(other, 9);
  t.ok(entry.drop(queue, 7));
  t.notOk(entry.drop(queue, 7), 'only once');
  t.ok(entry.isAlive);
  t.strictSame(told, [true]);
  const segment = new Segment(1, 'path', null, 0);
  segment.add(entry);
  entry.confirm();
  t.strictSame(told, [true, true]);
  t.ok(entry.drop(other, 9));
  t.equal(segment.live, 0);
  t.strictSame(told, [true, true], 'what is written was told of');
});

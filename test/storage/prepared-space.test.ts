// Space that the log prepares for small records: zeros behind the newest one, which take nobody's room, harm no record in a
// crash, and are gone when a segment ends in good order.
import t, { type Test } from 'tap';
import { encodeFileHeader, FILE_HEADER_BYTES } from '../../lib/storage/file-header.ts';
import { type DiskRoom, LogFiles } from '../../lib/storage/log-files.ts';
import { PREPARING } from '../../lib/storage/prepared-space.ts';
import { Segment } from '../../lib/storage/segment.ts';
import { readSegment } from '../../lib/storage/segment-reader.ts';
import type { SimulatedDisk } from '../helper/sim-disk.ts';
import { seededRandom } from '../helper/sim-disk.ts';
import { recordOf } from './format-helper.ts';
import { diskWithFolder, FOLDER } from './sim-disk-helper.ts';

const FIRST = `${FOLDER}/0000000001.log`;
const SECOND = `${FOLDER}/0000000002.log`;
const PAYLOAD = Buffer.alloc(80, 'p');
/** A small record with its header. */
const SMALL = 100;
const SMALL_PREPARING = { aheadBytes: 1000, smallBytes: 200, smallRecords: 3 };

/** A log of small segments, and how often its writes found no room. */
class Log {
  readonly disk: SimulatedDisk;
  readonly files: LogFiles;
  sequence = 0;
  fullCount = 0;

  constructor(disk: SimulatedDisk, isLazy = false, segmentBytes = 5000, segments: Segment[] = []) {
    this.disk = disk;
    const room: DiskRoom = {
      full: async () => {
        this.fullCount++;
        disk.capacityBytes += 50;
      },
      recovered: () => undefined,
    };
    this.files = new LogFiles(disk, FOLDER, segmentBytes, isLazy, room, segments, SMALL_PREPARING);
  }

  async append(count: number, payload = PAYLOAD): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.files.segmentFor();
      const record = recordOf(++this.sequence, payload);
      await this.files.append([record], record.length);
    }
  }
}

function sizeOf(disk: SimulatedDisk, path = FIRST): number | undefined {
  return disk.peek(path)?.length;
}

/** How many records a segment has, and what is wrong behind them. */
async function found(disk: SimulatedDisk, path = FIRST): Promise<{ count: number; problem: string | null }> {
  const { records, problem, laterSequence } = await readSegment(disk, path);
  return { count: records.length, problem: laterSequence === null ? (problem?.reason ?? null) : 'damage' };
}

t.test('small records in a row take zeros along, those that follow fill them, and the end is cut', async (t) => {
  const log = new Log(await diskWithFolder());
  const { disk, files } = log;
  await log.append(2);
  t.equal(sizeOf(disk), FILE_HEADER_BYTES + 2 * SMALL);
  await log.append(1);
  const prepared = FILE_HEADER_BYTES + 3 * SMALL + 1000;
  t.equal(sizeOf(disk), prepared);
  t.equal(files.bytes, FILE_HEADER_BYTES + 3 * SMALL, 'zeros do not count');
  t.same(await found(disk), { count: 3, problem: null });
  await log.append(10);
  t.equal(sizeOf(disk), prepared);
  await log.append(1);
  t.equal(sizeOf(disk), prepared + SMALL + 1000);
  await files.end();
  await files.close();
  t.equal(sizeOf(disk.crash({ mode: 'drop' })), files.bytes);
  t.same(await found(disk.crash({ mode: 'drop' })), { count: 14, problem: null });
});

t.test('where records are large, nothing is prepared', async (t) => {
  const log = new Log(await diskWithFolder(), false, 100_000);
  for (let i = 0; i < 5; i++) {
    await log.append(2);
    await log.append(1, Buffer.alloc(500));
  }
  t.equal(sizeOf(log.disk), log.files.bytes);
  await log.append(3);
  t.equal(sizeOf(log.disk), log.files.bytes + 1000);
  await log.append(3, Buffer.alloc(500));
  t.equal(sizeOf(log.disk), log.files.bytes, 'what is prepared is filled all the same');
  t.ok(PREPARING.aheadBytes >= 32 * PREPARING.smallBytes);
});

t.test('nor where syncs come later', async (t) => {
  const log = new Log(await diskWithFolder(), true);
  await log.append(20);
  t.equal(sizeOf(log.disk), log.files.bytes);
});

t.test('a segment does not become longer by it, and is cut when the next one begins', async (t) => {
  const log = new Log(await diskWithFolder(), false, 700);
  await log.append(4);
  t.equal(sizeOf(log.disk), 700);
  await log.append(3);
  t.equal(sizeOf(log.disk), FILE_HEADER_BYTES + 7 * SMALL);
  const other = new Log(await diskWithFolder(), false, 4000);
  await other.append(36);
  other.files.segments[0].size = 4000;
  await other.append(1);
  t.same([sizeOf(other.disk), sizeOf(other.disk, SECOND)], [4000, FILE_HEADER_BYTES + SMALL + 1000]);
});

t.test('a crash at any moment, torn anywhere: all that was written before is there, and no damage', async (t) => {
  let [moments, prepared, torn] = [0, 0, 0];
  for (let call = 1; ; call++) {
    let crashed: SimulatedDisk | null = null;
    let durable = 0;
    const disk = await diskWithFolder({
      onCall: ({ number }) => {
        if (number < call || crashed !== null) return;
        crashed = disk.crash({ mode: 'keep' });
        durable = log.sequence - 1;
      },
    });
    const log = new Log(disk, false, 2500);
    const working = log.append(40).then(() => log.files.end());
    await working.catch((error: Error & { code?: string }) => {
      if (error.code !== 'ECRASHED') throw error;
    });
    if (crashed === null) break;
    moments++;
    const outcomes = [0, 1, 2, 3].map((seed) => disk.crash({ mode: 'random', random: seededRandom(seed) }));
    outcomes.push(crashed, disk.crash({ mode: 'drop' }));
    if (disk.isLastWriteUnsynced) {
      for (let at = 0; at <= disk.lastWriteLength; at += 7) outcomes.push(disk.crash({ tearLastWriteAt: at }));
    }
    for (const after of outcomes) {
      const count = await recordsOf(t, after);
      if (count < durable || count > log.sequence) t.fail(`call ${call}: ${count} records, not ${durable}`);
      if (count < log.sequence) torn++;
      if (/\0{300}$/.test(after.peek(FIRST)?.toString('latin1') ?? '')) prepared++;
    }
  }
  t.comment({ moments, prepared, torn });
  t.ok(moments > 80 && prepared > 200 && torn > 200);
});

/** How many records there are in all segments, of which only the newest may end in anything but records and zeros. */
async function recordsOf(t: Test, disk: SimulatedDisk): Promise<number> {
  const names = (await disk.list(FOLDER)).sort();
  let all = 0;
  for (const name of names) {
    const path = `${FOLDER}/${name}`;
    if ((sizeOf(disk, path) ?? 0) <= FILE_HEADER_BYTES) continue;
    const { count, problem } = await found(disk, path);
    if (problem === 'damage' || (problem !== null && name !== names.at(-1))) t.fail(`${name}: ${problem}`);
    all += count;
  }
  return all;
}

t.test('no room for zeros: the record is written without them, and nobody is told', async (t) => {
  for (const partial of [true, false]) {
    const log = new Log(await diskWithFolder(), false, 2000);
    const { disk, files } = log;
    await log.append(2);
    if (partial) disk.capacityBytes = files.bytes + SMALL + 300;
    else disk.failAt(disk.callsOf(['dataSync']) + 1, 'ENOSPC', { kinds: ['dataSync'] });
    await log.append(1);
    disk.capacityBytes = 100_000;
    t.equal(sizeOf(disk), FILE_HEADER_BYTES + 3 * SMALL, 'what was written of the zeros is room for others');
    await log.append(16);
    t.equal(sizeOf(disk), files.bytes);
    await log.append(2);
    t.equal(sizeOf(disk, SECOND), FILE_HEADER_BYTES + SMALL + 1000, 'the next segment tries again');
    t.equal(log.fullCount, 0);
    const after = disk.crash({ mode: 'drop' });
    t.same(await found(after), { count: 20, problem: null });
    t.same(await found(after, SECOND), { count: 1, problem: null });
  }
});

t.test('a disk that has no room to cut leaves the zeros', async (t) => {
  const log = new Log(await diskWithFolder());
  const { disk, files } = log;
  await log.append(3);
  disk.failAt(disk.callsOf(['truncate']) + 1, 'ENOSPC', { kinds: ['truncate'], count: 2 });
  await files.end();
  t.equal(sizeOf(disk), files.bytes + 1000);
  disk.failAt(disk.callsOf(['write']) + 1, 'ENOSPC', { kinds: ['write'], partial: true });
  await log.append(11);
  t.equal(log.fullCount, 1, 'that was a record without zeros');
  t.same(await found(disk.crash({ mode: 'drop' })), { count: 14, problem: null });
});

t.test('what is prepared is room that a full disk has left', async (t) => {
  const log = new Log(await diskWithFolder());
  await log.append(3);
  log.disk.capacityBytes = 0;
  await log.append(10);
  t.equal(log.fullCount, 0);
  await log.append(1);
  t.ok(log.fullCount > 1);
  t.same(await found(log.disk.crash({ mode: 'drop' })), { count: 14, problem: null });
});

t.test('an error of a durable write is the end, with zeros and without, in its write and in its sync', async (t) => {
  for (const before of [1, 2, 5]) {
    for (const kind of ['write', 'dataSync'] as const) {
      const log = new Log(await diskWithFolder());
      const { disk, files } = log;
      await log.append(before);
      disk.failAt(disk.callsOf([kind]) + 1, 'EIO', { kinds: [kind], partial: true });
      await t.rejects(log.append(1), { code: 'EIO' });
      t.equal(log.fullCount, 0);
      await files.close();
      for (const mode of ['drop', 'random'] as const) {
        const { count, problem } = await found(disk.crash({ mode }));
        t.ok(count >= before && problem !== 'damage');
      }
    }
  }
});

t.test('a log goes on in the zeros that a crash has left', async (t) => {
  const disk = await diskWithFolder();
  const content = Buffer.concat([encodeFileHeader('log', 1), recordOf(1, PAYLOAD), Buffer.alloc(1000)]);
  const file = await disk.open(FIRST, 'create');
  await file.write([content], 0);
  await file.close();
  const segment = new Segment(1, FIRST, await disk.open(FIRST, 'update', true), content.length - 1000);
  segment.fileBytes = content.length;
  const log = new Log(disk, false, 5000, [segment]);
  log.sequence = 1;
  await log.append(10);
  t.equal(sizeOf(disk), content.length);
  await log.append(1);
  t.equal(sizeOf(disk), log.files.bytes + 1000);
  t.same(await found(disk), { count: 12, problem: null });
});

// Entries of the log: byte by byte, and back into what they were made from.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { emptyFieldTable, type FieldTable } from '../../codec/field-table.ts';
import type { Message } from '../../lib/core/message.ts';
import type { StoredParameter } from '../../lib/core/message-store.ts';
import type { ByteWriter } from '../../lib/storage/byte-writer.ts';
import { decodeEntries, writeAcknowledged, writeDelivered, writeReturned } from '../../lib/storage/entries.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import {
  type BindingEntry,
  type ExchangeEntry,
  type QueueEntry,
  type UserEntry,
  writeBinding,
  writeBindingDeleted,
  writeExchange,
  writeExchangeDeleted,
  writeParameter,
  writeParameterDeleted,
  writeQueue,
  writeQueueDeleted,
  writeUser,
  writeUserDeleted,
  writeVirtualHost,
  writeVirtualHostDeleted,
} from '../../lib/storage/topology-entries.ts';
import { anyString, fieldTable } from '../codec/arbitraries.ts';
import { hex } from '../codec/helper.ts';
import { decoded, plain, Recorder, writeMessages, writeShared, written } from './entries-helper.ts';
import { anyMessage, formatError, intervals, messageFrom, safeInteger } from './format-helper.ts';

const properties = hex('100002');

function exampleMessages(): Message[] {
  const expiring = messageFrom('x', 'key', hex('0000'), Buffer.alloc(0));
  expiring.expiresAtMs = 1_800_000_000_000;
  return [messageFrom('x', 'key', properties, Buffer.from('hello')), expiring];
}

const noArguments = emptyFieldTable;
const exchange: ExchangeEntry = {
  vhost: '/',
  name: 'logs',
  type: 'topic',
  autoDelete: true,
  internal: true,
  arguments: new Map([['a', { type: 't', value: true }]]),
};
const queue: QueueEntry = { queueId: 300, vhost: '/', name: 'jobs', autoDelete: true, arguments: noArguments };
const binding: BindingEntry = {
  vhost: '/',
  source: 'logs',
  destinationKind: 'exchange',
  destination: 'all',
  bindingKey: 'a.#',
  arguments: noArguments,
};
const queueBinding: BindingEntry = { ...binding, destinationKind: 'queue', destination: 'jobs', bindingKey: '' };
const user: UserEntry = { name: 'guest', json: Buffer.from('{}') };
const parameter: StoredParameter = { virtualHost: '/', component: 'policy', name: 'p', json: Buffer.from('{}') };
const acknowledged = PositionSet.of([
  [0, 0],
  [3, 9],
  [1000, 1000],
]);

t.test('entries byte by byte', async (t) => {
  const shared = messageFrom('', 'q', properties, Buffer.from('hi'));
  const cases: [write: (writer: ByteWriter) => void, bytes: string, calls: unknown[][]][] = [
    [
      (writer) => writeMessages(writer, 300, 70_000, exampleMessages()),
      '01 ac02 f0a204 06 0178 036b6579 02 00 03 05 100002 68656c6c6f 01 02 00 80a0f1c2b134 0000',
      exampleMessages().map((message, i) => ['message', 300, 70_000 + i, plain(message), false]),
    ],
    [
      (writer) =>
        writeShared(
          writer,
          [
            [1, 9],
            [2, 200],
          ],
          shared,
        ),
      '02 03 00 0171 02 01 09 02 c801 00 03 02 100002 6869',
      [
        ['message', 1, 9, plain(shared), false],
        ['message', 2, 200, plain(shared), true],
      ],
    ],
    [
      (writer) => writeAcknowledged(writer, 5, acknowledged),
      '03 05 03 00 00 02 06 de07 00',
      [
        ['acknowledged', 5, 0, 0],
        ['acknowledged', 5, 3, 9],
        ['acknowledged', 5, 1000, 1000],
      ],
    ],
    [(writer) => writeDelivered(writer, 5, 128), '04 05 8001', [['delivered', 5, 128]]],
    [(writer) => writeReturned(writer, 5, 128, 3), '05 05 8001 03', [['returned', 5, 128, 3]]],
    [(writer) => writeVirtualHost(writer, '/'), '10 01 2f', [['virtualHost', '/']]],
    [(writer) => writeVirtualHostDeleted(writer, 'é'), '11 02 c3a9', [['virtualHostDeleted', 'é']]],
    [(writer) => writeUser(writer, user), '12 05 6775657374 02 7b7d', [['user', user]]],
    [(writer) => writeUserDeleted(writer, 'guest'), '13 05 6775657374', [['userDeleted', 'guest']]],
    [
      (writer) => writeExchange(writer, exchange),
      '14 01 2f 04 6c6f6773 05 746f706963 03 08 00000004 01 61 74 01',
      [['exchange', exchange]],
    ],
    [(writer) => writeExchangeDeleted(writer, '/', 'logs'), '15 01 2f 04 6c6f6773', [['exchangeDeleted', '/', 'logs']]],
    [(writer) => writeQueue(writer, queue), '16 ac02 01 2f 04 6a6f6273 01 04 00000000', [['queue', queue]]],
    [(writer) => writeQueueDeleted(writer, 300), '17 ac02', [['queueDeleted', 300]]],
    [
      (writer) => writeBinding(writer, binding),
      '18 01 2f 04 6c6f6773 01 03 616c6c 03 612e23 04 00000000',
      [['binding', binding]],
    ],
    [
      (writer) => writeBindingDeleted(writer, queueBinding),
      '19 01 2f 04 6c6f6773 00 04 6a6f6273 00 04 00000000',
      [['bindingDeleted', queueBinding]],
    ],
    [
      (writer) => writeParameter(writer, parameter),
      '1a 01 2f 06 706f6c696379 01 70 02 7b7d',
      [['parameter', parameter]],
    ],
    [
      (writer) => writeParameterDeleted(writer, '', 'policy', 'p'),
      '1b 00 06 706f6c696379 01 70',
      [['parameterDeleted', '', 'policy', 'p']],
    ],
  ];
  for (const [write, bytes, calls] of cases) {
    t.strictSame(written(write), hex(bytes), bytes);
    t.strictSame(decoded(hex(bytes)), calls, bytes);
  }
  const all = Buffer.concat(cases.map(([, bytes]) => hex(bytes)));
  t.strictSame(
    decoded(all),
    cases.flatMap(([, , calls]) => calls),
    'all in one record',
  );
});

/** What is written, and the calls that it has to lead to. */
type Written = readonly [write: (writer: ByteWriter) => void, calls: unknown[][]];

const id = safeInteger;
const name = anyString;
const tables: fc.Arbitrary<FieldTable> = fieldTable;
const position = fc.nat({ max: 2 ** 40 });
const anyExchange: fc.Arbitrary<ExchangeEntry> = fc.record(
  { vhost: name, name, type: name, autoDelete: fc.boolean(), internal: fc.boolean(), arguments: tables },
  { noNullPrototype: true },
);
const anyQueue: fc.Arbitrary<QueueEntry> = fc.record(
  { queueId: id, vhost: name, name, autoDelete: fc.boolean(), arguments: tables },
  { noNullPrototype: true },
);
const anyBinding: fc.Arbitrary<BindingEntry> = fc.record(
  {
    vhost: name,
    source: name,
    destinationKind: fc.constantFrom('queue' as const, 'exchange' as const),
    destination: name,
    bindingKey: name,
    arguments: tables,
  },
  { noNullPrototype: true },
);

const anyEntry: fc.Arbitrary<Written> = fc.oneof(
  fc
    .tuple(id, position, fc.array(anyMessage, { minLength: 1, maxLength: 5 }))
    .map(([queueId, first, messages]): Written => {
      const { route } = messages[0];
      const alike = messages.map((message) => Object.assign(Object.create(message), { route }) as Message);
      return [
        (writer) => writeMessages(writer, queueId, first, alike),
        alike.map((message, i) => ['message', queueId, first + i, plain(message), false]),
      ];
    }),
  fc
    .tuple(fc.array(fc.tuple(id, position), { minLength: 1, maxLength: 4 }), anyMessage)
    .map(
      ([places, message]): Written => [
        (writer) => writeShared(writer, places, message),
        places.map(([queueId, at], i) => ['message', queueId, at, plain(message), i > 0]),
      ],
    ),
  fc
    .tuple(id, intervals)
    .map(
      ([queueId, list]): Written => [
        (writer) => writeAcknowledged(writer, queueId, PositionSet.of(list)),
        list.map(([first, last]) => ['acknowledged', queueId, first, last]),
      ],
    ),
  fc
    .tuple(id, id)
    .map(([queueId, at]): Written => [(writer) => writeDelivered(writer, queueId, at), [['delivered', queueId, at]]]),
  fc
    .tuple(id, id, id)
    .map(
      ([queueId, at, count]): Written => [
        (writer) => writeReturned(writer, queueId, at, count),
        [['returned', queueId, at, count]],
      ],
    ),
  name.map((vhost): Written => [(writer) => writeVirtualHost(writer, vhost), [['virtualHost', vhost]]]),
  name.map((vhost): Written => [(writer) => writeVirtualHostDeleted(writer, vhost), [['virtualHostDeleted', vhost]]]),
  fc.tuple(name, fc.json()).map(([who, json]): Written => {
    const entry = { name: who, json: Buffer.from(json) };
    return [(writer) => writeUser(writer, entry), [['user', entry]]];
  }),
  name.map((who): Written => [(writer) => writeUserDeleted(writer, who), [['userDeleted', who]]]),
  anyExchange.map((entry): Written => [(writer) => writeExchange(writer, entry), [['exchange', entry]]]),
  fc
    .tuple(name, name)
    .map(
      ([vhost, which]): Written => [
        (writer) => writeExchangeDeleted(writer, vhost, which),
        [['exchangeDeleted', vhost, which]],
      ],
    ),
  anyQueue.map((entry): Written => [(writer) => writeQueue(writer, entry), [['queue', entry]]]),
  id.map((queueId): Written => [(writer) => writeQueueDeleted(writer, queueId), [['queueDeleted', queueId]]]),
  anyBinding.map((entry): Written => [(writer) => writeBinding(writer, entry), [['binding', entry]]]),
  anyBinding.map((entry): Written => [(writer) => writeBindingDeleted(writer, entry), [['bindingDeleted', entry]]]),
  fc.tuple(name, name, name, fc.json()).map(([virtualHost, component, which, json]): Written => {
    const entry = { virtualHost, component, name: which, json: Buffer.from(json) };
    return [(writer) => writeParameter(writer, entry), [['parameter', entry]]];
  }),
  fc
    .tuple(name, name, name)
    .map(
      ([vhost, component, which]): Written => [
        (writer) => writeParameterDeleted(writer, vhost, component, which),
        [['parameterDeleted', vhost, component, which]],
      ],
    ),
);

t.test('whatever is written is read again', async () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 8 }), (entries) => {
      const bytes = written((writer) => {
        for (const [write] of entries) write(writer);
      });
      assert.deepStrictEqual(
        decoded(bytes),
        entries.flatMap(([, calls]) => calls),
      );
    }),
    { numRuns: 500 },
  );
});

t.test('an entry that is cut anywhere is a FormatError, even when other bytes follow', async () => {
  fc.assert(
    fc.property(anyEntry, ([write]) => {
      const bytes = written(write);
      const padded = Buffer.concat([bytes, Buffer.alloc(20)]);
      for (let end = 1; end < bytes.length; end++) {
        const recorder = new Recorder(padded);
        formatError(() => decodeEntries(padded, 0, end, recorder));
      }
    }),
    { numRuns: 300 },
  );
});

t.test('damaged entries are FormatErrors or other entries, nothing else', async () => {
  fc.assert(
    fc.property(anyEntry, fc.nat(), fc.integer({ min: 1, max: 255 }), ([write], where, change) => {
      const bytes = written(write);
      bytes[where % bytes.length] ^= change;
      try {
        decoded(bytes);
      } catch (error) {
        assert.equal(error instanceof Error ? error.name : error, 'FormatError');
      }
    }),
    { numRuns: 2000 },
  );
});

t.test('what is none of the log is refused', async (t) => {
  for (const kind of [0, 6, 15, 28, 32, 33, 34, 63, 255]) {
    t.match(
      formatError(() => decoded(Buffer.from([4, 1, 1, kind, 0]))),
      {
        reason: `entry ${kind} is none of the log's`,
        offset: 3,
      },
    );
  }
  const message = '01 01 01 03 00 0171 01';
  t.match(formatError(() => decoded(hex(`${message} 02 00 00`))).message, /unknown flags 2/);
  t.match(formatError(() => decoded(hex('02 03 00 0171 01 01 01 02 00 00'))).message, /unknown flags 2/);
  t.match(formatError(() => decoded(hex(`${message} 00 01 01 61`))).message, /cut short/);
  t.match(formatError(() => decoded(hex('14 00 00 00 04 04 00000000'))).message, /unknown flags 4/);
  t.match(formatError(() => decoded(hex('18 00 00 02'))).message, /unknown flags 2/);
});

t.test('messages can be passed over, all of them or run by run', async (t) => {
  const bytes = written((writer) => {
    writeMessages(writer, 1, 10, exampleMessages());
    writeShared(
      writer,
      [
        [1, 12],
        [2, 0],
      ],
      exampleMessages()[0],
    );
    writeMessages(writer, 2, 1, exampleMessages());
    writeDelivered(writer, 1, 5);
  });
  const none = new Recorder(bytes);
  none.wantsMessages = false;
  decodeEntries(bytes, 0, bytes.length, none);
  t.strictSame(none.calls, [['delivered', 1, 5]]);

  const runs: number[][] = [];
  const some = Object.assign(new Recorder(bytes), {
    wantsRun: (queueId: number, first: number, count: number) => {
      runs.push([queueId, first, count]);
      return queueId === 2;
    },
  });
  decodeEntries(bytes, 0, bytes.length, some);
  t.strictSame(runs, [
    [1, 10, 2],
    [2, 1, 2],
  ]);
  t.strictSame(
    some.calls.map(([kind, queueId, position]) => [kind, queueId, position]),
    [
      ['message', 1, 12],
      ['message', 2, 0],
      ['message', 2, 1],
      ['message', 2, 2],
      ['delivered', 1, 5],
    ],
  );
});

t.test('a hundred thousand messages are decoded', async (t) => {
  const message = messageFrom('', 'q', properties, Buffer.alloc(20, 'x'));
  const run = Array.from({ length: 1000 }, () => message);
  const bytes = written((writer) => {
    for (let i = 0; i < 100; i++) writeMessages(writer, 1, i * 1000, run);
  });
  let count = 0;
  const visitor = Object.assign(new Recorder(bytes), { message: () => count++ });
  decodeEntries(bytes, 0, bytes.length, visitor);
  t.equal(count, 100_000);
});

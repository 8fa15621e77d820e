// Dump: every entry of checkpoint, log and pages as a line of JSON, and what is left of them in a damaged folder.
import t from 'tap';
import { emptyFieldTable, type FieldTable } from '../../codec/field-table.ts';
import { encodeProperties } from '../../codec/properties.ts';
import type { Message } from '../../lib/core/message.ts';
import { LEVEL_SPAN } from '../../lib/core/positions.ts';
import { writeAcknowledged, writeDelivered, writeReturned } from '../../lib/storage/entries.ts';
import { PositionSet } from '../../lib/storage/position-set.ts';
import {
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
import { writeShared, written } from './entries-helper.ts';
import { messageFrom } from './format-helper.ts';
import { CHECKPOINT, dump, FOLDER, flipped, folder, message, PAGE, pageOf, segment } from './inspect-helper.ts';

t.test('a dump of the checkpoint', async (t) => {
  const { code, lines, errors } = await dump(folder());
  t.equal(code, 0);
  t.strictSame(errors, []);
  const shown = lines.filter(({ file }) => file === 'checkpoint').map(({ file, ...rest }) => rest);
  const [range, other] = CHECKPOINT.pages[0].ranges;
  t.strictSame(shown, [
    { entry: 'checkpoint', firstSegment: 2, sequence: 11, nextQueueId: 3, nextPage: 6 },
    { entry: 'virtualHost', name: '/' },
    { entry: 'user', name: 'guest', user: { passwordHash: '(not shown)', tags: ['administrator'] } },
    { entry: 'parameter', vhost: '/', component: 'policy', name: 'p', value: { pattern: '.*' } },
    { entry: 'exchange', vhost: '/', name: 'logs', type: 'topic', autoDelete: false, internal: false, arguments: {} },
    { entry: 'queue', queue: 1, vhost: '/', name: 'one', autoDelete: false, arguments: {} },
    { entry: 'queueState', queue: 1, nextPosition: 20, deliveredTo: 3, deliveryCounts: [] },
    { entry: 'queue', queue: 2, vhost: '/', name: 'two', autoDelete: false, arguments: {} },
    { entry: 'queueState', queue: 2, nextPosition: 8, deliveredTo: 0, deliveryCounts: [[7, 2]] },
    { entry: 'queueState', queue: 2, nextPosition: LEVEL_SPAN + 2, deliveredTo: LEVEL_SPAN + 1, deliveryCounts: [] },
    {
      entry: 'binding',
      vhost: '/',
      source: 'logs',
      destinationKind: 'queue',
      destination: 'one',
      bindingKey: '#',
      arguments: {},
    },
    { entry: 'page', page: 5, bytes: PAGE.bytes.length, ranges: 2 },
    {
      entry: 'range',
      page: 5,
      queue: 1,
      level: 0,
      first: 0,
      last: 4,
      count: 3,
      firstDeadlineMs: 0,
      offset: range.offset,
      bytes: range.bytes,
      dead: [[1, 3]],
    },
    {
      entry: 'range',
      page: 5,
      queue: 2,
      level: 0,
      first: 7,
      last: 7,
      count: 1,
      firstDeadlineMs: 0,
      offset: other.offset,
      bytes: other.bytes,
      dead: [],
    },
  ]);
});

const ARGUMENTS: FieldTable = new Map([
  ['big', { type: 'l', value: 2n ** 60n }],
  ['list', { type: 'A', value: [{ type: 'x', value: Buffer.from('bytes') }] }],
  ['inner', { type: 'F', value: new Map([['__proto__', { type: 't', value: true }]]) }],
]);

t.test('a dump of the log', async (t) => {
  const properties = encodeProperties({ contentType: 'text/plain', timestamp: 5, headers: ARGUMENTS });
  const expiring = messageFrom('x', 'k\u00e9y', properties, Buffer.alloc(300, 'x'));
  expiring.expiresAtMs = 1_800_000_000_000;
  const broken = messageFrom('x', 'key', Buffer.from([0xff]), Buffer.alloc(0));
  const places = [
    [1, 5],
    [2, 6],
  ] as const;
  const shared = (each: Message) => written((writer) => writeShared(writer, places, each));
  const topology = written((writer) => {
    writeDelivered(writer, 1, 9);
    writeReturned(writer, 1, 3, 2);
    writeAcknowledged(
      writer,
      1,
      PositionSet.of([
        [1, 2],
        [5, 5],
      ]),
    );
    writeVirtualHost(writer, 'v');
    writeVirtualHostDeleted(writer, 'v');
    writeUser(writer, { name: 'u', json: Buffer.from('no JSON') });
    writeUserDeleted(writer, 'u');
    const exchange = { vhost: '/', name: 'e', type: 'fanout', autoDelete: true, internal: true };
    writeExchange(writer, { ...exchange, arguments: ARGUMENTS });
    writeExchangeDeleted(writer, '/', 'e');
    writeQueue(writer, { queueId: 3, vhost: '/', name: 'q', autoDelete: true, arguments: emptyFieldTable });
    writeQueueDeleted(writer, 3);
    const binding = {
      vhost: '/',
      source: 's',
      destinationKind: 'exchange',
      destination: 'd',
      bindingKey: 'k',
    } as const;
    writeBinding(writer, { ...binding, arguments: emptyFieldTable });
    writeBindingDeleted(writer, { ...binding, arguments: emptyFieldTable });
    const parameter = { virtualHost: '', component: 'limits', name: 'n' };
    writeParameter(writer, { ...parameter, json: Buffer.from('[1]') });
    writeParameter(writer, { ...parameter, json: Buffer.from('no JSON') });
    writeParameterDeleted(writer, '', 'limits', 'n');
  });
  const files = folder({ 'log/0000000002.log': segment(2, 10, [shared(expiring), shared(broken), topology]) });
  files.delete(`${FOLDER}/log/0000000003.log`);
  const { code, lines } = await dump(files);
  t.equal(code, 0);
  const shown = lines.filter(({ file }) => file !== 'checkpoint');
  t.ok(shown.every(({ file }) => file === 'log/0000000002.log'));
  const tableJson = {
    big: { type: 'l', value: '1152921504606846976' },
    list: { type: 'A', value: [{ type: 'x', value: 'Ynl0ZXM=' }] },
    inner: { type: 'F', value: JSON.parse('{"__proto__":{"type":"t","value":true}}') },
  };
  const first = {
    record: 10,
    entry: 'message',
    queue: 1,
    position: 5,
    exchange: 'x',
    routingKey: 'k\u00e9y',
    properties: { contentType: 'text/plain', timestamp: 5, headers: tableJson },
    expiresAtMs: 1_800_000_000_000,
    bodyBytes: 300,
    body: Buffer.alloc(256, 'x').toString('base64'),
    bodyIsCut: true,
  };
  const second = {
    record: 11,
    entry: 'message',
    queue: 1,
    position: 5,
    exchange: 'x',
    routingKey: 'key',
    properties: '/w==',
    bodyBytes: 0,
    body: '',
  };
  const binding = {
    vhost: '/',
    source: 's',
    destinationKind: 'exchange',
    destination: 'd',
    bindingKey: 'k',
    arguments: {},
  };
  const parameter = { vhost: '', component: 'limits', name: 'n' };
  t.strictSame(
    shown.map(({ file, ...rest }) => rest),
    [
      first,
      { ...first, queue: 2, position: 6, shared: true },
      second,
      { ...second, queue: 2, position: 6, shared: true },
      ...[
        { entry: 'delivered', queue: 1, position: 9 },
        { entry: 'returned', queue: 1, position: 3, deliveryCount: 2 },
        { entry: 'acknowledged', queue: 1, first: 1, last: 2 },
        { entry: 'acknowledged', queue: 1, first: 5, last: 5 },
        { entry: 'virtualHost', name: 'v' },
        { entry: 'virtualHostDeleted', name: 'v' },
        { entry: 'user', name: 'u', problem: 'the JSON of this user is broken' },
        { entry: 'userDeleted', name: 'u' },
        {
          entry: 'exchange',
          vhost: '/',
          name: 'e',
          type: 'fanout',
          autoDelete: true,
          internal: true,
          arguments: tableJson,
        },
        { entry: 'exchangeDeleted', vhost: '/', name: 'e' },
        { entry: 'queue', queue: 3, vhost: '/', name: 'q', autoDelete: true, arguments: {} },
        { entry: 'queueDeleted', queue: 3 },
        { entry: 'binding', ...binding },
        { entry: 'bindingDeleted', ...binding },
        { entry: 'parameter', ...parameter, value: [1] },
        { entry: 'parameter', ...parameter, problem: 'the JSON of this parameter is broken' },
        { entry: 'parameterDeleted', ...parameter },
      ].map((entry) => ({ record: 12, ...entry })),
    ],
  );
  const full = await dump(files, '--full');
  t.match(
    full.lines.find(({ record }) => record === 10),
    { body: Buffer.alloc(300, 'x').toString('base64') },
  );
  t.notOk(full.out.some((line) => line.includes('bodyIsCut')));
});

t.test('prepared space has nothing to show', async (t) => {
  const name = `${FOLDER}/log/0000000003.log`;
  const all = folder();
  const { lines } = await dump(folder());
  all.set(name, Buffer.concat([all.get(name) ?? Buffer.alloc(0), Buffer.alloc(5000)]));
  t.match(await dump(all), { code: 0, errors: [], lines });
});

t.test('a dump of pages', async (t) => {
  const files = folder({
    'pages/0000000009.transient': pageOf(9, [{ queueId: 3, blocks: [[[1, message('t', false)]]] }]).bytes,
  });
  t.notOk(
    (await dump(files)).lines.some(({ file }) => `${file}`.startsWith('pages/')),
    'only when asked for',
  );
  const { code, lines } = await dump(files, '--pages');
  t.equal(code, 0);
  t.strictSame(
    lines
      .filter(({ file }) => `${file}`.startsWith('pages/'))
      .map(({ file, queue, position, body, transient }) => [file, queue, position, `${body}`, transient]),
    [
      ['pages/0000000005.page', 1, 0, 'emVybw==', undefined],
      ['pages/0000000005.page', 1, 1, 'b25l', true],
      ['pages/0000000005.page', 1, 4, 'Zm91cg==', undefined],
      ['pages/0000000005.page', 2, 7, 'c2V2ZW4=', undefined],
      ['pages/0000000009.transient', 3, 1, 'dA==', true],
    ],
  );
});

t.test('a dump shows what can be read of a damaged folder', async (t) => {
  const { code, lines, errors } = await dump(
    folder({
      checkpoint: Buffer.from('hello'),
      'log/0000000002.log': flipped(folder().get(`${FOLDER}/log/0000000002.log`), -1),
      'log/0000000003.log': Buffer.alloc(100),
      'pages/0000000005.page': flipped(PAGE.bytes, 90),
      'pages/0000000006.page': Buffer.alloc(9),
    }),
    '--pages',
  );
  t.equal(code, 1);
  t.strictSame(
    lines.map(({ file, position }) => [file, position]),
    [
      ['log/0000000002.log', 8],
      ['log/0000000002.log', 9],
      ['pages/0000000005.page', 7],
    ],
  );
  t.match(errors, [
    /^problem: checkpoint: at byte 0: not a checkpoint/,
    /^warning: log\/0000000002.log: at byte \d+: the checksum of record 11 is wrong; what follows is not shown/,
    /^problem: log\/0000000003.log: at byte 0: not a log segment/,
    /^problem: pages\/0000000005.page: at byte 32: the checksum of a block/,
    /^problem: pages\/0000000006.page: .*not a page/,
  ]);
});

// Declaring again what exists: what counts as the same, and RabbitMQ's words for what does not.
import t from 'tap';
import type { FieldValue } from '../../codec/field-table.ts';
import { assertSameExchange, assertSameQueue, queueTypeOf } from '../../lib/core/declaration-checks.ts';
import type { ExchangeSettings } from '../../lib/core/exchange.ts';
import type { QueueSettings } from '../../lib/core/queue.ts';
import { brokerError, ownerOf, queueSettings, table } from './helper.ts';

const RESOURCE = "queue 'q' in vhost '/'";

function exchangeSettings(options: Partial<ExchangeSettings> = {}): ExchangeSettings {
  const base = { name: 'x', type: 'direct', durable: false, autoDelete: false, internal: false };
  return { ...base, arguments: table(), ...options };
}

/** What a client reads when it declares a queue in another way than it exists. */
function queueRefusal(received: Partial<QueueSettings>, current: Partial<QueueSettings>): string {
  const error = brokerError(() => assertSameQueue(RESOURCE, queueSettings(received), queueSettings(current)));
  t.equal(error.condition, 'PRECONDITION_FAILED');
  return error.message;
}

function sameArgument(received: FieldValue, current: FieldValue): void {
  const [a, b] = [received, current].map((value) => queueSettings({ arguments: table({ 'x-max-length': value }) }));
  assertSameQueue(RESOURCE, a, b);
}

t.test('an equal declaration passes', async () => {
  const args = table({ 'x-max-length': { type: 'I', value: 5 }, 'x-overflow': 'drop-head' });
  assertSameQueue(RESOURCE, queueSettings({ arguments: args }), queueSettings({ arguments: new Map(args) }));
  assertSameExchange("exchange 'x' in vhost '/'", exchangeSettings(), exchangeSettings());
});

t.test('each property of a queue that differs is named', async (t) => {
  t.equal(
    queueRefusal({ durable: true }, {}),
    `inequivalent arg 'durable' for ${RESOURCE}: received 'true' but current is 'false'`,
  );
  t.equal(
    queueRefusal({}, { autoDelete: true }),
    `inequivalent arg 'auto_delete' for ${RESOURCE}: received 'false' but current is 'true'`,
  );
  t.match(queueRefusal({ durable: true, autoDelete: true }, {}), /^inequivalent arg 'durable'/, 'durable goes first');
});

t.test('an exclusive queue may be declared durable or not', async () => {
  const owner = ownerOf();
  assertSameQueue(RESOURCE, queueSettings({ owner, durable: true }), queueSettings({ owner }));
});

t.test('an argument that differs is shown as RabbitMQ shows it', async (t) => {
  const five = table({ 'x-max-length': { type: 'I', value: 5 } });
  const six = table({ 'x-max-length': { type: 'I', value: 6 } });
  const refusal = `inequivalent arg 'x-max-length' for ${RESOURCE}: received`;
  t.equal(queueRefusal({ arguments: five }, { arguments: six }), `${refusal} '5' but current is '6'`);
  t.equal(queueRefusal({}, { arguments: six }), `${refusal} none but current is the value '6' of type 'signedint'`);
  t.equal(queueRefusal({ arguments: five }, {}), `${refusal} the value '5' of type 'signedint' but current is none`);
  const text = table({ 'x-dead-letter-exchange': 'dead' });
  t.equal(
    queueRefusal({ arguments: text }, {}),
    `inequivalent arg 'x-dead-letter-exchange' for ${RESOURCE}: ` +
      "received the value 'dead' of type 'longstr' but current is none",
  );
});

t.test('integers are the same whatever their width; other types are not', async (t) => {
  sameArgument({ type: 'b', value: 5 }, { type: 'l', value: 5 });
  sameArgument({ type: 'l', value: 2n ** 60n }, { type: 'L', value: 2n ** 60n });
  t.throws(() => sameArgument({ type: 'S', value: '5' }, { type: 'I', value: 5 }));
  t.throws(() => sameArgument({ type: 'd', value: 5 }, { type: 'I', value: 5 }));
});

t.test('arguments that RabbitMQ does not know are not compared', async () => {
  assertSameQueue(RESOURCE, queueSettings({ arguments: table({ 'x-mine': '1' }) }), queueSettings());
});

t.test('no queue type is the classic one', async (t) => {
  const classic = queueSettings({ arguments: table({ 'x-queue-type': 'classic' }) });
  t.equal(queueTypeOf(table()), 'classic');
  t.equal(queueTypeOf(classic.arguments), 'classic');
  assertSameQueue(RESOURCE, classic, queueSettings());
  assertSameQueue(RESOURCE, queueSettings(), classic);
  t.match(queueRefusal({ arguments: table({ 'x-queue-type': 'quorum' }) }, {}), /^inequivalent arg 'x-queue-type'/);
});

t.test('each queue type compares the arguments that it knows, in an order of its own', async (t) => {
  const quorum = { 'x-queue-type': 'quorum' };
  const limit: FieldValue = { type: 'I', value: 5 };
  const current = queueSettings({ durable: true, arguments: table(quorum) });
  const again = (args: Record<string, FieldValue | string>) =>
    queueRefusal({ durable: true, arguments: table({ ...quorum, ...args }) }, current);
  const received = "received the value '5' of type 'signedint' but current is none";
  t.equal(again({ 'x-delivery-limit': limit }), `inequivalent arg 'x-delivery-limit' for ${RESOURCE}: ${received}`);
  t.match(again({ 'x-expires': limit, 'x-dead-letter-exchange': 'x' }), /arg 'x-dead-letter-exchange'/);
  t.match(again({ 'x-message-ttl': limit, 'x-queue-type': 'classic' }), /arg 'x-queue-type'/);
  t.match(queueRefusal({ arguments: table({ 'x-expires': limit, 'x-dead-letter-exchange': 'x' }) }, {}), /'x-expires'/);
});

t.test('arguments that only another queue type knows are not compared', async () => {
  const quorum = table({ 'x-queue-type': 'quorum' });
  const withPriority = new Map(quorum).set('x-max-priority', { type: 'I', value: 5 });
  assertSameQueue(RESOURCE, queueSettings({ arguments: withPriority }), queueSettings({ arguments: quorum }));
  const withLimit = table({ 'x-delivery-limit': { type: 'I', value: 5 } });
  assertSameQueue(RESOURCE, queueSettings({ arguments: withLimit }), queueSettings());
});

t.test('of a type that is not known the type alone is compared', async (t) => {
  const stream = table({ 'x-queue-type': 'stream' });
  const withLength = new Map(stream).set('x-max-length', { type: 'I', value: 5 });
  assertSameQueue(RESOURCE, queueSettings({ arguments: withLength }), queueSettings({ arguments: stream }));
  t.match(queueRefusal({}, { arguments: stream }), /^inequivalent arg 'x-queue-type'/);
});

t.test('each property of an exchange that differs is named, the type first', async (t) => {
  const cases: [Partial<ExchangeSettings>, string][] = [
    [{ type: 'fanout', durable: true }, "'type' for x: received 'fanout' but current is 'direct'"],
    [{ durable: true }, "'durable' for x: received 'true' but current is 'false'"],
    [{ autoDelete: true }, "'auto_delete' for x: received 'true' but current is 'false'"],
    [{ internal: true }, "'internal' for x: received 'true' but current is 'false'"],
    [
      { arguments: table({ 'alternate-exchange': 'y' }) },
      "'alternate-exchange' for x: received the value 'y' of type 'longstr' but current is none",
    ],
  ];
  for (const [received, text] of cases) {
    const error = brokerError(() => assertSameExchange('x', exchangeSettings(received), exchangeSettings()));
    t.equal(error.message, `inequivalent arg ${text}`);
  }
});

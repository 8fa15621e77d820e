// What is said of a policy that is wrong. Every text here is RabbitMQ 3.10.8's, word by word, unless a comment says otherwise.
import t from 'tap';
import { type PolicyRequest, policyProblems } from '../../lib/core/policy-checks.ts';

function compile(pattern: string): void {
  if (pattern === '(') throw new SyntaxError('missing )');
}

function problems(request: Partial<PolicyRequest>, kind: 'policy' | 'operator_policy' = 'policy'): string[] {
  const right = { definition: { expires: 1 }, applyTo: 'all', pattern: '', priority: 0 };
  return policyProblems(kind, { ...right, ...request }, compile);
}

t.test('values of keys that are known', async (t) => {
  const texts: [key: string, what: string, right: unknown[], wrong: [value: unknown, shown: string][]][] = [
    [
      'message-ttl',
      'message TTL',
      [0, 1, 2 ** 40],
      [
        [-1, '-1'],
        [1.5, '1.5'],
        ['a', '<<"a">>'],
        [true, 'true'],
      ],
    ],
    [
      'message-ttl',
      'message TTL',
      [2 ** 60],
      [
        [null, 'null'],
        [[], '[]'],
        [{}, '#{}'],
        [[1, 'a'], '[1,<<"a">>]'],
      ],
    ],
    [
      'expires',
      'queue expiry',
      [1],
      [
        [0, '0'],
        ['', '<<>>'],
        [1e-7, '1.0e-7'],
      ],
    ],
    ['max-length', 'maximum length', [0], [[-1, '-1']]],
    ['max-length-bytes', 'maximum length in bytes', [0], [[-1, '-1']]],
    ['max-in-memory-length', 'maximum memory in bytes', [0], [[-1, '-1']]],
    ['max-in-memory-bytes', 'maximum memory in bytes', [0], [['1', '<<"1">>']]],
    ['delivery-limit', 'delivery limit', [0], [[-1, '-1']]],
    ['dead-letter-exchange', 'dead letter exchange name', ['', 'x'], [[1, '1']]],
    ['dead-letter-routing-key', 'dead letter routing key', ['', 'x'], [[1, '1']]],
    ['dead-letter-strategy', 'dead letter strategy', ['at-most-once', 'at-least-once'], [['x', '<<"x">>']]],
    ['alternate-exchange', 'alternate exchange name', ['', 'x'], [[null, 'null']]],
    ['overflow', 'overflow value', ['drop-head', 'reject-publish', 'reject-publish-dlx'], [['x', '<<"x">>']]],
    ['queue-mode', 'queue-mode value', ['default', 'lazy'], [['a"b\n', '<<"a\\"b\\n">>']]],
    [
      'queue-version',
      'queue-version value',
      [1, 2],
      [
        [3, '3'],
        ['1', '<<"1">>'],
      ],
    ],
    ['queue-leader-locator', 'queue leader locator value', ['client-local', 'balanced'], [['x', '<<"x">>']]],
    // RabbitMQ itself fails at an age that is no text, or no number, with an internal error.
    [
      'max-age',
      'max age',
      ['1Y', '5m', '1h'],
      [
        ['100', '<<"100">>'],
        ['0D', '<<"0D">>'],
        ['1.5D', '<<"1.5D">>'],
      ],
    ],
    [
      'stream-max-segment-size-bytes',
      'segment size',
      [0, 3e9],
      [
        [-1, '-1'],
        [5e9, '5000000000'],
      ],
    ],
    ['initial-cluster-size', 'cluster size', [0, 1], [['é', '<<"é">>']]],
    // RabbitMQ 3.10 does not know it yet.
    ['consumer-timeout', 'consumer timeout', [1], [[0, '0']]],
  ];
  for (const [key, what, right, wrong] of texts) {
    for (const value of right) t.strictSame(problems({ definition: { [key]: value } }), [], `${key} ${value}`);
    for (const [value, shown] of wrong) {
      t.strictSame(problems({ definition: { [key]: value } }), [`${shown} is not a valid ${what}`]);
    }
  }
  t.strictSame(problems({ definition: { 'queue-master-locator': 'x' } }), [
    '<<"x">> invalid queue-master-locator value',
  ]);
  t.strictSame(problems({ definition: { 'queue-master-locator': 'min-masters' } }), []);
});

t.test('mirrored queues, which one node can not have, are checked all the same', async (t) => {
  const mode = 'ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown';
  const texts: [Record<string, unknown>, string?][] = [
    [{ 'ha-mode': 'all' }],
    [{ 'ha-mode': 'exactly', 'ha-params': 2 }],
    [{ 'ha-mode': 'nodes', 'ha-params': ['a'] }],
    [{ 'ha-mode': 'all', 'ha-sync-mode': 'automatic', 'ha-sync-batch-size': 3, 'ha-promote-on-shutdown': 'always' }],
    [{ 'ha-mode': 'all', 'ha-promote-on-failure': 'when-synced' }],
    [{ 'ha-mode': 'x', 'ha-sync-mode': 'x' }, '<<"x">> is not a valid ha-mode value'],
    [{ 'ha-mode': 'all', 'ha-params': 1 }, 'ha-mode="all" does not take parameters'],
    [{ 'ha-mode': 'exactly' }, 'ha-mode="exactly" takes an integer, none given'],
    [{ 'ha-mode': 'exactly', 'ha-params': 'a' }, 'ha-mode="exactly" takes an integer, <<"a">> given'],
    [{ 'ha-mode': 'nodes' }, 'ha-mode="nodes" takes a list, none given'],
    [{ 'ha-mode': 'nodes', 'ha-params': [] }, 'ha-mode="nodes" list must be non-empty'],
    [{ 'ha-mode': 'nodes', 'ha-params': [1] }, 'ha-mode="nodes" takes a list of strings, [1] was not a string'],
    [{ 'ha-mode': 'all', 'ha-sync-mode': 'x' }, 'ha-sync-mode must be "manual" or "automatic", got <<"x">>'],
    [{ 'ha-mode': 'all', 'ha-sync-batch-size': 0 }, 'ha-sync-batch-size takes an integer greater than 0, 0 given'],
    [
      { 'ha-mode': 'all', 'ha-promote-on-failure': 'x' },
      'ha-promote-on-failure must be "always" or "when-synced", got <<"x">>',
    ],
    [{ 'ha-params': 1 }, mode],
    [{ 'ha-sync-mode': 'manual' }, mode],
  ];
  for (const [definition, text] of texts) {
    t.strictSame(problems({ definition }), text === undefined ? [] : [text], JSON.stringify(definition));
  }
});

t.test('keys that nobody knows, in the order of their names, once the others are right', async (t) => {
  t.strictSame(problems({ definition: { foo: 1, expires: 1, bar: 'é' } }), [
    '[{<<"bar">>,<<"é">>},{<<"foo">>,1}] are not recognised policy settings',
  ]);
  t.strictSame(problems({ definition: { foo: { a: 1, b: [1, 'x', null, true] } } }), [
    '[{<<"foo">>,#{<<"a">> => 1,<<"b">> => [1,<<"x">>,null,true]}}] are not recognised policy settings',
  ]);
  t.strictSame(problems({ definition: { foo: 1, 'message-ttl': -1, expires: 0 } }), ['0 is not a valid queue expiry']);
  t.strictSame(problems({ definition: { 'queue-mode': 'x', 'queue-master-locator': 'x', 'ha-mode': 'x' } }), [
    '<<"x">> invalid queue-master-locator value',
  ]);
  t.strictSame(problems({ definition: { expires: 0, 'ha-mode': 'x' } }), ['0 is not a valid queue expiry']);
  t.strictSame(problems({ definition: {} }), ['no policy provided']);
});

t.test('an operator policy takes limits alone', async (t) => {
  const limits = ['delivery-limit', 'expires', 'max-in-memory-bytes', 'max-in-memory-length'];
  for (const key of [...limits, 'max-length', 'max-length-bytes', 'message-ttl']) {
    t.strictSame(problems({ definition: { [key]: 1 } }, 'operator_policy'), []);
  }
  t.strictSame(problems({ definition: { expires: 0 } }, 'operator_policy'), ['0 is not a valid queue expiry']);
  t.strictSame(problems({ definition: { 'dead-letter-exchange': 1, 'ha-mode': 'all' } }, 'operator_policy'), [
    '[{<<"dead-letter-exchange">>,1},{<<"ha-mode">>,<<"all">>}] are not recognised policy settings',
  ]);
});

t.test('everything that is wrong is told at once', async (t) => {
  t.strictSame(problems({ definition: { bar: 1 }, applyTo: 'foo', pattern: '(', priority: 'a' }), [
    '[{<<"bar">>,1}] are not recognised policy settings',
    // RabbitMQ 3.10 knows 'queues', 'exchanges' and 'all' only, and says so.
    "apply-to 'foo' unrecognised; should be one of: 'queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges', or 'all'",
    // RabbitMQ prints what its own library says, {"missing )",1}.
    'pattern should be regular expression but is invalid: missing )',
    'priority should be a number, actually was <<"a">>',
  ]);
  t.match(problems({ applyTo: 1 })[0], /^apply-to '1' unrecognised/);
  t.strictSame(problems({ pattern: 1 }), ['pattern should be a binary but was 1']);
  t.strictSame(problems({ priority: 1.5 }), []);
  t.strictSame(problems({ priority: -5, applyTo: 'streams' }), []);
});

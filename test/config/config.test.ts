// Options from a program, and from flags, environment and file: precedence, bounds, messages.
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import fc from 'fast-check';
import t from 'tap';
import { type BrokerOptions, parseCommandLine, resolveOptions } from '../../lib/config.ts';
import { ConfigError } from '../../lib/config-error.ts';
import { defaultMemoryBudgetBytes, LEVERET_VERSION, OPTION_NAMES, OPTION_ROWS } from '../../lib/config-options.ts';

const noFile = (path: string): string => {
  throw Object.assign(new Error(path), { code: 'ENOENT' });
};

/** The options that the command gets. */
function parse(argv: string[], env: Record<string, string> = {}, file?: string): BrokerOptions {
  return parseCommandLine(argv, env, file === undefined ? noFile : () => file).options;
}

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof ConfigError ? error.message : `not a ConfigError: ${error}`;
  }
  return 'nothing thrown';
}

t.test('nothing given is what RabbitMQ has, on loopback', async (t) => {
  t.match(resolveOptions(), {
    host: '127.0.0.1',
    port: 5672,
    logLevel: 'silent',
    vhosts: ['/'],
    users: [
      {
        name: 'guest',
        password: 'guest',
        tags: ['administrator'],
        permissions: { '/': { configure: '.*', write: '.*', read: '.*' } },
      },
    ],
    loopbackUsers: ['guest'],
    frameMaxBytes: 131072,
    channelMax: 2047,
    heartbeatSeconds: 60,
    handshakeTimeoutMs: 10000,
    maxMessageSizeBytes: 134217728,
    dataDir: undefined,
    fsync: 'always',
    segmentSizeBytes: 67108864,
    diskFreeLimitBytes: 50000000,
    shutdownTimeoutMs: 5000,
    maxConnections: 0,
    maxQueues: 0,
    quorumDeliveryLimit: -1,
    consumerTimeoutMs: 1_800_000,
    product: 'RabbitMQ',
    version: '3.13.7',
    platform: `Leveret ${LEVERET_VERSION} on Node.js ${process.version}`,
    clusterName: /^leveret@/,
    exchangeTypes: [],
  });
  t.ok(resolveOptions().memoryLimitBytes <= totalmem() * 0.4);
  t.ok(Object.isFrozen(resolveOptions()));
});

t.test('an option that is undefined counts as not given', async (t) => {
  t.equal(resolveOptions({ port: undefined }).port, 5672);
});

t.test('the version is the one of package.json', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.equal(LEVERET_VERSION, version);
});

t.test('integers are taken within their bounds and refused outside', async (t) => {
  const bounds = [
    ['port', 0, 65535],
    ['channelMax', 1, 65535],
    ['heartbeatSeconds', 0, 65535],
    ['frameMaxBytes', 4096, 2 ** 31 - 1],
    ['maxMessageSizeBytes', 1, 512 * 2 ** 20],
    ['quorumDeliveryLimit', -1, 2 ** 31 - 1],
    ['consumerTimeoutMs', 0, 2 ** 31 - 1],
    ['segmentSizeBytes', 2 ** 20, 2 ** 30],
    ['memoryBudgetBytes', 2 ** 20, Number.MAX_SAFE_INTEGER],
    ['diskFreeLimitBytes', 0, Number.MAX_SAFE_INTEGER],
  ] as const;
  for (const [name, least, most] of bounds) {
    for (const value of [least, most]) t.equal(resolveOptions({ [name]: value })[name], value);
    for (const value of [least - 1, most + 1, least + 0.5, Number.NaN]) {
      t.throws(() => resolveOptions({ [name]: value }), { message: new RegExp(`^option '${name}': ${value} is not `) });
    }
  }
});

t.test('every option refuses a value of another type, naming itself', async (t) => {
  for (const name of OPTION_NAMES) {
    const message = messageOf(() => resolveOptions({ [name]: { not: 'allowed' } }));
    t.match(message, new RegExp(`^option '${name}':`), name);
    t.notMatch(message, /\n/, 'on one line');
  }
});

t.test('any value ends in a configuration or a ConfigError, never in another error', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...OPTION_NAMES), fc.anything(), (name, value) => {
      try {
        return Object.isFrozen(resolveOptions({ [name]: value }));
      } catch (error) {
        return error instanceof ConfigError;
      }
    }),
  );
});

t.test('an unknown option is refused with the nearest name', async (t) => {
  t.throws(() => resolveOptions({ prot: 1 } as BrokerOptions), {
    message: "unknown option 'prot' (did you mean 'port'?)",
  });
  t.throws(() => resolveOptions({ zzzzzzzz: 1 } as BrokerOptions), { message: "unknown option 'zzzzzzzz'" });
});

t.test('sizes are read as RabbitMQ reads them', async (t) => {
  const size = (text: string): number => resolveOptions({ memoryLimitBytes: text }).memoryLimitBytes;
  t.equal(size('100'), 100);
  t.equal(size('512MiB'), 512 * 2 ** 20);
  t.equal(size('1.5GiB'), 1.5 * 2 ** 30);
  t.equal(size('2GB'), 2e9);
  t.equal(size('2 kb'), 2000);
  t.equal(size('2k'), 2048);
  t.ok(Math.abs(size('20%') - size('10%') * 2) <= 1);
  for (const wrong of ['', '101%', '-1', '1TB', 'much', '1e9']) t.throws(() => size(wrong), ConfigError);
  t.throws(() => resolveOptions({ maxMessageSizeBytes: '10%' }), ConfigError, 'a share of what?');
});

t.test('an option that is null is not one that was left out', async (t) => {
  for (const options of [{ port: null }, { dataDir: null }] as unknown as BrokerOptions[]) {
    t.match(
      messageOf(() => resolveOptions(options)),
      /: null is not /,
    );
  }
});

t.test('the data folder is a path, and none is no folder', async (t) => {
  const longest = 'x'.repeat(4096);
  for (const path of ['./leveret-data', '../elsewhere', '/var/lib/leveret', './none', 'NONE', ' ', longest]) {
    t.equal(resolveOptions({ dataDir: path }).dataDir, path);
  }
  t.equal(resolveOptions({ dataDir: 'none' }).dataDir, undefined);
  for (const wrong of ['', `${longest}x`, 'é'.repeat(2049), 'a\0b']) {
    t.match(
      messageOf(() => resolveOptions({ dataDir: wrong })),
      /^option 'dataDir': .* is not the path of a folder, a text of 1 to 4096 bytes, or 'none'$/,
    );
  }
});

t.test('the memory budget is a quarter of the memory limit, from 1 MiB to 64 MiB', async (t) => {
  const MIB = 2 ** 20;
  t.equal(defaultMemoryBudgetBytes(100 * MIB), 25 * MIB);
  t.equal(defaultMemoryBudgetBytes(100 * MIB + 3), 25 * MIB, 'whole bytes');
  t.equal(defaultMemoryBudgetBytes(128 * MIB), 32 * MIB);
  t.equal(defaultMemoryBudgetBytes(2 ** 40), 256 * MIB);
  t.equal(defaultMemoryBudgetBytes(0), MIB);
  t.equal(resolveOptions({ memoryLimitBytes: '100MiB' }).memoryBudgetBytes, 25 * MIB);
  t.equal(resolveOptions({ memoryLimitBytes: '100MiB', memoryBudgetBytes: '2MiB' }).memoryBudgetBytes, 2 * MIB);
  t.equal(resolveOptions().memoryBudgetBytes, defaultMemoryBudgetBytes(resolveOptions().memoryLimitBytes));
  t.ok(resolveOptions({ memoryBudgetBytes: '10%' }).memoryBudgetBytes <= totalmem() * 0.1);
});

t.test('users', async (t) => {
  const rules = { configure: '^a', write: '', read: '.*' };
  t.test('get every permission on every vhost unless told otherwise', async (t) => {
    const { users } = resolveOptions({ vhosts: ['a', 'b'], users: [{ name: 'ann', password: 'x' }] });
    t.strictSame(Object.keys(users[0]?.permissions ?? {}), ['a', 'b']);
    t.strictSame(users[0]?.tags, []);
    t.equal(users.length, 1, 'guest is gone');
  });
  t.test('keep the permissions given', async (t) => {
    const { users } = resolveOptions({ users: [{ name: 'ann', password: 'x', permissions: { '/': rules } }] });
    t.strictSame(users[0]?.permissions, { '/': rules });
  });
  t.test('are refused with the place of the mistake and without the password', async (t) => {
    const cases: [unknown, RegExp][] = [
      [{ name: 'ann' }, /^option 'users'\[0\]\.password: user 'ann' needs a password/],
      [{ name: 'ann', password: '' }, /^option 'users'\[0\]\.password: user 'ann' needs a password/],
      [{ name: '', password: 'hidden1' }, /^option 'users'\[0\]\.name: '' is not/],
      [{ name: 'ann', password: 'hidden1', tag: [] }, /unknown key 'tag' \(did you mean 'tags'\?\)/],
      [
        { name: 'ann', password: 'hidden1', permissions: { x: rules } },
        /permissions: there is no vhost 'x' \(vhosts: \/\)/,
      ],
      [{ name: 'ann', password: 'hidden1', permissions: { '/': { ...rules, read: '(' } } }, /the read permission '\('/],
      [{ name: 'ann', password: 'hidden1', permissions: { '/': { read: '' } } }, /\.configure: undefined is not/],
    ];
    for (const [user, message] of cases) {
      const told = messageOf(() => resolveOptions({ users: [user] as BrokerOptions['users'] }));
      t.match(told, message);
      t.notMatch(told, /hidden1/);
    }
    const twice = [
      { name: 'ann', password: 'x' },
      { name: 'ann', password: 'y' },
    ];
    t.match(
      messageOf(() => resolveOptions({ users: twice })),
      /user 'ann' is there twice/,
    );
  });
});

t.test('flags win over LEVERET_ variables, those over RABBITMQ_ ones, those over the file', async (t) => {
  const file = '{"port": 1}';
  t.equal(parse([]).port, undefined);
  t.equal(parse(['--config', 'f'], {}, file).port, 1);
  t.equal(parse(['--config=f'], { RABBITMQ_NODE_PORT: '2' }, file).port, 2);
  t.equal(parse([], { LEVERET_CONFIG: 'f', RABBITMQ_NODE_PORT: '2', LEVERET_PORT: '3' }, file).port, 3);
  t.equal(parse(['--port=4'], { LEVERET_PORT: '3' }, file).port, 4);
  t.equal(parse(['--port', '4', '--port', '5']).port, 5, 'the last of a flag wins');
});

t.test('the command logs from info on, unless told otherwise', async (t) => {
  t.equal(parse([]).logLevel, 'info');
  t.equal(parse(['--log-level', 'WARN']).logLevel, 'warn');
});

t.test('the command keeps its data beside it, unless told otherwise', async (t) => {
  const dataDir = (...from: Parameters<typeof parse>): string | undefined => resolveOptions(parse(...from)).dataDir;
  t.equal(dataDir([]), './leveret-data');
  t.equal(dataDir(['--data-dir', '/tmp/x']), '/tmp/x');
  t.equal(dataDir([], { LEVERET_DATA_DIR: 'y' }), 'y');
  t.equal(dataDir(['--data-dir', 'none'], { LEVERET_DATA_DIR: 'y' }), undefined);
  t.equal(dataDir(['--config', 'f'], {}, '{"dataDir":"none"}'), undefined);
  t.equal(parse(['--fsync', 'INTERVAL']).fsync, 'interval');
  t.equal(resolveOptions(parse([], { LEVERET_SEGMENT_SIZE_BYTES: '1MiB' })).segmentSizeBytes, 2 ** 20);
});

t.test('a variable that is empty counts as unset', async (t) => {
  t.equal(parse([], { LEVERET_PORT: '', RABBITMQ_NODE_PORT: '2' }).port, 2);
});

t.test('lists are repeated flags, or one variable with commas', async (t) => {
  t.strictSame(parse(['--vhost', 'a', '--vhost', 'b']).vhosts, ['a', 'b']);
  t.strictSame(parse([], { LEVERET_VHOSTS: 'a, b' }).vhosts, ['a', 'b']);
  t.strictSame(parse(['--loopback-user', 'none']).loopbackUsers, []);
  t.strictSame(parse([], { LEVERET_LOOPBACK_USERS: 'none' }).loopbackUsers, []);
  const users = [
    { name: 'a', password: '1', tags: ['x', 'y'] },
    { name: 'b', password: '2', tags: [] },
  ];
  t.strictSame(parse(['--user', 'a:1:x,y', '--user', 'b:2']).users, users);
  t.strictSame(parse([], { LEVERET_USERS: 'a:1:x,y,b:2' }).users, users);
});

t.test("RabbitMQ's default user and vhost replace ours and give way to any list", async (t) => {
  const env = { RABBITMQ_DEFAULT_USER: 'ann', RABBITMQ_DEFAULT_PASS: 'a:b,c', RABBITMQ_DEFAULT_VHOST: 'v' };
  const config = resolveOptions(parse([], env));
  t.strictSame(config.vhosts, ['v']);
  t.match(config.users, [
    { name: 'ann', password: 'a:b,c', tags: ['administrator'], permissions: { v: { read: '.*' } } },
  ]);
  t.match(parse([], { ...env, LEVERET_USERS: 'bob:2' }).users, [{ name: 'bob' }]);
  t.match(parse(['--config', 'f'], env, '{"users":[{"name":"cid","password":"3"}]}').users, [{ name: 'cid' }]);
  t.equal(parse([], { RABBITMQ_NODE_IP_ADDRESS: '0.0.0.0' }).host, '0.0.0.0');
});

t.test('every option that text can give has a flag and a variable of its own', async (t) => {
  const flags = OPTION_ROWS.flatMap((row) => row.flag ?? []);
  const variables = OPTION_ROWS.flatMap((row) => row.variables);
  t.equal(new Set([...flags, '--config', '--help', '--version']).size, flags.length + 3);
  t.equal(new Set(variables).size, variables.length);
  t.strictSame(
    OPTION_ROWS.filter((row) => row.flag === undefined).map((row) => row.name),
    ['logger', 'exchangeTypes'],
  );
});

t.test('mistakes are named with their flag, variable or file and key', async (t) => {
  const cases: [string[], Record<string, string>, string | undefined, string][] = [
    [['--port', 'x'], {}, undefined, "--port: 'x' is not an integer from 0 to 65535"],
    [['--port'], {}, undefined, '--port: needs a value'],
    [['--prot', '1'], {}, undefined, "unknown flag --prot (did you mean '--port'?); see leveret --help"],
    [['5672'], {}, undefined, 'an argument that belongs to no flag; see leveret --help'],
    [
      ['--user', 'ann'],
      {},
      undefined,
      "--user[0]: must be name:password[:tag,tag]; use the configuration file for a password with ':' or ','",
    ],
    [[], { LEVERET_PORT: '-1' }, undefined, 'LEVERET_PORT: -1 is not an integer from 0 to 65535'],
    [[], { RABBITMQ_NODE_PORT: 'x' }, undefined, "RABBITMQ_NODE_PORT: 'x' is not an integer from 0 to 65535"],
    [['--config', 'f.json'], {}, undefined, 'configuration file f.json: there is no such file'],
    [['--config', 'f.json'], {}, '{"port":"1"}', "f.json: port: '1' is not an integer from 0 to 65535"],
    [['--config', 'f.json'], {}, '{"prot":1}', "f.json: unknown option 'prot' (did you mean 'port'?)"],
    [['--config', 'f.json'], {}, '{"logger":{}}', 'f.json: logger: can be given by a program only'],
    [['--config', 'f.json'], {}, '[]', 'f.json: must hold one JSON object with options'],
    [['--config', 'f.json'], {}, '{\n "port" 1}', "f.json:2:9: not JSON: ':' expected"],
  ];
  for (const [argv, env, file, message] of cases)
    t.equal(
      messageOf(() => parse(argv, env, file)),
      message,
    );
});

t.test('--help and --version need nothing else to be right', async (t) => {
  t.strictSame(parseCommandLine(['--help', '--port', 'x'], {}, noFile), { options: {}, help: true });
  t.strictSame(parseCommandLine(['-v'], { LEVERET_PORT: 'x' }, noFile), { options: {}, version: true });
});

t.test('no text on the command line or in the environment does worse than a ConfigError', async () => {
  const flag = fc.constantFrom(...OPTION_ROWS.flatMap((row) => row.flag ?? []), '--config', '--', '-x');
  const variable = fc.constantFrom(...OPTION_ROWS.flatMap((row) => row.variables));
  fc.assert(
    fc.property(
      fc.array(fc.oneof(flag, fc.string())),
      fc.dictionary(variable, fc.string()),
      fc.json(),
      (argv, env, file) => {
        try {
          parseCommandLine(argv, env, () => file);
          return true;
        } catch (error) {
          return error instanceof ConfigError && !error.message.includes('\n');
        }
      },
    ),
  );
});

// Options of the broker: from a program, or from flags, environment and configuration file. The only file that reads
// process.env. What the options are stands in config-options.ts; nobody keeps them: they are passed down.
import { ConfigError, show, suggestion } from './config-error.ts';
import { findJsonError } from './config-json.ts';
import {
  OPTION_NAMES,
  OPTION_ROWS,
  type OPTIONS,
  type Option,
  type OptionName,
  type OptionRow,
} from './config-options.ts';

type Table = typeof OPTIONS;
type InputOf<Row> = Row extends Option<infer Value, infer Input> ? Input | Value : never;
type ValueOf<Row> = Row extends Option<infer Value, infer _Input> ? Value : never;

/** What `createBroker` takes; every option may be left out. */
export type BrokerOptions = { readonly [Name in keyof Table]?: InputOf<Table[Name]> | undefined };

/** Options with defaults filled in and checked; frozen. */
export type BrokerConfig = { readonly [Name in keyof Table]: ValueOf<Table[Name]> };

/** Where a value came from, as an error message begins: `--port`, `LEVERET_PORT`, `option 'port'`. */
type Labels = ReadonlyMap<OptionName, string>;

/**
 * Checks options and fills in defaults.
 * @throws {ConfigError} for an unknown option or a value that isn't allowed
 */
export function resolveOptions(options: BrokerOptions = {}): BrokerConfig {
  for (const name of Object.keys(options)) {
    if (!isOptionName(name)) throw new ConfigError(`unknown option ${show(name)}${suggestion(name, OPTION_NAMES)}`);
  }
  return resolve(options, new Map());
}

function resolve(options: BrokerOptions, labels: Labels): BrokerConfig {
  const context = { vhosts: ['/'] as readonly string[], memoryLimitBytes: 0 };
  const checkRow = ({ name, kind, defaultValue }: OptionRow): unknown => {
    const given = options[name];
    const value = given === undefined ? defaultValue(context) : given;
    return value === undefined ? undefined : kind.check(value, labels.get(name) ?? `option '${name}'`, context);
  };
  const config: Partial<Record<OptionName, unknown>> = {};
  for (const row of OPTION_ROWS) {
    config[row.name] = checkRow(row);
    // vhosts stand before users in the table, whose permissions name them, and the memory limit before what is a part of it.
    if (row.name === 'vhosts') context.vhosts = config.vhosts as readonly string[];
    if (row.name === 'memoryLimitBytes') context.memoryLimitBytes = config.memoryLimitBytes as number;
  }
  // Every row of the table was checked by its own kind, which is where the types of BrokerConfig come from.
  return Object.freeze(config) as BrokerConfig;
}

function isOptionName(name: string): name is OptionName {
  return OPTION_NAMES.some((known) => known === name);
}

/** What the command was asked for. */
export interface CommandLine {
  readonly options: BrokerOptions;
  /** `--help`: print the help and end. */
  readonly help?: true;
  /** `--version`: print Leveret's version and end. */
  readonly version?: true;
}

/** What is other for the command than for a program that embeds the broker. */
const COMMAND_DEFAULTS: BrokerOptions = { logLevel: 'info', dataDir: './leveret-data' };

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/**
 * Reads the options of the command: flags win over the environment, that over the configuration file, that over defaults.
 * An environment variable that is empty counts as unset.
 * @param argv arguments after the script's name
 * @param readFile reads the configuration file as text; throws when it can't
 * @throws {ConfigError} naming the flag, variable or file and key that is wrong
 */
export function parseCommandLine(
  argv: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
): CommandLine {
  const flags = parseFlags(argv);
  if (flags.help) return { options: {}, help: true };
  if (flags.version) return { options: {}, version: true };
  const configPath = flags.configPath ?? nonEmpty(env.LEVERET_CONFIG);
  const sources = [
    { values: defaultsFromRabbit(env), labelOf: () => 'RABBITMQ_DEFAULT_USER, _PASS, _VHOST' },
    ...(configPath === undefined ? [] : [readConfigFile(configPath, readFile)]),
    parseEnvironment(env),
    flags,
  ];
  const options: Partial<Record<OptionName, unknown>> = { ...COMMAND_DEFAULTS };
  const labels = new Map<OptionName, string>();
  for (const { values, labelOf } of sources) {
    for (const [name, value] of values) {
      options[name] = value;
      labels.set(name, labelOf(name));
    }
  }
  // Not yet known to be BrokerOptions, which the next line finds out.
  const unchecked = options as BrokerOptions;
  resolve(unchecked, labels);
  return { options: unchecked };
}

/** Values of one source, and how its errors name them. */
interface Source {
  readonly values: ReadonlyMap<OptionName, unknown>;
  labelOf(name: OptionName): string;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** RABBITMQ_DEFAULT_USER, _PASS and _VHOST name the first user and vhost, so a list from elsewhere replaces them. */
function defaultsFromRabbit(env: Environment): Map<OptionName, unknown> {
  const values = new Map<OptionName, unknown>();
  const name = nonEmpty(env.RABBITMQ_DEFAULT_USER);
  const password = nonEmpty(env.RABBITMQ_DEFAULT_PASS);
  const vhost = nonEmpty(env.RABBITMQ_DEFAULT_VHOST);
  if (name !== undefined || password !== undefined) {
    values.set('users', [{ name: name ?? 'guest', password: password ?? 'guest', tags: ['administrator'] }]);
  }
  if (vhost !== undefined) values.set('vhosts', [vhost]);
  return values;
}

function parseEnvironment(env: Environment): Source {
  const values = new Map<OptionName, unknown>();
  const labels = new Map<OptionName, string>();
  for (const { name, variables, kind } of OPTION_ROWS) {
    const variable = variables.find((candidate) => nonEmpty(env[candidate]) !== undefined);
    if (variable === undefined) continue;
    const value = env[variable] ?? '';
    values.set(name, kind.listFromText?.(value) ?? kind.fromText?.(value));
    labels.set(name, variable);
  }
  return { values, labelOf: (name) => labels.get(name) ?? name };
}

interface Flags extends Source {
  readonly help: boolean;
  readonly version: boolean;
  readonly configPath: string | undefined;
}

const ROW_BY_FLAG = new Map(OPTION_ROWS.flatMap((row) => (row.flag === undefined ? [] : [[row.flag, row] as const])));
const OTHER_FLAGS = ['--config', '--help', '--version'];

function parseFlags(argv: readonly string[]): Flags {
  const values = new Map<OptionName, unknown>();
  let [help, version] = [false, false];
  let configPath: string | undefined;
  for (let index = 0; index < argv.length; index++) {
    const { flag, attached } = splitFlag(argv[index] ?? '');
    if (flag === '--help' || flag === '-h') help = true;
    else if (flag === '--version' || flag === '-v') version = true;
    else {
      const row = ROW_BY_FLAG.get(flag);
      if (row === undefined && flag !== '--config') throw unknownFlag(flag);
      const value = attached ?? argv[++index];
      if (value === undefined) throw new ConfigError(`${flag}: needs a value`);
      if (row === undefined) configPath = value;
      else addFlag(values, row, value);
    }
  }
  return {
    values,
    help,
    version,
    configPath,
    labelOf: (name) => OPTION_ROWS.find((row) => row.name === name)?.flag ?? name,
  };
}

/** `--port=1` is `--port` with `1` attached. */
function splitFlag(argument: string): { flag: string; attached: string | undefined } {
  const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
  if (equals === -1) return { flag: argument, attached: undefined };
  return { flag: argument.slice(0, equals), attached: argument.slice(equals + 1) };
}

function unknownFlag(argument: string): ConfigError {
  // What is no flag may be half of `--user name:password` with a blank too many, so it isn't shown.
  if (!argument.startsWith('-')) return new ConfigError('an argument that belongs to no flag; see leveret --help');
  return new ConfigError(
    `unknown flag ${argument}${suggestion(argument, [...ROW_BY_FLAG.keys(), ...OTHER_FLAGS])}; see leveret --help`,
  );
}

function addFlag(values: Map<OptionName, unknown>, { name, kind, isList }: OptionRow, text: string): void {
  if (!isList) {
    values.set(name, kind.fromText?.(text));
    return;
  }
  const isEmptyList = kind.listFromText?.(text).length === 0;
  const before = values.get(name);
  const list = Array.isArray(before) ? before : [];
  values.set(name, isEmptyList ? list : [...list, kind.fromText?.(text)]);
}

function readConfigFile(path: string, readFile: (path: string) => string): Source {
  const parsed = parseJson(path, readText(path, readFile));
  const values = new Map<OptionName, unknown>();
  for (const [name, value] of Object.entries(parsed)) {
    const row = OPTION_ROWS.find((candidate) => candidate.name === name);
    if (row === undefined || !isOptionName(name)) {
      throw new ConfigError(`${path}: unknown option ${show(name)}${suggestion(name, OPTION_NAMES)}`);
    }
    if (row.flag === undefined) throw new ConfigError(`${path}: ${name}: can be given by a program only`);
    values.set(name, value);
  }
  return { values, labelOf: (name) => `${path}: ${name}` };
}

function readText(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const reason = code === 'ENOENT' ? 'there is no such file' : `can't be read (${String(code ?? error)})`;
    throw new ConfigError(`configuration file ${path}: ${reason}`);
  }
}

function parseJson(path: string, text: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // V8's message quotes the text around the error, which may be a password.
    const { line, column, expected } = findJsonError(text);
    throw new ConfigError(`${path}:${line}:${column}: not JSON: ${expected} expected`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ConfigError(`${path}: must hold one JSON object with options`);
  }
  return parsed;
}

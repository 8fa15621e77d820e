// The rules of the house, checked over all sources: who may import whom, no cycles, no process.env outside the
// configuration, no default exports, no unexplained escapes from the type checker, no file that wants splitting.
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import t from 'tap';

/** Sources by path, relative to the project's root. */
type Tree = ReadonlyMap<string, string>;

interface Import {
  readonly from: string;
  /** A path of the project, or a package's name as it is written. */
  readonly to: string;
  /** `erased`: `import type` and `export type`. `deferred`: `import()`, as a value or as a type. */
  readonly kind: 'static' | 'erased' | 'deferred';
}

interface Layer {
  readonly name: string;
  readonly files: RegExp;
  /** What its files may import beside one another. */
  readonly mayImport: readonly RegExp[];
}

const MAX_LINES = 400;
const FOLDERS = ['spec', 'codec', 'exchanges', 'lib', 'bin', 'test'];

/** Decoding of values, without frames, methods or sockets. */
const PURE_CODEC = /^codec\/(field-(table|value)[\w-]*|properties|basic-properties|strings|integers|errors)\.ts$/;

/** First match wins, so a file that no layer names is a mistake of its own. */
const LAYERS: readonly Layer[] = [
  { name: 'spec', files: /^spec\//, mayImport: [] },
  { name: 'codec', files: /^codec\//, mayImport: [] },
  { name: 'exchanges', files: /^exchanges\//, mayImport: [] },
  { name: 'lib/auth', files: /^lib\/auth\//, mayImport: [] },
  { name: 'lib/core', files: /^lib\/core\//, mayImport: [/^exchanges\//, PURE_CODEC] },
  { name: 'lib/storage', files: /^lib\/storage\//, mayImport: [/^lib\/core\//, PURE_CODEC] },
  { name: 'lib/protocols/amqp', files: /^lib\/protocols\/amqp\//, mayImport: [/^lib\/(core|auth)\//, /^codec\//] },
  {
    name: 'the configuration',
    files: /^lib\/(config(-[\w-]+)?|log)\.ts$/,
    mayImport: [/^lib\/auth\//, /^exchanges\/exchange-type\.ts$/],
  },
  {
    name: 'the composition root',
    files:
      /^lib\/(server|admin-changes|broker-(admin|policies)|data-folder|runtime-parameters|index|clock|linger|shared-reads)\.ts$/,
    mayImport: [/^(codec|exchanges|lib)\//],
  },
  {
    name: 'bin',
    files: /^bin\//,
    mayImport: [/^lib\/(index|log|config(-[\w-]+)?|storage\/(inspect-command|storage-error))\.ts$/],
  },
  { name: 'test', files: /^test\//, mayImport: [/./] },
];

/** Modules for what codec, exchanges and core must not do: I/O. */
const IO_MODULES = /^node:(net|tls|fs|http|https|http2|dgram|dns|child_process|cluster|worker_threads)(\/|$)/;

/**
 * Blanks out comments, texts and regular expressions, so that what is left is code. Lines stay where they are.
 * A division is told from a regular expression by what stands before it.
 */
function codeOf(source: string, keep: (token: string) => boolean = () => false): string {
  const tokens =
    /\/\/.*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|(?<=(?:[(,=:[!&|?{};+]|=>|\breturn)\s*)\/(?:[^\\/[\n]|\\.|\[(?:[^\\\]\n]|\\.)*\])+\/[a-z]*/g;
  return source.replace(tokens, (token) => (keep(token) ? token : token.replace(/[^\n]/g, ' ')));
}

function importsOf(from: string, source: string): Import[] {
  const code = codeOf(source, (token) => /^['"]/.test(token));
  const statement =
    /^\s*(?:import|export)\s+(type\s)?[^'";]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]/gm;
  return [...code.matchAll(statement)].map(([, type, named, bare, deferred]) => ({
    from,
    to: resolve(from, named ?? bare ?? deferred ?? ''),
    kind: deferred !== undefined ? 'deferred' : type === undefined ? 'static' : 'erased',
  }));
}

function resolve(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier;
}

function layerOf(path: string): Layer | undefined {
  return LAYERS.find(({ files }) => files.test(path));
}

function checkImport({ from, to }: Import, tree: Tree): string | undefined {
  const layer = layerOf(from);
  if (layer === undefined) return undefined;
  const isPackage = !/^(\.\.|(spec|codec|exchanges|lib|bin|test)\/)/.test(to);
  if (isPackage) {
    const isPure = ['codec', 'exchanges', 'lib/core'].includes(layer.name);
    return isPure && (IO_MODULES.test(to) || !to.startsWith('node:'))
      ? `${from} imports ${to}: ${layer.name} does no I/O`
      : undefined;
  }
  if (!tree.has(to) && !to.endsWith('.json')) return `${from} imports ${to}, which is not there`;
  const isAllowed = layerOf(to) === layer || layer.mayImport.some((allowed) => allowed.test(to));
  return isAllowed ? undefined : `${from} imports ${to}: ${layer.name} must not`;
}

/**
 * Files that import one another in a circle. Types alone may: they are gone when the code runs, so no file can see another
 * half-initialised; between layers not even they may, since no two layers may import each other.
 */
function findCycles(imports: readonly Import[]): string[] {
  const edges = new Map<string, string[]>();
  for (const { from, to, kind } of imports) {
    if (kind === 'static') edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) cycles.push(`cycle: ${[...trail.slice(start), path].join(' -> ')}`);
    if (start !== -1 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return cycles;
}

/** Ways around the type checker and the linter: allowed with a reason beside them, or on the line before. */
const ESCAPES: readonly [RegExp, string][] = [
  [/(?:[:<|&]|\bas|\bis|=>)\s*any\b(?!\s*\?)|\bany\[\]|,\s*any>/, 'any'],
  [/[\w$)\]]!(?=[.,;:)\][}\s]|$)/, 'a non-null assertion'],
];
const DIRECTIVES = /@ts-(?:ignore|expect-error|nocheck)(?!\s*\S*\s*\w+ \w+)|biome-ignore(?![^\n:]*: \w+ \w+)/;

function checkLines(path: string, source: string): string[] {
  const lines = source.split('\n');
  const code = codeOf(source).split('\n');
  const problems: string[] = [];
  const explained = (index: number): boolean => /\/\/|\*\//.test(`${lines[index - 1] ?? ''}\n${lines[index]}`);
  for (const [index, line] of code.entries()) {
    const place = `${path}:${index + 1}`;
    for (const [pattern, name] of ESCAPES) {
      if (pattern.test(line) && !explained(index)) problems.push(`${place}: ${name} without a reason`);
    }
    if (DIRECTIVES.test(lines[index]?.slice(line.trimEnd().length) ?? ''))
      problems.push(`${place}: a directive without a reason`);
    if (/\bexport\s+default\b|\bas\s+default\b/.test(line)) problems.push(`${place}: a default export`);
    const isExempt = path === 'lib/config.ts' || path.startsWith('test/');
    if (/\bprocess\s*(\.|\?\.)\s*env\b|\bprocess\[/.test(line) && !isExempt) problems.push(`${place}: process.env`);
  }
  return problems;
}

function checkFile(path: string, source: string): string[] {
  if (path.startsWith('codec/generated/')) return [];
  const problems = checkLines(path, source);
  const lineCount = source.split('\n').length - 1;
  if (lineCount > MAX_LINES) problems.push(`${path}: ${lineCount} lines, which wants splitting`);
  if (layerOf(path) === undefined) problems.push(`${path}: belongs to no layer`);
  if (!/^(#!.*\n)?\/[/*]/.test(source) && !path.endsWith('.test.ts'))
    problems.push(`${path}: does not open with a comment on its job`);
  return problems;
}

/** Everything in a tree that breaks a rule, one line each. */
function check(tree: Tree): string[] {
  const imports = [...tree].flatMap(([path, source]) => importsOf(path, source));
  const forbidden = imports.flatMap((one) => checkImport(one, tree) ?? []);
  return [...forbidden, ...findCycles(imports), ...[...tree].flatMap(([path, source]) => checkFile(path, source))];
}

function readTree(): Tree {
  const root = new URL('../', import.meta.url);
  const tree = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const name of readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })) {
      const path = posix.join(folder, name);
      if (path.endsWith('.ts')) tree.set(path, readFileSync(new URL(path, root), 'utf8'));
    }
  }
  return tree;
}

t.test('the sources keep the rules', async (t) => {
  const tree = readTree();
  for (const path of ['codec/strings.ts', 'exchanges/topic.ts', 'lib/config.ts', 'bin/leveret.ts'])
    t.ok(tree.has(path), path);
  t.strictSame(check(tree), []);
});

/** A tree of files that each open with a comment. */
function virtual(files: Record<string, string>): Tree {
  return new Map(Object.entries(files).map(([path, source]) => [path, `// Virtual.\n${source}\n`]));
}

t.test('a tree that breaks no rule passes', async (t) => {
  const good = virtual({
    'codec/strings.ts':
      "import { Buffer } from 'node:buffer';\n// import x from '../lib/server.ts';\nexport const text = \"import '../bin/x.ts'\";",
    'codec/generated/methods.ts': `${'export const a = 1 as any;\n'.repeat(500)}`,
    'exchanges/topic.ts': 'export type Topic = string; export const divide = (a: number, b: number) => a / b / 2;',
    'lib/core/queue.ts':
      "import type { Topic } from '../../exchanges/topic.ts';\nimport { text } from '../../codec/strings.ts';\nimport type { M } from './message.ts';",
    'lib/core/message.ts': "import { Queue } from './queue.ts';\nexport const isAny = /any!;/.test('x') !== true;",
    'lib/config.ts': 'export const env = process.env;',
    'lib/protocols/amqp/channel.ts':
      "import { M } from '../../core/message.ts';\nimport '../../../codec/generated/methods.ts';",
    'lib/server.ts': "import './protocols/amqp/channel.ts';",
    'bin/leveret.ts': "import '../lib/config.ts';\nconst x = 1 as any; // A reason for it.",
  });
  t.strictSame(check(good), []);
});

t.test('every rule can be broken', async (t) => {
  const other = {
    'lib/server.ts': '',
    'lib/core/queue.ts': '',
    'lib/storage/log.ts': '',
    'codec/frame-parser.ts': '',
    'lib/auth/users.ts': '',
  };
  const cases: [rule: string, path: string, source: string, problem: RegExp][] = [
    ['codec imports core', 'codec/x.ts', "import { Q } from '../lib/core/queue.ts';", /codec must not/],
    ['a type counts', 'exchanges/x.ts', "import type { Q } from '../lib/core/queue.ts';", /exchanges must not/],
    [
      'over several lines',
      'exchanges/x.ts',
      "import {\n  Q,\n  R,\n} from '../lib/core/queue.ts';",
      /exchanges must not/,
    ],
    ['an export counts', 'lib/auth/x.ts', "export * from '../core/queue.ts';", /lib\/auth must not/],
    ['a side effect counts', 'lib/auth/x.ts', "import '../core/queue.ts';", /lib\/auth must not/],
    [
      'a dynamic import counts',
      'lib/core/x.ts',
      "export const x = () => import('../storage/log.ts');",
      /lib\/core must not/,
    ],
    [
      'an import in a type counts',
      'lib/core/x.ts',
      "export type X = import('../auth/users.ts').User;",
      /lib\/core must not/,
    ],
    ['core imports frames', 'lib/core/x.ts', "import '../../codec/frame-parser.ts';", /lib\/core must not/],
    ['a protocol imports storage', 'lib/protocols/amqp/x.ts', "import '../../storage/log.ts';", /amqp must not/],
    ['only the root wires', 'lib/protocols/amqp/x.ts', "import '../../server.ts';", /amqp must not/],
    ['bin reaches inside', 'bin/x.ts', "import '../lib/core/queue.ts';", /bin must not/],
    ['core opens a socket', 'lib/core/x.ts', "import { connect } from 'node:net';", /does no I\/O/],
    ['codec uses a package', 'codec/x.ts', "import { pino } from 'pino';", /does no I\/O/],
    ['a file that is not there', 'lib/core/x.ts', "import './nowhere.ts';", /not there/],
    ['no layer', 'lib/stray.ts', '', /belongs to no layer/],
    ['process.env', 'lib/core/x.ts', 'export const x = process.env.X;', /:2: process\.env/],
    ['default export', 'lib/core/x.ts', 'export default class {}', /:2: a default export/],
    ['renamed to default', 'lib/core/x.ts', 'const x = 1;\nexport { x as default };', /:3: a default export/],
    ['any', 'lib/core/x.ts', 'export const a = 1;\nexport const x = (y: any) => y;', /:3: any without/],
    ['as any', 'test/x.ts', 'export const a = 1;\nexport const x = 1 as any;', /:3: any without/],
    ['non-null', 'lib/core/x.ts', 'export const a = 1;\nexport const x = [1][0]!;', /:3: a non-null/],
    ['ts-ignore', 'lib/core/x.ts', '// @ts-ignore\nexport const x = 1;', /:2: a directive/],
    ['biome-ignore', 'lib/core/x.ts', '// biome-ignore lint/x: no\nexport const x = 1;', /:2: a directive/],
    ['length', 'test/x.ts', 'export {};\n'.repeat(400), /401 lines|402 lines/],
  ];
  for (const [rule, path, source, problem] of cases) {
    const problems = check(virtual({ ...other, [path]: source }));
    t.equal(problems.length, 1, `${rule}: ${problems.join('; ')}`);
    t.match(problems[0], problem, rule);
  }
  const cycle = virtual({
    'lib/core/a.ts': "import './b.ts';",
    'lib/core/b.ts': "export { c } from './c.ts';",
    'lib/core/c.ts': "import { a } from './a.ts';\nexport const c = a;",
  });
  t.strictSame(check(cycle), ['cycle: lib/core/a.ts -> lib/core/b.ts -> lib/core/c.ts -> lib/core/a.ts']);
  t.match(check(new Map([['lib/core/x.ts', 'export {};\n']])), [/does not open with a comment/]);
});

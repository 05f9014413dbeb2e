/** The layout of style section 2.3, checked: which folder may import which, and what no file may do. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';
import { projectPath } from '../support/tools.ts';

const MODEL = ['compiler', 'compiler/model'];
const PARSE = [...MODEL, 'compiler/model/parse'];
const CALC = [...MODEL, 'compiler/selector', 'compiler/calc'];
const COMPILER = [
  ...PARSE,
  ...CALC,
  'compiler/lint',
  'compiler/ir',
  'compiler/nft',
  'compiler/oracle',
];
const AGENT = [
  'agent',
  'agent/check',
  'agent/dataplane',
  'agent/endpoints',
  'agent/engine',
  'agent/explain',
  'agent/flowlog',
  'agent/guard',
  'agent/kube',
  'agent/netlink',
  'agent/netlink/schema',
  'agent/obs',
  'agent/config',
  'agent/state',
  'agent/store',
  'agent/watch',
];

/** Folder to the folders it may import from, besides itself. One row per folder; `test/` may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  compiler: [],
  'compiler/model': ['compiler'],
  'compiler/model/parse': MODEL,
  'compiler/selector': MODEL,
  'compiler/calc': [...MODEL, 'compiler/selector'],
  'compiler/ir': CALC,
  // Hints come from the parser's word lists.
  'compiler/lint': [...CALC, 'compiler/model/parse'],
  'compiler/nft': [...CALC, 'compiler/ir'],
  // The judge of all others shares no code with them.
  'compiler/oracle': MODEL,
  agent: [],
  'agent/watch': [...PARSE, 'agent', 'agent/obs'],
  'agent/kube': [...PARSE, 'agent', 'agent/watch'],
  // Defaults are those of the table that they configure.
  'agent/config': [...PARSE, 'compiler/selector', 'compiler/nft', 'agent/watch'],
  'agent/store': [...PARSE, 'agent', 'agent/watch', 'agent/obs'],
  'agent/endpoints': [
    ...PARSE,
    'compiler/nft',
    'agent',
    'agent/native',
    'agent/netlink',
    'agent/netlink/schema',
    'agent/obs',
  ],
  'agent/native': [],
  'agent/netlink': [...MODEL, 'compiler/nft', 'agent', 'agent/native', 'agent/netlink/schema'],
  'agent/netlink/schema': ['agent/netlink'],
  'agent/dataplane': [
    ...MODEL,
    'compiler/nft',
    'agent',
    'agent/native',
    'agent/netlink',
    'agent/netlink/schema',
    'agent/obs',
  ],
  'agent/engine': [...COMPILER, ...AGENT],
  // Judges by the oracle alone, which shares no code with what it explains.
  'agent/explain': [...PARSE, 'compiler/oracle', 'agent/store', 'agent/watch'],
  // Joins what the kernel logs to what is governed; the oracle says what staged policies would have done.
  'agent/flowlog': [
    ...PARSE,
    'compiler/calc',
    'compiler/nft',
    'compiler/oracle',
    'agent',
    'agent/control',
    'agent/explain',
    'agent/native',
    'agent/netlink',
    'agent/netlink/schema',
    'agent/obs',
    'agent/state',
    'agent/store',
  ],
  // The host preflight.
  'agent/check': [
    ...MODEL,
    'compiler/nft',
    'agent',
    'agent/config',
    'agent/endpoints',
    'agent/native',
    'agent/netlink',
  ],
  // Finds with the compiled programs, confirms with the oracle.
  'agent/diff': [
    ...COMPILER,
    'agent/dataplane',
    'agent/explain',
    'agent/flowlog',
    'agent/netlink',
    'agent/store',
  ],
  'agent/obs': ['agent'],
  // A table as a file: knows how it is sent, not why it is so.
  'agent/state': ['compiler', 'compiler/nft', 'agent', 'agent/native', 'agent/netlink'],
  // Goes back to a state. What it refuses to try again and what it warns of, it asks the compiler and the oracle.
  'agent/guard': [...COMPILER, ...AGENT, 'agent/native'],
  'agent/runner': [...COMPILER, ...AGENT, 'agent/native'],
  // What the running agent tells of itself, and the client that asks.
  'agent/control': [...COMPILER, ...AGENT, 'agent/diff', 'agent/native', 'agent/runner'],
  // The composition root: the only place that chooses implementations.
  'agent/cli': [
    ...COMPILER,
    ...AGENT,
    'agent/control',
    'agent/diff',
    'agent/native',
    'agent/runner',
  ],
  // The man page and the completion are made from the command tree.
  scripts: ['scripts/crds', 'agent/cli', 'scripts/package'],
  'scripts/crds': [],
  'scripts/package': ['agent/config'],
  bench: [
    ...COMPILER,
    ...AGENT,
    'agent/native',
    'scripts/package',
    'test/support',
    'test/support/api-server',
  ],
  // The demo is a test for people, so it stands on the same ground as the tests.
  demo: ['compiler', 'agent/native', 'agent/netlink', 'agent/netlink/schema', 'test/support'],
};

const ROOTS = ['compiler', 'agent', 'scripts', 'bench', 'demo', 'test'];
/** Whose output is a function of their input alone; a path ends at a folder's or a file's end. */
const PURE = [
  'compiler/',
  'agent/dataplane/plan.ts',
  'agent/diff/',
  'agent/explain/',
  'agent/netlink/',
  'agent/store/',
];
/** Writes to standard error what goes by, when it was started with NLDEBUG=1. */
const TRACE = 'agent/netlink/debug.ts';
/** Clock, randomness, environment and world, as far as no import tells of them. */
const AMBIENT =
  /\b(?:Date\.now\(|new Date\(\)|performance\.|Math\.random|process\.|console\.|set(?:Timeout|Interval|Immediate)\(|fetch\()/;

/** The one file of compiler/ that may import `node:` modules: a digest is a pure function. */
const HASH = 'compiler/hash.ts';

const IMPORT = /(?:^(?:import|export|\}).*?\bfrom |^import |\bimport\()'([^'\n]+)'/gm;

/** Values; types are exported with what mentions them. */
const EXPORT = /^export (?:async )?(?:const|let|function\*?|class) (\w+)/gm;

const files = ROOTS.filter((root) => existsSync(projectPath(root))).flatMap(listSources);
const imports = new Map(files.map((file) => [file, readImports(file)]));

function listSources(root: string): string[] {
  return readdirSync(projectPath(root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, name))
    .sort();
}

function readSource(file: string): string {
  return readFileSync(projectPath(file), 'utf8');
}

/** What a file imports: paths from the project's root for its own files, bare names for packages. */
function readImports(file: string): string[] {
  return [...readSource(file).matchAll(IMPORT)].map(([, target = '']) =>
    target.startsWith('.') ? normalize(join(dirname(file), target)) : target,
  );
}

/** Without comments. */
function readCode(file: string): string {
  return readSource(file).replaceAll(/\/\*[^]*?\*\/|^ *\/\/.*$/gm, '');
}

function isImported(file: string, name: string): boolean {
  const word = new RegExp(`\\b${name}\\b`);
  return [...imports].some(
    ([other, targets]) => targets.includes(file) && word.test(readSource(other)),
  );
}

function isOwnFile(target: string): boolean {
  return ROOTS.includes(target.split('/')[0] ?? '') && target.endsWith('.ts');
}

test('every import goes in an allowed direction', (t) => {
  const forbidden = [...imports].flatMap(([file, targets]) => {
    const folder = dirname(file);
    if (folder.startsWith('test')) return [];
    const allowed = MAY_IMPORT[folder];
    if (allowed === undefined) return [`${folder}/ has no row in MAY_IMPORT`];
    return targets
      .filter(isOwnFile)
      .map((target) => dirname(target))
      .filter((target) => target !== folder && !allowed.includes(target))
      .map((target) => `${file} -> ${target}/`);
  });
  t.deepEqual(forbidden, []);
});

test('the compiler is pure: no packages, and node: only in hash.ts', (t) => {
  const impure = [...imports]
    .filter(([file]) => file.startsWith('compiler/') && file !== HASH)
    .flatMap(([file, targets]) =>
      targets.filter((target) => !isOwnFile(target)).map((target) => `${file} -> ${target}`),
    );
  t.deepEqual(impure, []);
});

test('what is pure asks for no time, no randomness and nothing of the process', (t) => {
  const impure = files.filter(
    (file) =>
      PURE.some((path) => file.startsWith(path)) && file !== TRACE && AMBIENT.test(readCode(file)),
  );
  t.deepEqual(impure, []);
  t.true(AMBIENT.test(readCode(TRACE)));
});

test('what is exported is imported somewhere', (t) => {
  const exporting = files.filter(
    (file) => !file.endsWith('.generated.ts') && !file.endsWith('.test.ts'),
  );
  const unused = exporting.flatMap((file) =>
    [...readSource(file).matchAll(EXPORT)]
      .map(([, name = '']) => name)
      .filter((name) => !isImported(file, name))
      .map((name) => `${file}: ${name}`),
  );
  t.deepEqual(unused, []);
});

test('the README says what is in every folder', (t) => {
  const [, layout = ''] = readSource('README.md').split('\n## Layout\n');
  const folders = ['.', 'agent', 'compiler'].flatMap((parent) =>
    readdirSync(projectPath(parent), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !isOfTools(entry.name))
      .map(({ name }) => (parent === '.' ? `${name}/` : name)),
  );
  t.deepEqual(
    folders.filter((name) => !layout.includes(`\`${name}\``)),
    [],
  );
});

/** Made by programs, or explained where they are used. */
function isOfTools(folder: string): boolean {
  return folder.startsWith('.') || ['adr', 'bin', 'build', 'dist', 'node_modules'].includes(folder);
}

test('only those that choose implementations load the addon', (t) => {
  const loaders = files.filter((file) => /\bloadNative\(\)/.test(readSource(file)));
  const others = loaders.filter(
    (file) => !['agent/cli', 'agent/native', 'bench', 'demo'].includes(dirname(file)),
  );
  t.deepEqual(
    others.filter((file) => !file.startsWith('test/')),
    [],
  );
  t.true(loaders.length > 0);
});

test('every own import names a file that exists', (t) => {
  const missing = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => isOwnFile(target) && !imports.has(target))
      .map((target) => `${file} -> ${target}`),
  );
  t.deepEqual(missing, []);
});

test('there are no barrels', (t) => {
  t.deepEqual(
    files.filter((file) => file.endsWith('/index.ts')),
    [],
  );
});

test('files are named in kebab-case', (t) => {
  const odd = files.filter((file) => !/^[a-z0-9/-]+(\.(test|generated))?\.ts$/.test(file));
  t.deepEqual(odd, []);
});

test('no file imports itself by way of others', (t) => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file);
    if (at >= 0) cycles.push([...trail.slice(at), file].join(' -> '));
    if (at >= 0 || done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  t.deepEqual(cycles, []);
});

test('this reads imports as they are written here', (t) => {
  t.true(imports.get('test/unit/architecture.test.ts')?.includes('test/support/tools.ts'));
  t.true(imports.get('test/unit/architecture.test.ts')?.includes('node:path'));
  t.true(files.length > 30);
});

/**
 * Compiles the native addon with the C compiler alone. In: agent/native/*.c and the Node-API headers of node_modules. Out:
 * build/picket.node, or build/picket.asan.node with --sanitize; says one line when it built, nothing when there was nothing to
 * do. Refuses to know: Node's own headers, node-gyp, the network.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const SOURCE_FOLDER = join(ROOT, 'agent/native');
const BUILD_FOLDER = join(ROOT, 'build');

const FLAGS = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-pthread'];
const RELEASE_FLAGS = [
  '-O2',
  '-fvisibility=hidden',
  '-fstack-protector-strong',
  '-D_FORTIFY_SOURCE=2',
  '-Wl,-z,relro,-z,now',
];
const SANITIZE_FLAGS = [
  '-O1',
  '-g',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=undefined',
];

const NO_COMPILER = `no C compiler: the addon that speaks netlink has to be compiled once.
  Debian, Ubuntu:  apt-get install gcc libc6-dev
  Fedora, RHEL:    dnf install gcc
  Alpine:          apk add gcc musl-dev linux-headers
Another compiler can be named in the environment variable CC.`;

const options = parseArgs({ options: { sanitize: { type: 'boolean', default: false } } }).values;
process.exitCode = build(options.sanitize);

/** The exit code. */
function build(sanitize: boolean): number {
  const output = join(BUILD_FOLDER, sanitize ? 'picket.asan.node' : 'picket.node');
  const files = readdirSync(SOURCE_FOLDER).filter((name) => /\.[ch]$/.test(name));
  const inputs = files.map((name) => join(SOURCE_FOLDER, name));
  const [compiler = 'cc', ...ownFlags] = (process.env['CC'] ?? 'cc').trim().split(/\s+/);
  const flags = [
    ...ownFlags,
    ...FLAGS,
    ...(sanitize ? SANITIZE_FLAGS : RELEASE_FLAGS),
    '-DNAPI_VERSION=9',
    `-I${join(ROOT, 'node_modules/node-api-headers/include')}`,
    ...inputs.filter((name) => name.endsWith('.c')).sort(),
  ];
  const command = JSON.stringify([process.arch, compiler, ...flags]);
  if (isCurrent(output, inputs, command)) return 0;
  return compile(compiler, flags, output, command);
}

/** The command that made an output is kept beside it: other flags, another compiler or a new file build again. */
function commandFile(output: string): string {
  return `${output}.command`;
}

function isCurrent(output: string, inputs: readonly string[], command: string): boolean {
  const built = modified(output);
  if (built === undefined || modified(commandFile(output)) === undefined) return false;
  if (readFileSync(commandFile(output), 'utf8') !== command) return false;
  return inputs.every((input) => (modified(input) ?? Infinity) <= built);
}

function modified(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function compile(
  compiler: string,
  flags: readonly string[],
  output: string,
  command: string,
): number {
  mkdirSync(BUILD_FOLDER, { recursive: true });
  // A running process may have the old file mapped: it is replaced, never written into.
  const fresh = `${output}.${process.pid}.tmp`;
  const started = Date.now();
  const result = spawnSync(compiler, [...flags, '-o', fresh], { stdio: ['ignore', 2, 2] });
  if (result.error !== undefined) {
    const absent = 'code' in result.error && result.error.code === 'ENOENT';
    console.error(absent ? `${compiler}: ${NO_COMPILER}` : String(result.error));
    return 1;
  }
  if (result.status !== 0) {
    console.error(`${compiler} did not compile ${relative(ROOT, SOURCE_FOLDER)}; see above`);
    return 1;
  }
  // Sources saved during the compilation must look newer than the output.
  utimesSync(fresh, started / 1000, started / 1000);
  renameSync(fresh, output);
  writeFileSync(commandFile(output), command);
  console.error(`built ${relative(ROOT, output)} in ${Date.now() - started} ms`);
  return 0;
}

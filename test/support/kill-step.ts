/**
 * Loaded into a `picket` process ahead of it (`node --import`): counts each step that has an effect outside of the process, and ends the process
 * ahead of step PICKET_TEST_KILL_AT by PICKET_TEST_KILL_SIGNAL. Between two steps nothing changes outside, so ahead of each is at every moment.
 * Only in the command PICKET_TEST_KILL_COMMAND: the guard that an apply starts inherits the environment. Steps and the kill itself are
 * written to PICKET_TEST_KILL_LOG, which is what proves them, and that the process does something of its own at SIGTERM. Without imports of ours, since the program may be a bundle.
 */
import child from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

const { env } = process;
const killAt = Number(env['PICKET_TEST_KILL_AT']);
const signal = env['PICKET_TEST_KILL_SIGNAL'] ?? 'SIGKILL';
const { writeSync } = fs;
const log = fs.openSync(env['PICKET_TEST_KILL_LOG'] ?? '', 'a');

let count = 0;

function step(what: string): void {
  count++;
  writeSync(log, `${what}\n`);
  if (process.listenerCount('SIGTERM') > 0) writeSync(log, 'hears SIGTERM\n');
  if (count !== killAt) return;
  writeSync(log, `killed ${signal}\n`);
  process.kill(process.pid, signal);
}

type Call = (this: unknown, ...args: readonly unknown[]) => unknown;

/** `isStep`: of the arguments, where a call may be harmless. */
function countCalls(
  owner: object,
  name: string,
  isStep: (args: readonly unknown[]) => boolean = () => true,
): void {
  const original = Reflect.get(owner, name) as Call;
  const counted: Call = function (...args) {
    if (isStep(args)) step(describe(name, args));
    return Reflect.apply(original, this, args);
  };
  Reflect.set(owner, name, counted);
}

function describe(name: string, args: readonly unknown[]): string {
  const paths = args.slice(0, 2).filter((arg) => typeof arg === 'string');
  return [name, ...paths.map((path) => basename(path.split('\n')[0] ?? ''))].join(' ');
}

const { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC } = fs.constants;

function isForWriting([, flags]: readonly unknown[]): boolean {
  return typeof flags === 'string'
    ? /[wa+]/.test(flags)
    : typeof flags === 'number' && (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) !== 0;
}

const CHANGING = ['mkdir', 'rename', 'rm', 'link', 'unlink', 'truncate', 'writeFile', 'chmod'];

async function countFiles(): Promise<void> {
  for (const name of CHANGING) {
    countCalls(fs.promises, name);
    countCalls(fs, `${name}Sync`, ([path]) => !String(path).startsWith('/proc/'));
  }
  const file = await fs.promises.open('/dev/null');
  const handle = Object.getPrototypeOf(file) as object;
  await file.close();
  for (const name of ['writeFile', 'write', 'sync', 'truncate']) countCalls(handle, name);
  countCalls(fs.promises, 'open', isForWriting);
  countCalls(fs, 'openSync', isForWriting);
  countCalls(fs, 'fsyncSync');
}

/** Transactions: what asks the kernel for something changes nothing. */
function countTransactions(): void {
  const load = process.dlopen.bind(process);
  type Rest = readonly [filename: string, flags?: number];
  Reflect.set(process, 'dlopen', (module: { exports: object }, ...rest: Rest) => {
    load(module, ...rest);
    module.exports = { ...module.exports };
    countCalls(module.exports, 'exchange', ([, , expect]) => expect === 'acks');
  });
}

if (process.argv[2] === env['PICKET_TEST_KILL_COMMAND']) {
  await countFiles();
  countTransactions();
  countCalls(child, 'spawn');
  // What it says decides too: a guard that says that it is ready.
  countCalls(process.stdout, 'write');
  syncBuiltinESMExports();
}

/**
 * The agent as the package has it, one bundled file beside the addon, in a folder of its own: starts five times as fast as the sources. With
 * kill-step.ts beside it. Gone with the process.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { execa } from 'execa';
import { bundleAgent } from '../../scripts/package/bundle.ts';
import { DIRECTORIES } from './cli.ts';
import { importing, projectPath } from './tools.ts';

export interface Program {
  readonly main: string;
  readonly killer: string;
  readonly folder: string;
}

let made: Promise<Program> | undefined;

/** Made once per test file. */
export function packaged(): Promise<Program> {
  made ??= make();
  return made;
}

async function make(): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), 'picket-packaged-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['agent/cli', 'build']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(projectPath('build/picket.node'), join(folder, 'build/picket.node'));
  const main = join(folder, 'agent/cli/main.mjs');
  writeFileSync(main, (await bundleAgent(projectPath('.'))).text);
  const source = readFileSync(projectPath('test/support/kill-step.ts'), 'utf8');
  const killer = join(folder, 'kill-step.mjs');
  writeFileSync(killer, (await transform(source, { loader: 'ts', format: 'esm' })).code);
  return { main, killer, folder };
}

export interface Stepped {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the command to its end, whatever ends it. One that does not end by itself is told to as soon as what it writes has `until`.
 */
export async function packagedPicket(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  until?: string,
): Promise<Stepped> {
  const { main } = await packaged();
  const child = execa(process.execPath, [main, ...args], {
    reject: false,
    timeout: 120_000,
    env: { ...DIRECTORIES, ...env },
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (until !== undefined && text.includes(until)) child.kill('SIGTERM');
  });
  const { exitCode, signal, stdout, stderr } = await child;
  return { exitCode, signal, stdout, stderr };
}

export interface Kill {
  /** The command whose process it is. */
  readonly command: string;
  /** Ahead of which step; Infinity = of none. */
  readonly at: number;
  readonly signal?: NodeJS.Signals;
}

export interface Killing {
  /** Of the process, and of what it starts. */
  readonly env: Readonly<Record<string, string>>;
  /** Those that were counted until now. */
  readonly steps: () => readonly string[];
  readonly wasKilled: () => boolean;
  /** Whether SIGTERM was not left to the kernel, which ends a process as by SIGKILL, ahead of any step. */
  readonly hears: () => boolean;
}

export async function killing({ command, at, signal = 'SIGKILL' }: Kill): Promise<Killing> {
  const { killer, folder } = await packaged();
  const log = join(mkdtempSync(join(folder, 'steps-')), 'log');
  writeFileSync(log, '');
  const lines = (): readonly string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1);
  return {
    env: {
      NODE_OPTIONS: importing(killer),
      PICKET_TEST_KILL_COMMAND: command,
      PICKET_TEST_KILL_AT: String(at),
      PICKET_TEST_KILL_SIGNAL: signal,
      PICKET_TEST_KILL_LOG: log,
    },
    steps: () => lines().filter((line) => !/^(?:killed|hears) /.test(line)),
    wasKilled: () => lines().includes(`killed ${signal}`),
    hears: () => lines().includes('hears SIGTERM'),
  };
}

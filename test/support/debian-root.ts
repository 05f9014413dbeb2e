/**
 * A clean Debian system in a folder, to install packages in: the smallest that debootstrap makes, of the release that this machine
 * runs. Fetched once and kept as build/debian-RELEASE.tar. Commands run in it see its files, their own /proc, and a network namespace.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Netns } from './netns.ts';
import { projectPath, requireSystemTool, systemTool } from './tools.ts';

/** From a slow mirror. */
const FETCH_TIMEOUT_MS = 300_000;

function release(): string | undefined {
  const text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID=debian$/m.test(text) ? /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1] : undefined;
}

function archive(of: string): string {
  return projectPath(`build/debian-${of}.tar`);
}

/** Makes the archive where it is not there yet; why that is impossible, or `undefined`. */
export function fetchDebian(): string | undefined {
  const of = release();
  if (of === undefined) return 'this machine does not run Debian';
  if (existsSync(archive(of))) return undefined;
  const debootstrap = systemTool('debootstrap');
  if (debootstrap === undefined) return 'no debootstrap command';
  const folder = mkdtempSync(join(tmpdir(), 'picket-debootstrap-'));
  try {
    const root = join(folder, 'root');
    const made = run(debootstrap, ['--variant=minbase', of, root]);
    if (made !== undefined) return made;
    mkdirSync(projectPath('build'), { recursive: true });
    // By rename: two test files may want it at once.
    const fresh = `${archive(of)}.${process.pid}.tmp`;
    const packed = run('tar', ['-C', root, '--numeric-owner', '-cf', fresh, '.']);
    if (packed === undefined) renameSync(fresh, archive(of));
    return packed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The last line of what went wrong. */
function run(command: string, args: readonly string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: FETCH_TIMEOUT_MS });
  if (result.status === 0) return undefined;
  const said = `${result.stdout}${result.stderr}`.trim().split('\n').at(-1);
  return `${command}: ${result.error?.message ?? said}`;
}

export interface InRoot {
  readonly exitCode: number | undefined;
  /** What it said on both streams, in order. */
  readonly said: string;
}

/** Mounts are gone with the process: they are in a namespace of its own. */
const ENTER = 'mkdir -p "$0/proc" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';

/** Runs a command with `folder` as its root directory, in the network namespace. */
export async function runInRoot(
  netns: Netns,
  folder: string,
  command: readonly string[],
): Promise<InRoot> {
  const { exitCode, all } = await startInRoot(netns, folder, command);
  return { exitCode, said: all };
}

/** Starts it; the process is the command itself, so that it can be killed. */
export function startInRoot(netns: Netns, folder: string, command: readonly string[]) {
  const net = `--net=${netns.path}`;
  const own = [requireSystemTool('unshare'), '--mount', '--', '/bin/sh', '-c', ENTER, folder];
  return execa(requireSystemTool('nsenter'), [net, '--', ...own, ...command], {
    all: true,
    reject: false,
    stdin: 'ignore',
    timeout: 600_000,
    extendEnv: false,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      DEBIAN_FRONTEND: 'noninteractive',
      LC_ALL: 'C',
    },
  });
}

/** A fresh copy, removed afterwards. Only where the capability `debian` is there. */
export async function withDebian(use: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'picket-debian-'));
  try {
    await execa('tar', ['-C', root, '-xpf', archive(release() ?? '')]);
    await use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

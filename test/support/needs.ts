/**
 * What a test needs of the machine. Capability names come in, `test` or `test.skip` declarations go out.
 * Every capability is probed once per test file, by doing the thing; the reason for a failure is kept and shown.
 * Refuses to know: what the tests do with it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fetchDebian } from './debian-root.ts';
import { projectPath, systemTool } from './tools.ts';

/** A probe: `undefined` = available, text = why it is not. */
type Probe = () => string | undefined;

const PROBES = {
  /** uid 0 in the initial user namespace. Not given under `unshare -r`. */
  root: probeRoot,
  /** Network namespaces and veth pairs can be made (root, or inside `unshare -rn`). */
  netns: () =>
    inNewNetns(['ip', 'link', 'add', 'name', 'end0', 'type', 'veth', 'peer', 'name', 'end1']),
  /** The nft command, and nf_tables in the kernel. */
  nft: () => inNewNetns(['nft', 'add', 'table', 'inet', 'probe']),
  /** iptables on nf_tables, with the extensions that Docker uses. */
  iptables: () =>
    inNewNetns(['iptables-nft', '-A', 'FORWARD', '-m', 'addrtype', '--dst-type', 'LOCAL']),
  /** The conntrack command, and its netlink family in the kernel. */
  conntrack: () => inNewNetns(['conntrack', '-L']),
  /** A C compiler with headers and libc. */
  cc: () => compileAndRun([]),
  /** The C compiler's address sanitizer, at run time too. */
  asan: () => compileAndRun(['-fsanitize=address']),
  /** The helm command, which renders charts without a cluster. */
  helm: () => firstError(systemTool('helm') ?? 'helm', ['version']),
  /** systemd-analyze, which judges unit files; nothing of systemd has to run. */
  systemd: probeSystemd,
  /** Mount namespaces with overlays. */
  overlay: probeOverlay,
  /** The native addon is built and loads. */
  addon: probeAddon,
  /** What makes Debian packages: dpkg-deb, and binutils. */
  packaging: () => lacking('dpkg-deb', 'strip', 'objdump'),
  /** A clean Debian system to install in; the first probe fetches one from its mirror (see debian-root.ts). */
  debian: () => probeRoot() ?? lacking('chroot', 'unshare', 'tar') ?? fetchDebian(),
  bash: () => lacking('bash'),
  /** Renders man pages. */
  groff: () => lacking('groff'),
} as const satisfies Record<string, Probe>;

export type Capability = keyof typeof PROBES;

const results = new Map<Capability, string | undefined>();

/** Why the machine lacks a capability, in a few words; `undefined` when it has it. Probes on the first call. */
export function missing(capability: Capability): string | undefined {
  if (!results.has(capability)) results.set(capability, PROBES[capability]());
  return results.get(capability);
}

/**
 * Declares a test that needs `caps`. Where one is missing the test is skipped under a title that names it and why; under
 * REQUIRE_KERNEL=1 (CI) it fails instead, so that no test can be skipped everywhere. Serial: kernel tests share two cores.
 */
export function kernelTest(
  title: string,
  caps: readonly Capability[],
  fn: (t: ExecutionContext) => Promise<void> | void,
): void {
  const lacking = caps
    .map((capability) => ({ capability, reason: missing(capability) }))
    .filter(({ reason }) => reason !== undefined)
    .map(({ capability, reason }) => `needs ${capability}: ${reason}`)
    .join('; ');
  if (lacking === '') {
    test.serial(title, fn);
  } else if (process.env['REQUIRE_KERNEL'] === '1') {
    test(title, (t) => t.fail(`REQUIRE_KERNEL=1, but the machine lacks it: ${lacking}`));
  } else {
    test.skip(`${title} [${lacking}]`, fn);
  }
}

function probeRoot(): string | undefined {
  if (process.getuid?.() !== 0) return 'uid is not 0';
  const firstRange = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  return firstRange.join(' ') === '0 0 4294967295' ? undefined : 'inside a user namespace';
}

/** The first of these commands that the system has not. */
function lacking(...commands: readonly string[]): string | undefined {
  const absent = commands.find((name) => systemTool(name) === undefined);
  return absent === undefined ? undefined : `no ${absent} command`;
}

/** Runs a system command in a fresh network namespace. */
function inNewNetns(command: readonly [string, ...string[]]): string | undefined {
  const unshare = systemTool('unshare');
  const tool = systemTool(command[0]);
  if (unshare === undefined) return 'no unshare command (util-linux)';
  if (tool === undefined) return `no ${command[0]} command`;
  return firstError(unshare, ['--net', tool, ...command.slice(1)]);
}

function probeSystemd(): string | undefined {
  const analyze = systemTool('systemd-analyze');
  return analyze === undefined
    ? 'no systemd-analyze command'
    : firstError(analyze, ['syscall-filter', '--no-pager', '@default']);
}

function probeOverlay(): string | undefined {
  const script = `mount --make-rprivate / && mount -t tmpfs probe /mnt && cd /mnt && mkdir upper work &&
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc && mkdir /etc/picket-probe`;
  return firstError('unshare', ['--mount', 'sh', '-c', script]);
}

function compileAndRun(flags: readonly string[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'picket-probe-'));
  try {
    const source = join(folder, 'probe.c');
    const binary = join(folder, 'probe');
    writeFileSync(source, '#include <stdio.h>\nint main(void) { return puts("ok") < 0; }\n');
    const compiler = process.env['CC'] ?? 'cc';
    return firstError(compiler, [...flags, '-o', binary, source]) ?? firstError(binary, []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function probeAddon(): string | undefined {
  const path = projectPath('build/picket.node');
  if (!existsSync(path)) return 'build/picket.node is not built (npm run build)';
  try {
    createRequire(import.meta.url)(path);
    return undefined;
  } catch (error) {
    return `build/picket.node does not load: ${firstLine(String(error))}`;
  }
}

/** First line of what a failed command said; `undefined` when it succeeded. */
function firstError(command: string, args: readonly string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000 });
  if (result.error !== undefined) return result.error.message;
  if (result.status === 0) return undefined;
  return firstLine(result.stderr) || `${command} ended with ${result.status ?? result.signal}`;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

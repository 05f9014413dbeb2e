/**
 * Runs the command line of a unit file as systemd would run it: capabilities, no_new_privs, system call filter, address families, a
 * read-only file system with the unit's own directories, the variables of sd_notify. Comes in: the unit and a network namespace. What
 * it does not do: cgroups, /proc and /dev as systemd hides them, restarts.
 */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildTool } from './c-tool.ts';
import { projectPath, requireSystemTool } from './tools.ts';
import { words } from './unit-file.ts';
import type { UnitFile } from './unit-file.ts';

/** Values of socket(2) on every architecture that we run on. */
const FAMILIES: Readonly<Record<string, number>> = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
};

/** What stands in a sandbox under the names of the real ones, and outlives it. */
export interface ServiceFolders {
  readonly root: string;
  /** `/etc/picket`. */
  readonly configuration: string;
  /** `/var/lib/picket`. */
  readonly state: string;
  /** `/var/log/picket`. */
  readonly logs: string;
  /** `/run/picket`. */
  readonly runtime: string;
  close(): void;
}

export function openServiceFolders(): ServiceFolders {
  const root = mkdtempSync(join(tmpdir(), 'picket-unit-'));
  const folders = {
    configuration: join(root, 'configuration'),
    state: join(root, 'state'),
    logs: join(root, 'logs'),
    runtime: join(root, 'runtime'),
  };
  for (const folder of [...Object.values(folders), join(root, 'overlay')]) mkdirSync(folder);
  return { root, ...folders, close: () => rmSync(root, { recursive: true, force: true }) };
}

/** A command line that runs another one, by default the unit's own, as the unit would. */
export async function sandboxed(
  unit: UnitFile,
  netnsPath: string,
  folders: ServiceFolders,
  command = (unit.get('Service.ExecStart')?.[0] ?? '').split(' '),
): Promise<readonly [string, ...string[]]> {
  return [
    requireSystemTool('nsenter'),
    `--net=${netnsPath}`,
    requireSystemTool('unshare'),
    '--mount',
    'sh',
    '-euc',
    MOUNTS,
    folders.root,
    projectPath('bin/picket'),
    requireSystemTool('setpriv'),
    `--bounding-set=-all${capabilities(unit)}`,
    '--inh-caps=-all',
    '--no-new-privs',
    await buildTool('sandbox'),
    (await allowedCalls(unit)).join(),
    words(unit, 'Service.RestrictAddressFamilies')
      .map((name) => FAMILIES[name])
      .join(),
    ...command,
  ];
}

/**
 * $0 = folder of the sandbox, $1 = the picket to install, the rest runs. New names in /etc, /var, /run and /usr/bin are in overlays
 * that nobody else sees; then everything is read-only but the unit's own directories, as with ProtectSystem=strict.
 */
const MOUNTS = `
  picket=$1; shift
  mount --make-rprivate /
  mount -t tmpfs overlay "$0/overlay"
  for at in /etc /var/lib /var/log /run /usr/bin; do
    layer="$0/overlay/$(echo "$at" | tr / -)"
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay overlay -o "lowerdir=$at,upperdir=$layer/upper,workdir=$layer/work" "$at"
  done
  mkdir -p /etc/picket /var/lib/picket /var/log/picket /run/picket
  ln -sf "$picket" /usr/bin/picket
  mount --bind "$0/configuration" /etc/picket
  mount --bind "$0/state" /var/lib/picket
  mount --bind "$0/logs" /var/log/picket
  mount --bind "$0/runtime" /run/picket
  own='^/(proc|sys|dev|run/picket|var/(lib|log)/picket)(/|$)'
  awk -v own="$own" '$5 !~ own { print $5 }' /proc/self/mountinfo | while read -r at; do
    # Those below an overlay are not seen any more, and refuse.
    mount -o remount,bind,ro "$at" 2>/dev/null || true
  done
  exec "$@"
`;

function capabilities(unit: UnitFile): string {
  return words(unit, 'Service.CapabilityBoundingSet')
    .map((name) => `,+${name.replace(/^CAP_/, '').toLowerCase()}`)
    .join('');
}

/** Numbers of what SystemCallFilter= allows: the groups by systemd's own list, the numbers by the C compiler. */
async function allowedCalls(unit: UnitFile): Promise<string[]> {
  const allowed = new Set<string>(await callsOf('@default'));
  for (const value of unit.get('Service.SystemCallFilter') ?? []) {
    const isDenied = value.startsWith('~');
    for (const group of value.replace('~', '').split(' ')) {
      for (const call of await callsOf(group)) {
        if (isDenied) allowed.delete(call);
        else allowed.add(call);
      }
    }
  }
  const source = ['#include <sys/syscall.h>', ...[...allowed].map((call) => `SYS_${call}`)];
  const { stdout } = await execa(process.env['CC'] ?? 'cc', ['-E', '-P', '-'], {
    input: `${source.join('\n')}\n`,
  });
  return stdout.split(/\s+/).filter((word) => /^\d+$/.test(word));
}

async function callsOf(group: string): Promise<string[]> {
  if (!group.startsWith('@')) return [group];
  const args = ['syscall-filter', '--no-pager', group];
  const { stdout } = await execa(requireSystemTool('systemd-analyze'), args);
  const members = stdout.split('\n').map((line) => line.trim());
  const names = members.filter((member) => /^@?[a-z0-9_-]+$/.test(member) && member !== group);
  return (await Promise.all(names.map(callsOf))).flat();
}

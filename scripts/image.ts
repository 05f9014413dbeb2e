/**
 * `node scripts/image.ts FOLDER`: everything that the container image holds, as a root file system. The Dockerfile runs this and copies the
 * folder into an empty image; without a container engine the folder serves as a chroot. No shell, no package manager, no other program.
 * Needs strip (binutils), ldd (libc) and a built addon.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIB, agentFiles } from './package/agent-files.ts';
import { writeTree } from './package/tree.ts';
import type { Entry } from './package/tree.ts';

const ROOT = join(import.meta.dirname, '..');

/** `kubectl exec … picket status`, where no shell could run the launcher of the package. */
const LAUNCHER = `#!${LIB}/bin/node\nimport '${LIB}/agent/cli/main.mjs';\n`;

/** Mount points of a read-only root, and what the resolver of libc reads. */
const SYSTEM: readonly Entry[] = [
  ...[
    '/dev',
    '/etc/picket/policies',
    '/proc',
    '/run/picket',
    '/sys',
    '/tmp',
    '/var/lib/picket',
  ].map((to): Entry => ({ to, folder: true })),
  { to: '/etc/passwd', content: 'root:x:0:0:root:/:/sbin/nologin\n' },
  { to: '/etc/group', content: 'root:x:0:\n' },
  { to: '/etc/nsswitch.conf', content: 'hosts: files dns\n' },
];

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node scripts/image.ts FOLDER');
  process.exit(2);
}
await makeImage(folder);

async function makeImage(image: string): Promise<void> {
  const stage = mkdtempSync(join(tmpdir(), 'picket-image-'));
  try {
    const { entries } = await agentFiles(ROOT, stage);
    const programs = entries.flatMap((entry) =>
      'from' in entry && /\/(?:node|picket\.node)$/.test(entry.to) ? [entry.from] : [],
    );
    const launcher: Entry = { to: '/usr/bin/picket', content: LAUNCHER, mode: 0o755 };
    writeTree(image, [...SYSTEM, ...libraries(programs), ...entries, launcher]);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** Shared libraries at the paths where the dynamic loader finds them, with the licences of the Debian packages they are from. */
function libraries(programs: readonly string[]): Entry[] {
  const paths = programs.flatMap((program) => {
    const text = execFileSync('ldd', [program], { encoding: 'utf8' });
    return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
  });
  return [...new Set(paths)].map((path) => ({ to: path, from: realpathSync(path), mode: 0o755 }));
}

/** The container image without a container engine: its root file system is made as the Dockerfile does, and the agent is started from it alone. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { Bench, NODE, WEB, policiesOf, policy, until } from '../support/cli.ts';
import { kernelTest } from '../support/needs.ts';
import { projectPath, requireSystemTool } from '../support/tools.ts';

/** Mounts as in the DaemonSet: a read-only root with writable /run/picket and /var/lib/picket; then nothing but the capabilities of the pod. */
const CONTAINER = `set -eu
mount --bind "$1" "$1"
mount -t tmpfs tmpfs "$1/run/picket"
mount -t tmpfs tmpfs "$1/var/lib/picket"
mount -t proc proc "$1/proc"
mount -o remount,bind,ro "$1"
root=$1 netns=$2
shift 2
exec nsenter --net="$netns" setpriv --no-new-privs --bounding-set=-all,+net_admin,+sys_chroot --inh-caps=-all \\
    chroot "$root" "$@"`;

function inContainer(root: string, netns: string, command: readonly string[]) {
  const args = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', CONTAINER, 'sh'];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', PICKET_NODE: NODE };
  const all = [...args, root, netns, ...command];
  return execa(requireSystemTool('unshare'), all, { env, extendEnv: false, reject: false });
}

/** `ENTRYPOINT` of the Dockerfile. */
function entryPoint(): string[] {
  const text = readFileSync(projectPath('Dockerfile'), 'utf8');
  return JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1] ?? '[]') as string[];
}

kernelTest('the agent runs from the image alone', ['root', 'netns', 'nft', 'addon'], async (t) => {
  const image = mkdtempSync(join(tmpdir(), 'picket-image-test-'));
  try {
    await execa(process.execPath, [projectPath('scripts/image.ts'), image]);
    t.deepEqual(readdirSync(join(image, 'usr/bin')), ['picket'], 'no other program');
    writeFileSync(join(image, 'etc/picket/policies/web.yaml'), WEB + '---\n' + policy('web'));
    await Bench.with({}, async (bench) => {
      const run = inContainer(image, bench.netns.path, [...entryPoint(), 'run', '-o', 'json']);
      try {
        await until(
          'the policy of the image is in the kernel',
          async () => (await bench.table()) !== undefined,
        );
        t.deepEqual(policiesOf(await bench.table()), ['web']);
        const status = await inContainer(image, bench.netns.path, ['/usr/bin/picket', '--version']);
        t.is(status.exitCode, 0, status.stderr);
      } finally {
        run.kill('SIGTERM');
        await run;
      }
    });
  } finally {
    rmSync(image, { recursive: true, force: true });
  }
});

test('the Dockerfile runs nothing but scripts that work without Docker', (t) => {
  const lines = readFileSync(projectPath('Dockerfile'), 'utf8').split('\n');
  const run = lines.filter((line) => line.startsWith('RUN ')).map((line) => line.slice(4));
  t.deepEqual(run, ['sh scripts/setup.sh', 'node_modules/.bin/node scripts/image.ts /image']);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { execa } from 'execa';
import { projectPath } from '../../support/tools.ts';

const ELEVATE = projectPath('scripts/elevate.ts');

const ENDINGS = [
  { name: 'an exit code', command: ['sh', '-c', 'exit 7'], out: { exitCode: 7 } },
  { name: 'success', command: ['true'], out: { exitCode: 0 } },
  { name: 'a signal', command: ['sh', '-c', 'kill -KILL $$'], out: { signal: 'SIGKILL' } },
  { name: 'no such command', command: ['picket-no-such-command'], out: { exitCode: 127 } },
  { name: 'no command', command: [], out: { exitCode: 2 } },
] as const;

for (const { name, command, out } of ENDINGS) {
  test(`elevate ends as its command does: ${name}`, async (t) => {
    const result = await execa(process.execPath, [ELEVATE, ...command], { reject: false });
    t.like({ exitCode: result.exitCode, signal: result.signal }, out);
  });
}

test('elevate gives arguments and output through unchanged', async (t) => {
  const { stdout } = await execa(process.execPath, [ELEVATE, 'printf', '%s|', 'a b', '$x', '']);
  t.is(stdout, 'a b|$x||');
});

test('elevate forwards a signal that only it received', async (t) => {
  const script = "trap 'exit 9' TERM; echo up; for i in $(seq 200); do sleep 0.05; done";
  const child = spawn(process.execPath, [ELEVATE, 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  t.deepEqual(await exited, [9, null]);
});

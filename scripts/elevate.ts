/**
 * Runs a command with as many rights as this user can get. In: `elevate.ts COMMAND ARGS...`. Out: its output, exit code and
 * signals. Root: as it is. Otherwise inside `unshare -rn` (a user namespace in which we are root over a network namespace of our
 * own), and where that is forbidden as it is, after saying on stderr what will be missing. Refuses to know: what the command does.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';

const UNSHARE = ['unshare', '-r', '-n', '--'] as const;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

const wanted = process.argv.slice(2);
if (wanted.length === 0) {
  console.error('usage: node scripts/elevate.ts COMMAND [ARGS...]');
  process.exitCode = 2;
} else {
  run(process.getuid?.() === 0 ? wanted : elevated(wanted));
}

function elevated(wanted: readonly string[]): readonly string[] {
  const [program, ...before] = UNSHARE;
  const probe = spawnSync(program, [...before, 'true'], { encoding: 'utf8', timeout: 10_000 });
  if (probe.status === 0) return [...UNSHARE, ...wanted];
  const reason = probe.error?.message ?? probe.stderr.trim();
  console.error(
    `elevate: not root, and no user namespace can be made (${reason}): running without CAP_NET_ADMIN and CAP_SYS_ADMIN; ` +
      'whatever needs the kernel is skipped',
  );
  return wanted;
}

function run([command = '', ...args]: readonly string[]): void {
  let child: ChildProcess | undefined;
  // Before the child exists, so that no signal can end us and leave it behind. A terminal sends its signals to the whole group,
  // so the child has them already; a supervisor sends them to us alone.
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (!process.stdin.isTTY || signal === 'SIGTERM') child?.kill(signal);
    });
  }
  child = spawn(command, args, { stdio: 'inherit' });
  child.on('error', (error) => {
    console.error(`elevate: ${command}: ${error.message}`);
    process.exitCode = 127;
  });
  child.on('exit', (code, signal) => {
    for (const name of FORWARDED) process.removeAllListeners(name);
    process.exitCode = code ?? 1;
    // End the same way, so that whoever waits for us sees it.
    if (signal !== null) process.kill(process.pid, signal);
  });
}

/**
 * One `picket run` per network namespace: two with different manifests would undo each other's rules for ever. Comes in: the namespace. Goes
 * out: a lock that the kernel gives up when the process ends, however it ends, or the error that names who has it.
 *
 * An abstract unix socket, named after the inode of the namespace. Abstract names belong to a network namespace, so an agent in a container
 * with the host's network and one beside it see each other, whatever they have mounted. Anybody may take such a name: a holder that is
 * another user, and not root, is told in the log and does not keep us from enforcing.
 */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError } from './exit.ts';

/** An agent that was just told to stop may take this long, milliseconds. */
const PATIENCE_MS = 3_000;
const RETRY_MS = 100;

export interface AgentLock {
  release(): void;
}

/** Throws CommandError when another agent has the namespace; a path that names none is for others to complain about. */
export async function lockNetns(
  netnsPath: string,
  warn: (message: string) => void,
): Promise<AgentLock> {
  const inode = await inodeOf(netnsPath === '' ? '/proc/self/ns/net' : netnsPath);
  if (inode === undefined) return { release: () => undefined };
  const name = lockName(inode);
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    const server = await listen(`\0${name}`);
    if (server !== undefined) return { release: () => void server.close() };
    if (waitedMs < PATIENCE_MS) {
      await delay(RETRY_MS);
      continue;
    }
    const holder = await findHolder(name);
    if (holder !== undefined && isStranger(holder)) {
      warn(`process ${holder.pid} of user ${holder.uid} has the lock @${name}; going on without`);
      return { release: () => undefined };
    }
    const who = holder === undefined ? '' : ` (process ${holder.pid})`;
    throw new CommandError(
      `another picket run${who} governs this network namespace already: stop it first`,
    );
  }
}

/** Process id of the `picket run` that has the namespace; `undefined` = none, or none that /proc shows. */
export async function runningAgent(netnsPath: string): Promise<number | undefined> {
  const inode = await inodeOf(netnsPath === '' ? '/proc/self/ns/net' : netnsPath);
  if (inode === undefined) return undefined;
  const holder = await findHolder(lockName(inode));
  return holder === undefined || isStranger(holder) ? undefined : holder.pid;
}

/** Anybody can take the name; an agent is root or the user that we are. */
function isStranger({ uid }: Holder): boolean {
  return uid !== 0 && uid !== process.getuid?.();
}

function lockName(inode: bigint): string {
  return `picket-run-${inode}`;
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await stat(path, { bigint: true })).ino;
  } catch {
    return undefined;
  }
}

/** `undefined` = somebody else has the name. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => resolve(server));
  });
}

interface Holder {
  readonly pid: number;
  readonly uid: number;
}

/** The process that has the abstract name; `undefined` where /proc does not show it. */
async function findHolder(name: string): Promise<Holder | undefined> {
  const sockets = await readFile('/proc/net/unix', 'utf8');
  const line = sockets.split('\n').find((each) => each.endsWith(` @${name}`));
  const inode = line?.trim().split(/\s+/)[6];
  if (inode === undefined) return undefined;
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || !(await hasSocket(entry, `socket:[${inode}]`))) continue;
    // Not the owner of the directory: that is root for whoever forbids core dumps.
    const status = await readFile(`/proc/${entry}/status`, 'utf8').catch(() => '');
    const uid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1];
    return uid === undefined ? undefined : { pid: Number(entry), uid: Number(uid) };
  }
  return undefined;
}

async function hasSocket(pid: string, target: string): Promise<boolean> {
  try {
    const folder = `/proc/${pid}/fd`;
    const links = await Promise.all(
      (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => '')),
    );
    return links.includes(target);
  } catch {
    return false;
  }
}

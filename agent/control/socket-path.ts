/** Where the agent of a network namespace listens: `picket.sock`, or one name per namespace where one is configured. */
import { statSync } from 'node:fs';
import { join } from 'node:path';

/** `netns` as in the configuration: '' = our own. Two paths of one namespace give one name. */
export function controlSocketPath(runDirectory: string, netns: string): string {
  if (netns === '') return join(runDirectory, 'picket.sock');
  return join(runDirectory, `picket-${inodeOf(netns)}.sock`);
}

/** A namespace that does not exist has no agent. */
function inodeOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? 'none' : String(found.ino);
}

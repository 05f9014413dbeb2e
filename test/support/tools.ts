/**
 * Where things are: files of this project, and commands of the system. npm puts node_modules/.bin first on the path, and a
 * package there ships a command called `nft` that is something else: system commands are looked up in system folders only.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const SYSTEM_FOLDERS = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
] as const;

const PROJECT_ROOT = join(import.meta.dirname, '../..');

/** Absolute path of a file named from the project's root. */
export function projectPath(relative: string): string {
  return join(PROJECT_ROOT, relative);
}

/** For NODE_OPTIONS, which knows no paths with spaces: the module is loaded ahead of the program. */
export function importing(path: string): string {
  return `--import=${pathToFileURL(path).href}`;
}

/** Absolute path of a system command such as `nft` or `ip`. */
export function systemTool(name: string): string | undefined {
  return SYSTEM_FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Like `systemTool`, for a caller that has already probed the capability. Throws where the command is missing. */
export function requireSystemTool(name: string): string {
  const path = systemTool(name);
  if (path === undefined) throw new Error(`no ${name} command in ${SYSTEM_FOLDERS.join(', ')}`);
  return path;
}

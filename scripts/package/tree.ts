/**
 * A folder that becomes a package. In: files with their place, mode and content. Out: the folder, with what dpkg wants to know of
 * it. Modes do not depend on the umask; times are set by dpkg-deb from SOURCE_DATE_EPOCH.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** One entry; `to` is absolute on the machine where the package is installed. */
export type Entry =
  | { readonly to: string; readonly from: string; readonly mode?: number }
  | { readonly to: string; readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly to: string; readonly link: string }
  | { readonly to: string; readonly folder: true };

const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

export function writeTree(root: string, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const path = join(root, entry.to);
    makeFolder(root, 'folder' in entry ? entry.to : dirname(entry.to));
    if ('folder' in entry) continue;
    if ('link' in entry) {
      symlinkSync(entry.link, path);
      continue;
    }
    if ('from' in entry) copyFileSync(entry.from, path);
    else writeFileSync(path, entry.content);
    chmodSync(path, entry.mode ?? FILE_MODE);
  }
}

function makeFolder(root: string, folder: string): void {
  if (folder !== '/') makeFolder(root, dirname(folder));
  mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, folder), FOLDER_MODE);
}

/** `DEBIAN/md5sums`: what `dpkg --verify` compares with. */
export function checksums(root: string, entries: readonly Entry[]): string {
  return entries
    .filter((entry) => 'from' in entry || 'content' in entry)
    .map(({ to }) => {
      const digest = createHash('md5')
        .update(readFileSync(join(root, to)))
        .digest('hex');
      return `${digest}  ${to.slice(1)}\n`;
    })
    .sort((a, b) => (a.slice(34) < b.slice(34) ? -1 : 1))
    .join('');
}

/** `Installed-Size`, KiB. */
export function installedKiB(root: string, entries: readonly Entry[]): number {
  return entries
    .map((entry) =>
      'from' in entry || 'content' in entry ? statSync(join(root, entry.to)).size : 0,
    )
    .reduce((sum, bytes) => sum + Math.ceil(bytes / 1024), 0);
}

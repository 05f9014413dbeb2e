/** What Picket reads and writes on disk: manifests, state, sockets. Nothing is written. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeErrno } from '../errors.ts';
import { failed, ok, warning } from './finding.ts';
import type { Finding, Probe } from './finding.ts';

export const FILE_PROBES: readonly Probe[] = [
  { name: 'node', run: ({ config }) => [ok(config.node)] },
  { name: 'manifests', run: ({ config }) => [probeManifests(config.manifests)] },
  { name: 'state directory', run: ({ config }) => [probeWritable(config.stateDirectory)] },
  { name: 'run directory', run: ({ config }) => [probeWritable(config.runDirectory)] },
];

/** Absent is not wrong: the machine can do it as soon as somebody writes one. */
export function probeManifests(folder: string): Finding {
  const nothing = warning(
    `${folder || 'no directory'} has no manifest: nothing would be enforced`,
    'write one there, or name another directory with manifests: DIR; then: picket lint',
  );
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const count = names.filter((name) => /\.(ya?ml|json)$/.test(name)).length;
    return count === 0 ? nothing : ok(`${folder}: ${count} ${count === 1 ? 'file' : 'files'}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing;
    const advice = 'let Picket read the directory, or name another with manifests: DIR';
    return failed(`${folder}: ${errnoText(error)}`, advice);
  }
}

/** Nothing is written: whether one may, of the directory or of what would have to hold it. */
export function probeWritable(folder: string): Finding {
  try {
    const place = nearestExisting(folder);
    accessSync(place, constants.W_OK | constants.X_OK);
    return ok(place === folder ? `${folder} can be written` : `${folder} will be made`);
  } catch (error) {
    return failed(
      `${folder}: ${errnoText(error)}`,
      'give Picket the right to write there, or configure another directory',
    );
  }
}

function nearestExisting(folder: string): string {
  const exists = statSync(folder, { throwIfNoEntry: false }) !== undefined;
  return exists || folder === dirname(folder) ? folder : nearestExisting(dirname(folder));
}

function errnoText(error: unknown): string {
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? String(error) : describeErrno(-errno);
}

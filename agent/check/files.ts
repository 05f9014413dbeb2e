/** What Picket reads and writes on disk: manifests, state, sockets. Nothing is written. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeErrno } from '../errors.ts';
import { failed, ok, warning } from './finding.ts';
import type { Finding, Probe } from './finding.ts';

export const FILE_PROBES: readonly Probe[] = [
  { name: 'node', run: ({ config }) => [judgeNode(config.node)] },
  { name: 'manifests', run: ({ config }) => [probeManifests(config.manifests)] },
  { name: 'state directory', run: ({ config }) => [probeWritable(config.stateDirectory)] },
  { name: 'run directory', run: ({ config }) => [probeWritable(config.runDirectory)] },
];

function judgeNode(node: string): Finding {
  if (node !== '') return ok(node);
  return warning(
    'no name is configured: each command needs --node',
    'say node: NAME in the configuration',
  );
}

export function probeManifests(folder: string): Finding {
  if (folder === '') {
    return warning(
      'no directory is configured: each command needs --manifests',
      'say manifests: DIR in the configuration',
    );
  }
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const count = names.filter((name) => /\.(ya?ml|json)$/.test(name)).length;
    if (count > 0) return ok(`${folder}: ${count} ${count === 1 ? 'file' : 'files'}`);
    return warning(
      `${folder} has no manifest yet: nothing would be enforced`,
      'write one, then: picket lint',
    );
  } catch (error) {
    return failed(
      `${folder}: ${errnoText(error)}`,
      'make the directory, or name another with manifests: DIR',
    );
  }
}

/** Nothing is written: whether one may, of the directory or of what would have to hold it. */
export function probeWritable(folder: string): Finding {
  const place = nearestExisting(folder);
  try {
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

/** Fields that several kinds of endpoint share. */
import type { Cidr } from '../ip.ts';
import type { Metadata } from './metadata.ts';
import { readRequiredName } from './names.ts';
import { readNets } from './nets.ts';
import { type Cursor, attempt, child, fail, readList, readString, show, warn } from './reader.ts';
import { isInheritedKey } from './well-known.ts';

const INTERFACE_NAME = /^[a-zA-Z0-9_.-]{1,15}$/;

/** Undefined when absent, empty or bad. `or-all`: `*` stands for every interface. */
export function readInterfaceName(at: Cursor, wildcard?: 'or-all'): string | undefined {
  const text = readString(at);
  if (text === undefined || text === '') return undefined;
  if (INTERFACE_NAME.test(text) || (text === '*' && wildcard === 'or-all')) return text;
  const also = wildcard === 'or-all' ? ', or "*"' : '';
  return fail(
    at,
    'interface-invalid',
    `${show(text)} is not an interface name: at most 15 letters, digits, "_", "-" and "."${also}`,
  );
}

/** In the order given: the first that decides wins. */
export function readProfileNames(at: Cursor): readonly string[] {
  return readList(at).flatMap((entry) => readRequiredName(entry, 'the profile name') ?? []);
}

/** The object's labels without those that an endpoint may only inherit. The map is the caller's to add to. */
export function readOwnLabels(meta: Metadata): Map<string, string> {
  const labels = new Map(meta.labels);
  for (const [key, value] of meta.labels) {
    if (!isInheritedKey(key)) continue;
    labels.delete(key);
    const at = child(meta.labelsAt, key, value);
    const text = `${show(key)} is removed: endpoints only inherit labels with this prefix`;
    warn(at, 'label-reserved', text);
  }
  return labels;
}

/** What the cluster's configuration allows workloads to do. */
export interface PodContext {
  /** Only with `Any` they may send from prefixes other than their addresses. Absent = `Disabled`. */
  readonly workloadSourceSpoofing?: 'Disabled' | 'Any';
}

/** Prefixes that a workload asks to send from, if it may. All or none: a bad one says that the list is not what was meant. */
export function allowSources(list: Cursor, context: PodContext): readonly Cidr[] {
  const effect = 'the workload may only send from its own addresses';
  const prefixes = attempt(list, effect, (at) => readNets(at, 'set')) ?? [];
  if (prefixes.length === 0 || context.workloadSourceSpoofing === 'Any') return prefixes;
  warn(list, 'source-prefixes-off', `WorkloadSourceSpoofing is not Any: ${effect}`);
  return [];
}

/** What becomes of an endpoint with a bad address, for messages. */
export const ADDRESS_EFFECT = 'the endpoint is not known by this address';

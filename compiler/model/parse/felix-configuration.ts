/**
 * Calico's own settings. Comes in: a FelixConfiguration. Goes out: parameters by lower-case name, as the texts that Calico turns fields into
 * before it reads them; annotations beat fields. What a parameter means is agent/config/felix.ts. Source: specification section 1.11.
 */
import type { FelixConfiguration } from '../cluster.ts';
import type { Metadata } from './metadata.ts';
import { type Cursor, attempt, fail, fieldOf, isAbsent, isObject } from './reader.ts';
import { readSelector } from './selector-field.ts';

/** `config.projectcalico.org/<Parameter>`: overrides or adds a parameter. */
const ANNOTATION = 'config.projectcalico.org/';

/** Parameters whose field has another name. */
const RENAMED: Readonly<Record<string, string>> = {
  ipipenabled: 'ipinipenabled',
  externalnodeslist: 'externalnodescidrlist',
};

const MAX_LENGTH = 65_536;

export function parseFelixConfiguration(spec: Cursor, meta: Metadata): FelixConfiguration {
  const parameters = new Map<string, string>();
  for (const [field, value] of isObject(spec.value) ? Object.entries(spec.value) : []) {
    if (field === 'nodeSelector') continue;
    const text = toText(value);
    const name = field.toLowerCase();
    if (text !== undefined && text !== '') parameters.set(RENAMED[name] ?? name, text);
  }
  for (const [key, text] of meta.annotations) {
    if (!key.startsWith(ANNOTATION) || text === '') continue;
    parameters.set(key.slice(ANNOTATION.length).toLowerCase(), text.slice(0, MAX_LENGTH));
  }
  return {
    kind: 'FelixConfiguration',
    name: meta.name,
    nodeSelector: readNodeSelector(fieldOf(spec, 'nodeSelector'), meta.name),
    createdMs: meta.createdMs,
    parameters,
  };
}

/** Only objects that are for no node in particular have one. */
function readNodeSelector(at: Cursor, name: string): FelixConfiguration['nodeSelector'] {
  if (isAbsent(at)) return undefined;
  return attempt(at, 'this object applies to no node', (field) =>
    name === 'default' || name.startsWith('node.')
      ? fail(
          field,
          'selector-syntax',
          `${name} has no nodeSelector: its name says where it applies`,
        )
      : readSelector(field, 'never'),
  );
}

/** An empty list is said, and says `none`; what has no text is left out. */
function toText(value: unknown): string | undefined {
  if (typeof value === 'string') return value.slice(0, MAX_LENGTH);
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (!Array.isArray(value)) return undefined;
  if (value.length === 0) return 'none';
  return value
    .flatMap((entry) => entryText(entry) ?? [])
    .join(',')
    .slice(0, MAX_LENGTH);
}

/** A text, or a failsafe port `{protocol, port, net}`: `tcp:22`, `udp:[fd00::/8]:53`. */
function entryText(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry;
  if (!isObject(entry)) return undefined;
  const { protocol = 'tcp', port, net } = entry;
  if (typeof port !== 'number' || typeof protocol !== 'string') return undefined;
  const start = protocol.toLowerCase();
  if (typeof net !== 'string' || net === '') return `${start}:${port}`;
  return `${start}:${net.includes(':') ? `[${net}]` : net}:${port}`;
}

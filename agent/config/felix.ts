/**
 * Calico's settings as defaults of ours. Comes in: the FelixConfiguration objects, this node's name and labels. Goes out: values of our keys,
 * below the configuration file and the environment, and what could not be read. A new parameter is a row. Source: specification sections
 * 1.11 and 6.3. Refuses to know: where objects come from, and what the other layers say.
 */
import { matches } from '../../compiler/selector/match.ts';
import type { FelixConfiguration, Labels } from '../../compiler/model/cluster.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import { rowOf } from './keys.ts';
import type { ConfigName } from './keys.ts';

/** What a parameter is here: a key with the way its text is read, or nothing, for a reason. */
export type FelixRow =
  | { readonly key: ConfigName; readonly read: (text: string) => unknown }
  | { readonly ignored: string };

/** Values of our keys, not checked against each other. */
export interface FelixDefaults {
  readonly values: ReadonlyMap<ConfigName, unknown>;
  /** Parameters with a value that cannot be read: Calico would use its default too. */
  readonly problems: readonly string[];
}

const TRUE = /^(?:true|1|yes|y|t)$/i;
const FALSE = /^(?:false|0|no|n|f)$/i;

/** What cannot be read stays text, which no type takes. */
const flag = (text: string): unknown => (TRUE.test(text) ? true : FALSE.test(text) ? false : text);
const integer = (text: string): unknown =>
  /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : text;
const list = (text: string): unknown =>
  isNone(text) ? [] : text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));
const failsafes = (text: string): unknown => (list(text) as string[]).map(failsafe);

function isNone(text: string): boolean {
  return text.trim().toLowerCase() === 'none';
}

/** A port alone is TCP; a failsafe's protocol is in lower case here. */
function failsafe(text: string): string {
  return /^\d+$/.test(text) ? `tcp:${text}` : text.replace(/^\w+/, (name) => name.toLowerCase());
}

/** One of these words, in any case. */
function oneOf(...words: readonly string[]): (text: string) => unknown {
  return (text) => words.find((word) => word.toLowerCase() === text.toLowerCase()) ?? text;
}

const OWN_PATH = 'Picket has its own';

/** By lower-case name; of two parameters for one key the later row wins. */
export const FELIX_PARAMETERS: Readonly<Record<string, FelixRow>> = {
  defaultendpointtohostaction: {
    key: 'endpointToHostAction',
    read: oneOf('Accept', 'Drop', 'Return'),
  },
  iptablesfilterdenyaction: { key: 'denyAction', read: oneOf('Drop', 'Reject') },
  nftablesfilterdenyaction: { key: 'denyAction', read: oneOf('Drop', 'Reject') },
  disableconntrackinvalidcheck: { key: 'disableConntrackInvalidCheck', read: flag },
  failsafeinboundhostports: { key: 'failsafeInboundHostPorts', read: failsafes },
  failsafeoutboundhostports: { key: 'failsafeOutboundHostPorts', read: failsafes },
  interfaceprefix: { key: 'interfacePrefixes', read: list },
  serviceloopprevention: {
    key: 'serviceLoopPrevention',
    read: oneOf('Drop', 'Reject', 'Disabled'),
  },
  workloadsourcespoofing: { key: 'workloadSourceSpoofing', read: oneOf('Disabled', 'Any') },
  allowvxlanpacketsfromworkloads: { key: 'allowVxlanPacketsFromWorkloads', read: flag },
  allowipippacketsfromworkloads: { key: 'allowIpipPacketsFromWorkloads', read: flag },
  vxlanport: { key: 'vxlanPort', read: integer },
  vxlanenabled: { key: 'vxlanEnabled', read: flag },
  ipinipenabled: { key: 'ipipEnabled', read: flag },
  externalnodescidrlist: { key: 'externalNodes', read: list },
  iptablesfilterallowaction: { ignored: 'an allowed packet goes on to other tables in any case' },
  nftablesfilterallowaction: { ignored: 'an allowed packet goes on to other tables in any case' },
  iptablesmangleallowaction: { ignored: 'an allowed packet goes on to other tables in any case' },
  nftablesmangleallowaction: { ignored: 'an allowed packet goes on to other tables in any case' },
  iptablesmarkmask: { ignored: 'one bit is enough: acceptMark' },
  nftablesmarkmask: { ignored: 'one bit is enough: acceptMark' },
  chaininsertmode: { ignored: 'there are no chains of others to insert into: filterPriority' },
  interfaceexclude: { ignored: 'only interfaces that a HostEndpoint selects are governed' },
  ipv6support: { ignored: 'IPv6 is always governed' },
  nftablesmode: { ignored: 'nftables is what there is' },
  nftablesrefreshinterval: { ignored: 'foreign changes are repaired when they happen' },
  logprefix: { ignored: 'log records name the rule' },
  logactionratelimit: { ignored: `${OWN_PATH}: flowLogRate` },
  logactionratelimitburst: { ignored: `${OWN_PATH}: flowLogBurst` },
  wireguardenabled: { ignored: 'Picket builds no tunnels; wireguardPort leaves one open' },
  xdpenabled: { ignored: 'untracked policy is nftables' },
  genericxdpenabled: { ignored: 'untracked policy is nftables' },
  maxipsetsize: { ignored: 'sets grow as they need' },
  flowlogsflushinterval: { ignored: `${OWN_PATH}: flowLogFlushSeconds` },
  healthenabled: { ignored: OWN_PATH },
  healthport: { ignored: OWN_PATH },
  prometheusmetricsenabled: { ignored: OWN_PATH },
  prometheusmetricsport: { ignored: OWN_PATH },
  logseverityscreen: { ignored: OWN_PATH },
};

/** What applies to the node: `default`, then the oldest whose selector finds it, then `node.<name>`; each beats what comes before. */
export function felixDefaults(
  objects: readonly FelixConfiguration[],
  node: string,
  labels: Labels,
): FelixDefaults {
  const named = (name: string): FelixConfiguration | undefined =>
    objects.find((object) => object.name === name);
  const [selected] = objects
    .filter((object) => isSelected(object, labels))
    .toSorted((a, b) => a.createdMs - b.createdMs || compareUtf8(a.name, b.name));
  const parameters = new Map<string, string>();
  for (const object of [named('default'), selected, named(`node.${node}`)]) {
    for (const [name, text] of object?.parameters ?? []) parameters.set(name, text);
  }
  return readParameters(parameters);
}

function isSelected({ name, nodeSelector }: FelixConfiguration, labels: Labels): boolean {
  if (nodeSelector === undefined || name === 'default' || name.startsWith('node.')) return false;
  return matches(nodeSelector, (key) => (Object.hasOwn(labels, key) ? labels[key] : undefined));
}

function readParameters(parameters: ReadonlyMap<string, string>): FelixDefaults {
  const values = new Map<ConfigName, unknown>();
  const problems: string[] = [];
  for (const [name, row] of Object.entries(FELIX_PARAMETERS)) {
    const text = parameters.get(name);
    if (text === undefined || 'ignored' in row) continue;
    const value = row.read(text);
    const read = rowOf(row.key).type.read(value);
    if ('value' in read) values.set(row.key, value);
    else problems.push(`${name} (${row.key}): ${read.wrong.message}`);
  }
  return { values, problems };
}

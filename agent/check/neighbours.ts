/**
 * Others on this machine who judge packets too: tables that drop what we allow (a drop is final in nftables, whoever accepts before or
 * after), and agents that enforce policies of their own. In: the survey of the ruleset and /proc. Out: one finding per base chain.
 */
import { TABLE_NAME } from '../../compiler/nft/program.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { surveyRuleset } from '../netlink/survey.ts';
import type { SurveyedChain } from '../netlink/survey.ts';
import { NETLINK_NETFILTER } from '../netlink/uapi.generated.ts';
import { ok, warning } from './finding.ts';
import type { CheckContext, Finding, Probe } from './finding.ts';

export const NEIGHBOUR_PROBES: readonly Probe[] = [
  { name: 'other tables', run: probeTables },
  { name: 'iptables-legacy', run: ({ read }) => [judgeLegacy(read)] },
  { name: 'other agents', run: (context) => judgeAgents(context) },
];

/** Who usually makes such tables or chains, and what to do. First match of a table name, all matches of chain names. */
interface Owner {
  readonly name: string;
  readonly table?: RegExp;
  readonly chain?: RegExp;
  readonly advice: string;
  /** Drops only what is its own business. */
  readonly harmless?: true;
}

const OWNERS: readonly Owner[] = [
  {
    name: 'firewalld',
    table: /^firewalld/,
    advice:
      'put the interfaces of workloads into a zone that accepts (firewall-cmd --zone=trusted --change-interface=…), or stop firewalld and let Picket govern the host',
  },
  {
    name: 'ufw',
    chain: /^ufw6?-/,
    advice: 'ufw default allow routed, or ufw disable and let Picket govern the host',
  },
  {
    name: 'Docker',
    table: /^docker-/,
    chain: /^DOCKER/,
    advice:
      'accept the traffic of workloads in its chain DOCKER-USER, or run dockerd with "ip-forward-no-drop": true',
  },
  { name: 'kube-proxy', table: /^kube-proxy$/, chain: /^KUBE-/, advice: '', harmless: true },
  {
    name: 'Calico',
    table: /^calico/,
    chain: /^cali-/,
    advice:
      'two enforcers: packets pass only if both allow them; remove calico-node and its rules, or do not run Picket here',
  },
  {
    name: 'Cilium',
    chain: /^CILIUM_/,
    advice: 'two enforcers: turn its policy enforcement off, or do not run Picket here',
  },
  {
    name: 'kube-router',
    chain: /^KUBE-(ROUTER|NWPLCY|POD-FW)/,
    advice: 'two enforcers: run kube-router with --run-firewall=false',
  },
  {
    name: 'libvirt',
    table: /^libvirt/,
    chain: /^LIBVIRT_/,
    advice: 'use networks of mode "open", or interfaces that libvirt does not manage',
  },
  { name: 'fail2ban', table: /^f2b/, chain: /^f2b-/, advice: '', harmless: true },
  { name: 'Tailscale', chain: /^ts-/, advice: '', harmless: true },
];

const UNKNOWN: Owner = {
  name: 'unknown owner',
  advice: 'accept there what Picket allows, or take the rules into policies and remove them',
};

const HOOKS = new Set(['prerouting', 'input', 'forward', 'output', 'postrouting']);
const FAMILIES = new Set(['inet', 'ip', 'ip6', 'bridge']);

/** A machine with more has a reason to look for itself. */
const MAX_FINDINGS = 20;

async function probeTables({ native, config }: CheckContext): Promise<readonly Finding[]> {
  const options = { protocol: NETLINK_NETFILTER, netnsPath: config.netns };
  const socket = NetlinkSocket.open(native, options);
  try {
    return judgeTables(await surveyRuleset(socket));
  } finally {
    socket.close();
  }
}

export function judgeTables(chains: readonly SurveyedChain[]): readonly Finding[] {
  const others = chains.filter(({ family, table }) => !(family === 'inet' && table === TABLE_NAME));
  const byName = new Map(others.map((chain) => [keyOf(chain, chain.name), chain]));
  const findings = others.flatMap((chain) => judgeChain(chain, byName) ?? []);
  const serious = findings.filter(({ status }) => status !== 'ok');
  if (findings.length === 0) return [ok('none of them drops anything')];
  const shown = findings.slice(0, MAX_FINDINGS);
  const rest = findings.length - shown.length;
  if (rest === 0) return shown;
  return [
    ...shown,
    warning(
      `${rest} more chains (${serious.length} of all may be in the way)`,
      'see: nft list ruleset',
    ),
  ];
}

/** `undefined` = it is not hooked where we are, or lets everything pass. */
function judgeChain(
  chain: SurveyedChain,
  byName: ReadonlyMap<string, SurveyedChain>,
): Finding | undefined {
  const { base } = chain;
  if (base === undefined || !HOOKS.has(base.hook) || !FAMILIES.has(chain.family)) return undefined;
  const reached = reachable(chain, byName);
  const drops = reached.some((each) => each.drops);
  if (!drops && !base.dropsByDefault) return undefined;
  const owners = ownersOf(chain.table, reached);
  const policy = base.dropsByDefault ? ', policy drop' : '';
  const place = `table ${chain.family} ${chain.table}, chain ${chain.name} (${base.hook}, priority ${base.priority}${policy})`;
  const names = owners.map(({ name }) => name).join(', ');
  if (!base.dropsByDefault && owners.every(({ harmless }) => harmless === true)) {
    return ok(`${place}: ${names}, drops only what is its own business`);
  }
  const what = base.dropsByDefault
    ? 'drops what its own rules do not accept'
    : 'has rules that drop or reject';
  const advice = owners.find(({ harmless }) => harmless !== true)?.advice ?? UNKNOWN.advice;
  return warning(`${place} ${what}, also what Picket allows: ${names}`, advice);
}

function reachable(
  from: SurveyedChain,
  byName: ReadonlyMap<string, SurveyedChain>,
): readonly SurveyedChain[] {
  const reached = new Set([from]);
  for (const chain of reached) {
    for (const name of chain.leadsTo) {
      const next = byName.get(keyOf(chain, name));
      if (next !== undefined) reached.add(next);
    }
  }
  return [...reached];
}

/** By the table's name, else by the chains that its packets come through. */
function ownersOf(table: string, reached: readonly SurveyedChain[]): readonly Owner[] {
  const byTable = OWNERS.filter((owner) => owner.table?.test(table));
  if (byTable.length > 0) return byTable;
  const byChain = OWNERS.filter(({ chain }) => reached.some(({ name }) => chain?.test(name)));
  return byChain.length > 0 ? byChain : [UNKNOWN];
}

function keyOf({ family, table }: SurveyedChain, name: string): string {
  return JSON.stringify([family, table, name]);
}

/** Tables of the old iptables are no part of nf_tables. */
export function judgeLegacy(read: CheckContext['read']): Finding {
  const files = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'];
  const tables = new Set(
    files.flatMap((file) => read(file)?.split('\n') ?? []).filter((name) => name !== ''),
  );
  if (tables.size === 0) return ok('not in use');
  return warning(
    `its tables ${[...tables].join(', ')} are loaded: what they drop cannot be seen from here`,
    'look with iptables-legacy-save; move to iptables-nft, or unload them',
  );
}

/** Process names, cut to 15 characters as the kernel does, of agents that enforce policies too. */
const AGENTS: ReadonlyMap<string, string> = new Map([
  ['calico-felix', 'Calico Felix'],
  ['calico-node', 'Calico'],
  ['cilium-agent', 'Cilium'],
  ['kube-router', 'kube-router'],
  ['antrea-agent', 'Antrea'],
  ['kube-network-po', 'kube-network-policies'],
  ['weave-npc', 'Weave'],
]);

export function judgeAgents({
  read,
  list,
}: Pick<CheckContext, 'read' | 'list'>): readonly Finding[] {
  const running = list('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const name = AGENTS.get(read(`/proc/${pid}/comm`)?.trim() ?? '');
    return name === undefined ? [] : [`${name} (process ${pid})`];
  });
  if (running.length === 0) return [ok('none is running')];
  return running.map((agent) => {
    return warning(
      `${agent} is running: packets pass only if it allows them too`,
      'let one of the two enforce',
    );
  });
}

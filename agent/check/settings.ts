/** Kernel settings that change what packets meet, whatever the rules say. One row per setting. */
import { failed, ok, warning } from './finding.ts';
import type { CheckContext, Finding, Probe } from './finding.ts';

type Read = CheckContext['read'];

const NET = '/proc/sys/net';

const SETTINGS: readonly {
  readonly name: string;
  readonly judge: (of: CheckContext) => Finding;
}[] = [
  { name: 'net.ipv4.conf.all.rp_filter', judge: judgeReversePath },
  { name: 'net.netfilter.nf_conntrack_max', judge: judgeConntrackSize },
  { name: 'net.bridge.bridge-nf-call-iptables', judge: judgeBridges },
  { name: 'net.netfilter.nf_conntrack_tcp_be_liberal', judge: judgeLiberal },
  { name: 'net.ipv4.ip_forward', judge: judgeForwarding },
];

/** What /proc/sys/net shows is of the namespace of the process that reads it. `netns` as configured. */
export function settingProbes(netns: string): readonly Probe[] {
  if (netns === '') {
    return SETTINGS.map(({ name, judge }) => ({ name, run: (context) => [judge(context)] }));
  }
  const message = `not read: those of ${netns} show only inside it`;
  return [
    { name: 'settings', run: () => [warning(message, `nsenter --net=${netns} picket check`)] },
  ];
}

/** `undefined` = there is no such setting, as before its module is loaded. */
function number(read: Read, path: string): number | undefined {
  const text = read(`${NET}/${path}`)?.trim();
  return text === undefined || text === '' ? undefined : Number(text);
}

export function judgeReversePath({ read }: Pick<CheckContext, 'read'>): Finding {
  if (number(read, 'ipv4/conf/all/rp_filter') !== 1) return ok('not strict');
  return warning(
    'strict: packets that come another way than replies go are dropped before any rule could count or explain it',
    'where routes are asymmetric: sysctl -w net.ipv4.conf.all.rp_filter=2 (Picket checks the source of workloads itself)',
  );
}

/** Share of the table in use from which a burst may fill it. */
const NEARLY_FULL = 0.8;

export function judgeConntrackSize({ read }: Pick<CheckContext, 'read'>): Finding {
  const count = number(read, 'netfilter/nf_conntrack_count');
  const max = number(read, 'netfilter/nf_conntrack_max');
  if (count === undefined || max === undefined || max === 0)
    return ok('connection tracking is not in use yet');
  const usage = `${count} of ${max} connections`;
  const advice = `sysctl -w net.netfilter.nf_conntrack_max=${max * 2}`;
  if (count >= max) return failed(`${usage}: full, the kernel drops every new one`, advice);
  if (count < max * NEARLY_FULL) return ok(usage);
  return warning(
    `${usage}: when it is full the kernel drops every new one, whatever policy says`,
    advice,
  );
}

export function judgeBridges({ read, list }: Pick<CheckContext, 'read' | 'list'>): Finding {
  const bridges = list('/sys/class/net').filter(
    (name) => read(`/sys/class/net/${name}/bridge/bridge_id`) !== undefined,
  );
  if (bridges.length === 0) return ok('there is no bridge');
  const off = ['iptables', 'ip6tables'].filter(
    (of) => number(read, `bridge/bridge-nf-call-${of}`) !== 1,
  );
  if (off.length === 0) return ok('packets inside a bridge pass the rules too');
  return warning(
    `packets between workloads on one bridge (${bridges.join(', ')}) pass no rule`,
    'where policy is to govern them: modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1',
  );
}

function judgeLiberal({ read, config }: CheckContext): Finding {
  const isLiberal = number(read, 'netfilter/nf_conntrack_tcp_be_liberal') === 1;
  if (isLiberal || config.disableConntrackInvalidCheck)
    return ok('TCP out of window is judged by policy');
  return ok(
    'TCP out of window is denied to and from workloads, as connection tracking calls it invalid',
  );
}

function judgeForwarding({ read }: CheckContext): Finding {
  const four = number(read, 'ipv4/ip_forward') === 1;
  const six = number(read, 'ipv6/conf/all/forwarding') === 1;
  const families = [four ? 'IPv4' : [], six ? 'IPv6' : []].flat();
  return ok(
    families.length === 0
      ? 'off: right for a server; a host of workloads needs it'
      : `on for ${families.join(' and ')}`,
  );
}

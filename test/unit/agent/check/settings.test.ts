/** Kernel settings by the text of their files: when each is told, and what is said to do. */
import test from 'ava';
import {
  settingProbes,
  judgeBridges,
  judgeConntrackSize,
  judgeReversePath,
} from '../../../../agent/check/settings.ts';
import type { Status } from '../../../../agent/check/finding.ts';
import { DEFAULT_CONFIG } from '../../../../agent/config/keys.ts';
import type { Native } from '../../../../agent/native/native.ts';

type Files = Readonly<Record<string, string>>;

const NET = '/proc/sys/net';

/** A machine that has these files. */
function machine(files: Files) {
  return {
    read: (path: string): string | undefined => files[path],
    list: (path: string): string[] => [
      ...new Set(
        Object.keys(files)
          .filter((name) => name.startsWith(`${path}/`))
          .map((name) => name.slice(path.length + 1).split('/')[0] ?? ''),
      ),
    ],
  };
}

const BRIDGE = { '/sys/class/net/br0/bridge/bridge_id': '8000.000000000000' };
const ROWS: readonly { name: string; judge: typeof judgeBridges; in: Files; out: Status }[] = [
  {
    name: 'loose reverse path',
    judge: judgeReversePath,
    in: { [`${NET}/ipv4/conf/all/rp_filter`]: '2\n' },
    out: 'ok',
  },
  {
    name: 'strict reverse path',
    judge: judgeReversePath,
    in: { [`${NET}/ipv4/conf/all/rp_filter`]: '1\n' },
    out: 'warning',
  },
  { name: 'no connection tracking yet', judge: judgeConntrackSize, in: {}, out: 'ok' },
  { name: 'room for connections', judge: judgeConntrackSize, in: connections(79), out: 'ok' },
  { name: 'little room', judge: judgeConntrackSize, in: connections(80), out: 'warning' },
  { name: 'no room', judge: judgeConntrackSize, in: connections(100), out: 'failed' },
  { name: 'no bridge', judge: judgeBridges, in: { '/sys/class/net/eth0/mtu': '1500' }, out: 'ok' },
  { name: 'a bridge that passes the rules by', judge: judgeBridges, in: BRIDGE, out: 'warning' },
  {
    name: 'a bridge that passes them for IPv4 alone',
    judge: judgeBridges,
    in: { ...BRIDGE, [`${NET}/bridge/bridge-nf-call-iptables`]: '1\n' },
    out: 'warning',
  },
  {
    name: 'a bridge that does not',
    judge: judgeBridges,
    in: {
      ...BRIDGE,
      [`${NET}/bridge/bridge-nf-call-iptables`]: '1\n',
      [`${NET}/bridge/bridge-nf-call-ip6tables`]: '1\n',
    },
    out: 'ok',
  },
];

function connections(count: number): Files {
  return {
    [`${NET}/netfilter/nf_conntrack_count`]: `${count}\n`,
    [`${NET}/netfilter/nf_conntrack_max`]: '100\n',
  };
}

for (const row of ROWS) {
  test(row.name, (t) => {
    const finding = row.judge(machine(row.in));
    t.is(finding.status, row.out, finding.message);
    t.is(finding.advice === undefined, row.out === 'ok');
  });
}

test('settings of another namespace are not judged by ours', async (t) => {
  const context = { config: DEFAULT_CONFIG, native: {} as Native, ...machine(connections(100)) };
  const [probe, ...more] = settingProbes('/run/netns/x');
  const [finding] = (await probe?.run(context)) ?? [];
  t.is(finding?.status, 'warning');
  t.is(finding?.advice, 'nsenter --net=/run/netns/x picket check');
  t.deepEqual(more, []);
});

test('every setting of our own is judged', async (t) => {
  const context = { config: DEFAULT_CONFIG, native: {} as Native, ...machine(connections(100)) };
  const findings = await Promise.all(settingProbes('').map(async ({ run }) => run(context)));
  t.deepEqual(
    findings.flat().map(({ status }) => status),
    ['ok', 'failed', 'ok', 'ok', 'ok'],
  );
});

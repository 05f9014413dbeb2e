/** Whose chains are told, with which words, from a survey of a ruleset. */
import test from 'ava';
import { judgeAgents, judgeLegacy, judgeTables } from '../../../../agent/check/neighbours.ts';
import { judgeLogGroup } from '../../../../agent/check/protocols.ts';
import type { SurveyedChain, SurveyedHook } from '../../../../agent/netlink/survey.ts';

const ACCEPTS: SurveyedHook = { hook: 'forward', priority: 0, dropsByDefault: false };
const DROPS: SurveyedHook = { ...ACCEPTS, dropsByDefault: true };

function chain(of: Partial<SurveyedChain>): SurveyedChain {
  return {
    family: 'ip',
    table: 'filter',
    name: 'FORWARD',
    base: undefined,
    drops: false,
    leadsTo: [],
    ...of,
  };
}

const ROWS: readonly { name: string; in: readonly SurveyedChain[]; out: RegExp }[] = [
  { name: 'no tables', in: [], out: /^ok none of them drops anything$/ },
  {
    name: 'our own table',
    in: [chain({ family: 'inet', table: 'picket', base: DROPS, drops: true })],
    out: /^ok none/,
  },
  { name: 'a chain that accepts', in: [chain({ base: ACCEPTS })], out: /^ok none/ },
  {
    name: 'a dropping chain that nothing leads to',
    in: [chain({ base: ACCEPTS }), chain({ name: 'x', drops: true })],
    out: /^ok none/,
  },
  {
    name: 'a hook that we have not',
    in: [chain({ base: { ...DROPS, hook: 'hook 5' }, family: 'netdev' })],
    out: /^ok none/,
  },
  {
    name: 'policy drop',
    in: [chain({ base: DROPS })],
    out: /^warning table ip filter, chain FORWARD \(forward, priority 0, policy drop\) drops what its own rules do not accept.*unknown owner/,
  },
  {
    name: 'Docker: policy drop, known by a chain',
    in: [chain({ base: DROPS, leadsTo: ['DOCKER-USER'] }), chain({ name: 'DOCKER-USER' })],
    out: /^warning .*: Docker$/,
  },
  {
    name: 'a drop two chains on',
    in: [
      chain({ base: ACCEPTS, leadsTo: ['a'] }),
      chain({ name: 'a', leadsTo: ['b', 'a'] }),
      chain({ name: 'b', drops: true }),
    ],
    out: /^warning .*has rules that drop or reject/,
  },
  {
    name: 'a chain of the same name in another table is another one',
    in: [
      chain({ base: ACCEPTS, leadsTo: ['b'] }),
      chain({ table: 'other', name: 'b', drops: true }),
    ],
    out: /^ok none/,
  },
  {
    name: 'kube-proxy rejects for services without endpoints',
    in: [chain({ table: 'kube-proxy', name: 'filter-forward', base: ACCEPTS, drops: true })],
    out: /^ok table ip kube-proxy.*its own business$/,
  },
  {
    name: 'Calico beside kube-proxy is not harmless',
    in: [
      chain({ base: ACCEPTS, leadsTo: ['KUBE-FORWARD', 'cali-FORWARD'] }),
      chain({ name: 'KUBE-FORWARD', drops: true }),
      chain({ name: 'cali-FORWARD' }),
    ],
    out: /^warning .*kube-proxy, Calico$/,
  },
  {
    name: 'firewalld',
    in: [
      chain({
        family: 'inet',
        table: 'firewalld',
        name: 'filter_FORWARD',
        base: ACCEPTS,
        drops: true,
      }),
    ],
    out: /firewalld$/,
  },
  {
    name: 'ufw',
    in: [
      chain({ base: DROPS, leadsTo: ['ufw-user-forward'] }),
      chain({ name: 'ufw-user-forward' }),
    ],
    out: /: ufw$/,
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const [finding] = judgeTables(row.in);
    t.regex(`${finding?.status} ${finding?.message}`, row.out);
    t.is(finding?.advice === undefined, finding?.status === 'ok');
  });
}

test('many chains are told in a few lines', (t) => {
  const chains = Array.from({ length: 100 }, (_, i) => chain({ name: `c${i}`, base: DROPS }));
  const findings = judgeTables(chains);
  t.is(findings.length, 21);
  t.regex(findings.at(-1)?.message ?? '', /^80 more chains/);
});

test('old iptables are told by their tables', (t) => {
  t.is(judgeLegacy(() => undefined).status, 'ok');
  t.is(judgeLegacy(() => '').status, 'ok');
  t.regex(
    judgeLegacy((path) => (path.includes('ip6') ? undefined : 'nat\nfilter\n')).message,
    /its tables nat, filter are/,
  );
});

test('agents are known by their process names', (t) => {
  const files: Readonly<Record<string, string>> = {
    '/proc/7/comm': 'calico-node\n',
    '/proc/8/comm': 'bash\n',
  };
  const found = judgeAgents({ read: (path) => files[path], list: () => ['7', '8', '9', 'self'] });
  t.deepEqual(
    found.map(({ message }) => message),
    ['Calico (process 7) is running: packets pass only if it allows them too'],
  );
});

const GROUPS = '    2   1234     0 2 65535    100  1\n    5   4711     0 2 65535    100  1\n';

test('the NFLOG group', (t) => {
  t.is(judgeLogGroup(undefined, false).status, 'ok');
  t.is(judgeLogGroup(GROUPS.replace(' 5 ', '15 '), false).status, 'ok');
  t.regex(judgeLogGroup(GROUPS, false).message, /taken by the netlink port 4711/);
  t.is(judgeLogGroup(GROUPS, true).status, 'ok');
});

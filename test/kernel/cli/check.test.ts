/** `picket check` against a real kernel: it finds others' tables, says what is missing, and leaves no trace. */
import { NetlinkSocket } from '../../../agent/netlink/socket.ts';
import { commit } from '../../../agent/netlink/request.ts';
import { surveyRuleset } from '../../../agent/netlink/survey.ts';
import { NETLINK_NETFILTER } from '../../../agent/netlink/uapi.generated.ts';
import { testAddon } from '../../support/addon.ts';
import { Bench, picket, policy, POWERLESS, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;
const GOOD = { 'web.yaml': WEB, 'policy.yaml': policy('web') };

interface Said {
  readonly status: string;
  readonly findings: readonly {
    readonly status: string;
    readonly name: string;
    readonly message: string;
  }[];
}

/** Runs it and reads what it says. */
async function check(
  bench: Bench,
  ...args: readonly string[]
): Promise<Said & { readonly exitCode: number | undefined }> {
  const { exitCode, stdout } = await picket(['check', ...bench.options(), '-o', 'json', ...args]);
  return { exitCode, ...(JSON.parse(stdout) as Said) };
}

kernelTest('check: good here, and nobody has seen it', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    await bench.apply();
    const generation = await bench.generation();
    const before = await bench.table();
    const { exitCode, findings } = await check(bench);
    t.is(exitCode, 0);
    t.deepEqual(
      findings.filter(({ status }) => status === 'failed'),
      [],
    );
    t.regex(
      findings.find(({ name }) => name === 'nf_tables')?.message ?? '',
      /^all \d+ that Picket needs/,
    );
    t.is(await bench.generation(), generation);
    t.deepEqual(await bench.table(), before);
  }),
);

kernelTest('check: without rights it says which are missing, and exits 1', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const { exitCode, stdout } = await picket(['check', ...bench.options().slice(0, 4)], POWERLESS);
    t.is(exitCode, 1);
    t.regex(stdout, /^failed +capabilities: CAP_NET_ADMIN is missing/m);
    t.regex(stdout, /^failed +nf_tables: .*EPERM.*\n +-> run as root/m);
    t.regex(stdout, /\d+ ok, \d+ warning, \d+ failed$/);
  }),
);

kernelTest('check: a wrong configuration and a missing directory', CAPS, (t) =>
  Bench.with({ ...GOOD, 'bad.yaml': 'vxlanPort: 70000\n' }, async (bench) => {
    const missing = bench.path('nowhere');
    const { exitCode, findings } = await check(
      bench,
      '--config',
      bench.path('bad.yaml'),
      '--manifests',
      missing,
    );
    t.is(exitCode, 1);
    const failures = findings.filter(({ status }) => status === 'failed').map(({ name }) => name);
    t.deepEqual(failures, ['configuration']);
    t.is(findings.find(({ name }) => name === 'manifests')?.status, 'warning');
  }),
);

/** As Docker, kube-proxy and firewalld write them, shortened. */
const OTHERS = `
table ip filter {
  chain DOCKER-USER { return; }
  chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}
table ip kube-proxy {
  chain reject-chain { reject; }
  map no-endpoint-services {
    type inet_proto . ipv4_addr . inet_service : verdict
    elements = { tcp . 10.96.0.1 . 80 : goto reject-chain }
  }
  chain filter-forward {
    type filter hook forward priority -110; policy accept;
    ct state new meta l4proto . ip daddr . th dport vmap @no-endpoint-services
  }
}
table inet firewalld {
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state vmap { established : accept, invalid : drop }
    reject with icmpx admin-prohibited
  }
}
table ip nat {
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; masquerade; }
}
`;

kernelTest('check: tables of others are told by name and owner', [...CAPS, 'nft'], (t) =>
  Bench.with(GOOD, async (bench) => {
    bench.write('others.nft', OTHERS);
    await bench.nft('-f', bench.path('others.nft'));
    const before = await bench.nft('-a', 'list', 'ruleset');
    const { exitCode, findings } = await check(bench);
    t.is(exitCode, 0);
    const told = findings.filter(({ name }) => name === 'other tables');
    t.deepEqual(told.map(({ status, message }) => `${status} ${message}`).sort(), [
      'ok table ip kube-proxy, chain filter-forward (forward, priority -110): kube-proxy, drops only what is its own business',
      'warning table inet firewalld, chain filter_INPUT (input, priority 10) has rules that drop or reject, also what Picket allows: firewalld',
      'warning table ip filter, chain FORWARD (forward, priority 0, policy drop) drops what its own rules do not accept, also what Picket allows: Docker',
    ]);
    t.is(await bench.nft('-a', 'list', 'ruleset'), before);
  }),
);

kernelTest('a dry run is checked like any other transaction', CAPS, (t) =>
  Bench.with({}, async (bench) => {
    const socket = NetlinkSocket.open(testAddon(), {
      protocol: NETLINK_NETFILTER,
      netnsPath: bench.netns.path,
    });
    try {
      const origin = 'test';
      const chain = { name: 'c', base: undefined, rules: [] };
      const add = [
        { op: 'add-table', origin },
        { op: 'add-chain', chain, origin },
      ] as const;
      t.true((await commit(socket, add, { dryRun: true })).ok);
      const refused = await commit(
        socket,
        [...add, { op: 'delete-chain', name: 'other', origin }],
        { dryRun: true },
      );
      t.deepEqual(
        refused.ok ? [] : refused.refusals.map(({ errnoName, index }) => [errnoName, index]),
        [['ENOENT', 2]],
      );
      t.deepEqual(await surveyRuleset(socket), []);
    } finally {
      socket.close();
    }
  }),
);

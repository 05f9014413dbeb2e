/** `picket apply --dry-run` and the check of the operator's own connection, with real connections. */
import { picket, until } from '../../support/cli.ts';
import type { Ended } from '../../support/cli.ts';
import { GuardedHost, hostPolicy } from '../../support/guarded-host.ts';
import { openNetns, runIp } from '../../support/netns.ts';
import type { Netns } from '../../support/netns.ts';
import { kernelTest } from '../../support/needs.ts';
import { requireSystemTool } from '../../support/tools.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

const SSH = '203.0.113.9 50000 203.0.113.1 80';

/** Nothing is applied, so that the kernel tracks nothing. */
const NONE = '';

/** A host with a peer behind eth0, and a TCP connection each of IPv4 and IPv6 from it to port 80 that stands. */
async function withPeer(
  policyBefore: string,
  use: (host: GuardedHost, run: (...args: string[]) => Promise<Ended>) => Promise<void>,
): Promise<void> {
  const peer = await openNetns();
  try {
    await GuardedHost.with({ 'host.yaml': policyBefore }, async (host) => {
      const { netns } = host.bench;
      await connect(netns, peer);
      if (policyBefore !== NONE) {
        const applied = await host.apply();
        if (applied.exitCode !== 0) throw new Error(applied.stderr);
      }
      const server = netns.start(process.execPath, ['-e', SERVER]);
      const client = peer.start(process.execPath, ['-e', CLIENT]);
      try {
        let said = '';
        client.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
        await until('both connections stand', () => said.split('\n').length > 2);
        const wrapper = [requireSystemTool('nsenter'), `--net=${netns.path}`, '--'];
        await use(host, (...args) => {
          const env = { ...host.env, SSH_CONNECTION: SSH };
          const where = ['--manifests', host.bench.manifests, '--node', 'n1'];
          return picket(['apply', ...where, ...args], wrapper, env);
        });
      } finally {
        client.kill('SIGKILL');
        server.kill('SIGKILL');
      }
    });
  } finally {
    await peer.close();
  }
}

const SERVER = `require('net').createServer((s) => s.on('error', () => {})).listen(80, '::')`;

/** Tries until the server is there. */
const CLIENT = `
const connect = (host) => {
  const s = require('net').connect({ host, port: 80, localPort: 50000 });
  s.on('connect', () => console.log('connected'));
  s.on('error', () => setTimeout(connect, 50, host));
};
connect('203.0.113.1');
connect('2001:db8::1');
`;

async function connect(netns: Netns, peer: Netns): Promise<void> {
  await runIp(netns, [
    'link set lo up',
    `link add eth0 type veth peer name eth0 netns ${peer.pid}`,
    'addr add 203.0.113.1/24 dev eth0',
    'addr add 2001:db8::1/64 dev eth0 nodad',
    'link set eth0 up',
  ]);
  await runIp(peer, [
    'addr add 203.0.113.9/24 dev eth0',
    'addr add 2001:db8::9/64 dev eth0 nodad',
    'link set eth0 up',
  ]);
}

kernelTest(
  'says what would change and which connections would be denied, and changes nothing',
  CAPS,
  (t) =>
    withPeer(hostPolicy('80'), async (host, apply) => {
      const before = await host.ruleset();
      const generation = await host.bench.generation();
      host.bench.write('host.yaml', hostPolicy('443', '10.0.0.0/8'));
      const said = await apply('--dry-run');
      t.is(said.exitCode, 0, said.stderr);
      const lines = said.stdout.split('\n');
      t.true(
        lines.some((line) => /^~ chain ingress4?\/gnp\/services: rules \+1 -1$/.test(line)),
        said.stdout,
      );
      t.regex(
        said.stdout,
        /\d+ objects would change\n2 of \d+ tracked connections would be denied/,
      );
      for (const flow of [
        '203.0.113.9:50000 -> 203.0.113.1:80',
        '[2001:db8::9]:50000 -> [2001:db8::1]:80',
      ]) {
        const line = lines.find((each) => each.includes(flow)) ?? '';
        t.regex(line, /^ {2}tcp .*: by end of tier default: selected by gnp\/services/);
      }
      const json = JSON.parse((await apply('--dry-run', '-o', 'json')).stdout) as {
        readonly changes: readonly { readonly name: string }[];
        readonly denied: readonly unknown[];
      };
      t.is(json.denied.length, 2);
      t.true(json.changes.length > 1);
      t.is(await host.bench.generation(), generation);
      t.is(await host.ruleset(), before);
    }),
);

kernelTest('what is applied already changes nothing and denies nobody', CAPS, (t) =>
  withPeer(hostPolicy('80'), async (_host, apply) => {
    const said = await apply('--dry-run');
    t.regex(said.stdout, /^nothing would change\n0 of [2-9]\d* tracked connections/);
  }),
);

kernelTest('connections that nobody tracks yet are judged too', CAPS, (t) =>
  withPeer(NONE, async (host, apply) => {
    host.bench.write('host.yaml', hostPolicy('443', '10.0.0.0/8'));
    const { stdout } = await apply('--dry-run');
    t.regex(stdout, /\n0 of 0 tracked connections would be denied if they were new\n/);
    const [, list = ''] =
      /\n2 of 2 TCP connections that are not tracked yet would be denied .*may be CUT:\n(.*)$/s.exec(
        stdout,
      ) ?? [];
    t.deepEqual(
      list
        .split('\n')
        .map((line) => line.replace(/: by end of tier default.*/, ''))
        .toSorted(),
      [
        '  tcp 203.0.113.9:50000 -> 203.0.113.1:80',
        '  tcp [2001:db8::9]:50000 -> [2001:db8::1]:80',
      ],
      stdout,
    );
    const json = JSON.parse((await apply('--dry-run', '-o', 'json')).stdout) as object;
    t.like(json, { connections: 0, denied: [], untracked: { connections: 2, judged: 2 } });
  }),
);

for (const { name, args, out } of [
  { name: 'refused', args: [], out: { exitCode: 3, applied: false } },
  { name: 'unless it is forced', args: ['--force'], out: { exitCode: 0, applied: true } },
  { name: 'or undoes itself', args: ['--confirm', '10m'], out: { exitCode: 0, applied: true } },
]) {
  kernelTest(`a policy that denies the connection that the operator is on: ${name}`, CAPS, (t) =>
    withPeer(hostPolicy('80'), async (host, apply) => {
      const before = await host.ruleset();
      host.bench.write('host.yaml', hostPolicy('443'));
      const ended = await apply(...args);
      t.is(ended.exitCode, out.exitCode, ended.stderr);
      t.regex(
        ended.stderr,
        /connection that you are on, tcp 203\.0\.113\.9:50000 .*denied by end of tier default/,
      );
      t.is((await host.ruleset()) !== before, out.applied);
    }),
  );
}

kernelTest('one that allows it is applied without a word', CAPS, (t) =>
  withPeer(hostPolicy('80'), async (host, apply) => {
    host.bench.write('host.yaml', hostPolicy('80, 443', '203.0.113.0/24'));
    const ended = await apply();
    t.is(ended.exitCode, 0, ended.stderr);
    t.is(ended.stderr, '');
  }),
);

/** `picket apply` as a user runs it: what it says, what it exits with, and what it leaves in the kernel. */
import { projectPath } from '../../support/tools.ts';
import { Bench, NODE, picket, policy, POWERLESS, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;
const GOOD = { 'web.yaml': WEB, 'policy.yaml': policy('old') };

/** The text is one JSON value and nothing else. */
function parseJson(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

kernelTest('apply: the first time, unchanged, changed, cleaned up', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const first = await bench.apply();
    t.is(first.exitCode, 0, first.stderr);
    t.regex(first.stdout, /^applied: 1 endpoint of node n1, .* operations in 1 transaction$/);
    t.is(first.stderr, '');
    t.deepEqual(await bench.policies(), ['old']);

    const generation = await bench.generation();
    const second = await bench.apply('-o', 'json');
    t.is(second.exitCode, 0);
    const { operations, transactions, degraded } = parseJson(second.stdout);
    t.deepEqual(
      { operations, transactions, degraded },
      { operations: {}, transactions: 0, degraded: false },
    );
    t.is(await bench.generation(), generation);
    t.regex((await bench.apply()).stdout, /^unchanged: 1 endpoint of node n1/);

    bench.write('policy.yaml', policy('new'));
    t.regex((await bench.apply()).stdout, /^applied: /);
    t.deepEqual(await bench.policies(), ['new']);

    const cleanup = ['cleanup', '--netns', bench.netns.path];
    t.is((await picket(cleanup)).stdout, 'removed table inet picket');
    t.is(await bench.table(), undefined);
    const again = await picket([...cleanup, '-o', 'json']);
    t.deepEqual(
      { exitCode: again.exitCode, out: parseJson(again.stdout) },
      { exitCode: 0, out: { removed: false } },
    );
  }),
);

const PARTLY_INVALID = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: partly}
spec:
  selector: app == 'web'
  ingress:
  - {action: Allow, protocol: TCP, source: {nets: [10.1.0.0/33]}}
  - {action: Deny, protocol: TCP, destination: {ports: [70000]}}
  - {action: Allow, protocol: UDP}
`;

kernelTest(
  'apply: what is invalid is told with its place, the rest is enforced, exit 4',
  CAPS,
  (t) =>
    Bench.with({ ...GOOD, 'partly.yaml': PARTLY_INVALID }, async (bench) => {
      const { exitCode, stdout, stderr } = await bench.apply();
      t.is(exitCode, 4);
      t.regex(stdout, /^applied: /);
      const file = bench.path('partly.yaml');
      t.regex(
        stderr,
        new RegExp(
          `^${file}:7: error: spec\\.ingress\\[0\\]\\.source\\.nets\\[0\\]: .*10\\.1\\.0\\.0/33`,
          'm',
        ),
      );
      t.regex(
        stderr,
        new RegExp(
          `^${file}:8: error: spec\\.ingress\\[1\\]\\.destination\\.ports\\[0\\]: .*70000`,
          'm',
        ),
      );
      const chains = [...((await bench.table())?.chains.values() ?? [])];
      const rules = chains.flatMap((chain) => chain.rules);
      const of = (index: number): number[] =>
        rules
          .filter(({ exprs }) =>
            exprs.some((e) => e.kind === 'counter' && e.name === `ingress/gnp/partly/${index}`),
          )
          .map(({ exprs }) => exprs.length);
      t.deepEqual(of(0), [], 'the invalid allow matches nothing');
      t.deepEqual(
        [...new Set(of(1))],
        [2],
        'the invalid deny matches everything: counter and drop alone',
      );
      t.true(of(2).length > 0);

      const json = await bench.apply('-o', 'json');
      t.is(json.exitCode, 4);
      t.is(json.stderr, '');
      const report = parseJson(json.stdout);
      t.true(report['degraded']);
      t.deepEqual(
        (report['issues'] as { path: string; line: number }[]).map(
          ({ path, line }) => `${path} ${line}`,
        ),
        ['spec.ingress[0].source.nets[0] 7', 'spec.ingress[1].destination.ports[0] 8'],
      );
    }),
);

const USAGE = [
  { name: 'no command', args: [], says: /Usage: picket/ },
  { name: 'an unknown command', args: ['enforce'], says: /unknown command 'enforce'/ },
  { name: 'an unknown option', args: ['apply', '--forse'], says: /unknown option '--forse'/ },
  {
    name: 'an unknown format',
    args: ['apply', '-o', 'xml'],
    says: /'xml' is invalid. Allowed choices are text, json/,
  },
  {
    name: 'no directory',
    args: ['run', '--manifests', ''],
    says: /nothing to take policies from: .*--manifests/,
  },
] as const;

kernelTest('usage errors exit 2 and say what is wrong', ['addon'], async (t) => {
  for (const { name, args, says } of USAGE) {
    const { exitCode, stdout, stderr } = await picket(args);
    t.is(exitCode, 2, name);
    t.regex(stdout + stderr, says, name);
  }
});

kernelTest('the wrong namespace: exit 1, and what to do', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const options = ['--manifests', bench.manifests, '--node', NODE, '--netns'];
    const missing = await picket(['apply', ...options, '/run/netns/gone', '-o', 'json']);
    t.is(missing.exitCode, 1);
    t.regex(
      missing.stderr,
      /^picket: .*\/run\/netns\/gone: there is no such file; "ip netns list"/,
    );
    t.regex(String(parseJson(missing.stdout)['error']), /there is no such file/);
    for (const command of ['apply', 'run']) {
      const wrong = await picket([command, ...options, projectPath('package.json')]);
      t.is(wrong.exitCode, 1);
      t.regex(wrong.stderr, /package\.json: the file is not a network namespace/);
    }
  }),
);

const POWERLESS_COMMANDS = [
  { args: ['apply', '--node', NODE], says: /EPERM.*CAP_NET_ADMIN/ },
  { args: ['run', '--node', NODE], says: /EPERM.*CAP_NET_ADMIN/ },
  { args: ['cleanup'], says: /EPERM.*CAP_NET_ADMIN/ },
];

kernelTest('no permission: exit 1, and which capability is missing', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const wrapper = ['nsenter', `--net=${bench.netns.path}`, ...POWERLESS];
    for (const { args, says } of POWERLESS_COMMANDS) {
      const files = args[0] === 'cleanup' ? [] : ['--manifests', bench.manifests];
      const { exitCode, stderr } = await picket([...args, ...files], wrapper);
      t.is(exitCode, 1, stderr);
      t.regex(stderr, says);
    }
    const entering = await picket(['apply', ...bench.options()], POWERLESS);
    t.is(entering.exitCode, 1);
    t.regex(entering.stderr, /E(PERM|ACCES).*CAP_SYS_(ADMIN|PTRACE)/);
    t.is(await bench.table(), undefined);
  }),
);

kernelTest('nothing to apply leaves the rules in force: exit 1', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    t.is((await bench.apply()).exitCode, 0);
    const generation = await bench.generation();
    bench.remove('web.yaml');
    bench.remove('policy.yaml');
    const empty = await bench.apply();
    t.is(empty.exitCode, 1);
    t.regex(
      empty.stderr,
      /no usable manifest in .*the rules in force are unchanged.*picket cleanup/,
    );
    bench.remove('.');
    const gone = await bench.apply('-o', 'json');
    t.is(gone.exitCode, 1);
    const report = parseJson(gone.stdout);
    t.like(report, { applied: false, issues: [{ severity: 'error', file: bench.manifests }] });
    t.regex(String(report['error']), /no usable manifest/);
    t.is(await bench.generation(), generation);
  }),
);

kernelTest('-o json: every command prints one JSON value', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const files = ['--manifests', bench.manifests];
    const node = [...files, '--node', NODE];
    const commands = [
      ['apply', ...bench.options()],
      ['lint', ...files],
      ...['model', 'ir', 'nft'].map((layer) => ['compile', ...node, '--emit', layer]),
      ['compile', ...node, '--emit', 'nft', '--endpoint', 'shop/none'],
      ['cleanup', '--netns', bench.netns.path],
    ];
    for (const command of commands) {
      const { stdout } = await picket([...command, '-o', 'json']);
      t.notThrows(() => parseJson(stdout), command.join(' '));
    }
  }),
);

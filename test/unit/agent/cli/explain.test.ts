/** `picket explain` as a person runs it: exit codes, places, what is said of mistakes. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { execa } from 'execa';
import { picket } from '../../../support/command.ts';
import { projectPath } from '../../../support/tools.ts';

const FILES = {
  'm/pods.yaml': `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n2}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}, {ip: 'fd00::2'}]}
`,
  'm/policy.yaml': `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  selector: app == 'db'
  types: [Ingress]
  ingress:
    - action: Allow
      protocol: TCP
      destination: {ports: [5432]}
    - action: Deny
      metadata: {annotations: {name: no-web}}
      source: {selector: app == 'web'}
`,
};

const explain = (...words: readonly string[]): string[] => ['explain', ...words, '-m', '{dir}/m'];

test('allowed: exit code 0, kind, name, tier, index, file and line', async (t) => {
  const { exitCode, stdout, stderr } = await picket(
    explain('shop/web', 'shop/db', 'tcp/5432'),
    FILES,
  );
  t.is(exitCode, 0, stderr);
  t.regex(stdout, /^shop\/web -> shop\/db tcp\/5432: allowed$/m);
  t.regex(
    stdout,
    /ingress of shop\/db, node n2: allowed\n +by NetworkPolicy shop\/db ingress\[0\] \(tier default\), \{dir\}\/m\/policy\.yaml:8$/m,
  );
  t.regex(stdout, /IPv6 fd00::1 -> fd00::2: allowed\n {2}the same, rule for rule/);
  t.is(stderr, '');
});

test('denied by a rule: exit code 3, the rules before it say why not', async (t) => {
  const { exitCode, stdout } = await picket(explain('shop/web', 'shop/db', 'tcp/80'), FILES);
  t.is(exitCode, 3);
  t.regex(stdout, /by NetworkPolicy shop\/db ingress\[1\].*policy\.yaml:11$/m);
  t.regex(stdout, /\[0\] allow: no match: destination\.ports \(\{dir\}\/m\/policy\.yaml:8\)/);
});

test('denied by no rule: who selected the endpoint', async (t) => {
  const { exitCode, stdout } = await picket(explain('203.0.113.9', 'shop/db', 'icmp'), FILES);
  t.is(exitCode, 3);
  t.regex(stdout, /by end of tier default: selected by np\/shop\/db, no ingress rule matched$/m);
});

test('--node: only what that node sees', async (t) => {
  const { exitCode, stdout } = await picket(
    explain('shop/web', 'shop/db', 'tcp/80', '--node', 'n1'),
    FILES,
  );
  t.is(exitCode, 0);
  t.notRegex(stdout, /ingress of/);
});

test('json', async (t) => {
  const { exitCode, stdout } = await picket(
    explain('shop/web', 'shop/db', 'tcp/80', '-o', 'json'),
    FILES,
  );
  t.is(exitCode, 3);
  const answer = JSON.parse(stdout) as Record<string, never>;
  t.like(answer, {
    question: 'shop/web -> shop/db tcp/80',
    verdict: 'deny',
    flows: {
      0: {
        verdict: 'deny',
        packet: { family: 4, saddr: '10.0.0.1', daddr: '10.0.0.2', dport: 80 },
        stages: {
          1: {
            direction: 'ingress',
            node: 'n2',
            endpoint: 'shop/db',
            decisive: {
              rule: {
                id: 'np/shop/db',
                kind: 'NetworkPolicy',
                namespace: 'shop',
                name: 'db',
                tier: 'default',
                direction: 'ingress',
                index: 1,
                file: '{dir}/m/policy.yaml',
                line: 11,
              },
            },
          },
        },
      },
    },
    issues: [],
  });
});

const REFUSED = [
  {
    name: 'no protocol',
    args: explain('shop/web', 'shop/db'),
    exitCode: 2,
    says: /what does shop\/web send to shop\/db\?[^]*For example: picket explain shop\/web shop\/db tcp\/80/,
  },
  {
    name: 'no destination',
    args: explain('shop/web'),
    exitCode: 2,
    says: /to whom\?/,
  },
  {
    name: 'a protocol that is none',
    args: explain('shop/web', 'shop/db', 'tpc/80'),
    exitCode: 2,
    says: /did you mean "tcp"\?/,
  },
  {
    name: 'an unknown pod',
    args: explain('shop/wbe', 'shop/db', 'tcp/80'),
    exitCode: 1,
    says: /there is no pod shop\/wbe; did you mean shop\/web\?/,
  },
  {
    name: 'an unknown node',
    args: explain('shop/web', 'shop/db', 'tcp/80', '-n', 'elsewhere'),
    exitCode: 1,
    says: /no manifest knows a node elsewhere; there is: n1, n2/,
  },
  {
    name: 'no manifests',
    args: ['explain', 'shop/web', 'shop/db', 'tcp/80', '-m', '{dir}/none'],
    exitCode: 1,
    says: /no usable manifest in \{dir\}\/none: /,
  },
  {
    name: 'no directory',
    args: ['explain', 'shop/web', 'shop/db', 'tcp/80', '-m', ''],
    exitCode: 2,
    says: /no manifests: say it with --manifests/,
  },
];

for (const { name, args, exitCode, says } of REFUSED) {
  test(`refused with exit code ${exitCode}: ${name}`, async (t) => {
    const ended = await picket(args, FILES);
    t.regex(ended.stderr, says);
    t.is(ended.stdout, '');
    t.is(ended.exitCode, exitCode);
  });
}

test('what is wrong with manifests is said, and the answer is what would be enforced', async (t) => {
  const files = {
    ...FILES,
    'm/bad.yaml': FILES['m/policy.yaml']
      .replace('name: db,', 'name: bad,')
      .replace('action: Deny', 'action: Dney'),
  };
  const { exitCode, stdout, stderr } = await picket(
    explain('shop/web', 'shop/db', 'tcp/5432'),
    files,
  );
  t.is(exitCode, 0, stdout);
  t.regex(stderr, /bad\.yaml:11: error: spec\.ingress\[1\]\.action/);
});

test('a flow record is waited for on standard input, however late it comes', async (t) => {
  const child = execa(projectPath('bin/picket'), ['explain', '-'], { reject: false });
  await delay(300);
  child.stdin.end('no record\n');
  const { exitCode, stderr } = await child;
  t.is(exitCode, 2);
  t.regex(stderr, /the flow record is not JSON: give one line of picket flows -o json/);
});

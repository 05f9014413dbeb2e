/** `picket lint` as a person runs it: errors and warnings with file and line, a summary, exit codes. */
import test from 'ava';
import { picket } from '../../../support/command.ts';

const CLUSTER = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.0.0.1}
`;

const WARNED = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector:
    matchLabels: {app: wbe}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  tier: securty
  types: [Ingress]
  selector: app == 'web'
  ingress:
  - action: Allow
  - action: Deny
    protocol: TCP
    destination: {ports: [htpp]}
  egress:
  - action: Allow
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: security}
spec: {order: 1}
`;

test('warnings alone: every one with its line, exit code 0', async (t) => {
  const files = { 'a/cluster.yaml': CLUSTER, 'policies.yaml': WARNED };
  const { exitCode, stdout, stderr } = await picket(['lint', '-m', '{dir}'], files);
  t.is(stderr, '');
  const here = '{dir}/policies.yaml';
  t.deepEqual(stdout.split('\n'), [
    `${here}:5: warning: spec.podSelector: the policy selects no endpoint: no endpoint or network set has app == "wbe"; did you mean "web"?`,
    `${here}:12: warning: spec.tier: there is no Tier "securty": its policies come after all known tiers, and what they leave undecided is denied; did you mean "security"?`,
    `${here}:17: warning: spec.ingress[1]: the rule is never reached: ingress[0] (allow) matches everything that it matches`,
    `${here}:19: warning: spec.ingress[1].destination.ports: no endpoint that the policy selects has a port named "htpp"; did you mean "http"?`,
    `${here}:20: warning: spec.egress: the egress rules are not used, because the types leave it out`,
    '5 objects: 0 errors, 5 warnings',
  ]);
  t.is(exitCode, 0);
});

test('errors: exit code 1, warnings of what is still valid beside them', async (t) => {
  const files = {
    'cluster.yaml': CLUSTER,
    'policies.yaml': WARNED.replace('action: Deny', 'action: Dney'),
  };
  const { exitCode, stdout } = await picket(['lint', '-m', '{dir}'], files);
  t.regex(stdout, /policies\.yaml:17: error: spec\.ingress\[1\]\.action: .*"Deny"/);
  t.regex(stdout, /policies\.yaml:5: warning: /);
  t.regex(stdout, /\n5 objects: 1 error, \d+ warnings$/);
  t.is(exitCode, 1);
});

test('as JSON', async (t) => {
  const args = ['lint', '-m', '{dir}', '-o', 'json'];
  const { exitCode, stdout } = await picket(args, { 'policies.yaml': WARNED });
  const report = JSON.parse(stdout) as { warnings: number; issues: Record<string, unknown>[] };
  t.is(exitCode, 0);
  // No endpoints: only what can be said without them.
  t.deepEqual(
    report.issues.map(({ code, line, object }) => ({ code, line, object })),
    [
      { code: 'tier-missing', line: 12, object: 'projectcalico.org/NetworkPolicy/shop/web' },
      { code: 'rule-shadowed', line: 17, object: 'projectcalico.org/NetworkPolicy/shop/web' },
      { code: 'rules-not-governed', line: 20, object: 'projectcalico.org/NetworkPolicy/shop/web' },
    ],
  );
  t.is(report.warnings, 3);
});

test('nothing wrong: the summary alone', async (t) => {
  const { exitCode, stdout } = await picket(['lint', '-m', '{dir}'], { 'c.yaml': CLUSTER });
  t.is(stdout, '2 objects: 0 errors, 0 warnings');
  t.is(exitCode, 0);
});

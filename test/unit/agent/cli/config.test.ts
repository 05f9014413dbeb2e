/** The configuration as commands see it: where it is read, what is refused, and what it changes in the table. */
import test from 'ava';
import { picket } from '../../../support/command.ts';

const POD = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.0.0.1}
`;

const compile = ['compile', '--emit', 'nft', '-c', '{dir}/picket.yaml'];

test('everything from the file', async (t) => {
  const { exitCode, stdout } = await picket(compile, {
    'manifests/pod.yaml': POD,
    'picket.yaml': 'node: n1\nmanifests: {dir}/manifests\nserviceCidrs: [10.96.0.0/12]\n',
  });
  t.is(exitCode, 0, stdout);
  t.regex(stdout, /from-shop\/web/);
  t.regex(stdout, /chain inet picket forward-service /);
});

test('flags beat the file; settings reach the table', async (t) => {
  const files = {
    'manifests/pod.yaml': POD,
    'picket.yaml':
      'node: other\nserviceCidrs: [10.96.0.0/12, "fd00:96::/112"]\nserviceLoopPrevention: Reject\n' +
      'denyAction: Reject\nendpointToHostAction: Drop\nfilterPriority: -5\n',
  };
  const { exitCode, stdout } = await picket(
    [...compile, '--manifests', '{dir}/manifests', '--node', 'n1'],
    files,
  );
  t.is(exitCode, 0);
  t.regex(stdout, /forward-service[^\n]*forward[^\n]*-1\b/);
  t.regex(stdout, /shop\/web/);
  t.regex(stdout, /to-host/);
  t.regex(stdout, /reject/);
});

const REFUSED = [
  {
    name: 'a wrong value',
    args: ['lint', '-c', '{dir}/picket.yaml', '-m', '{dir}'],
    files: { 'picket.yaml': 'denyAction: Rejct\n' },
    env: {},
    says: /\{dir\}\/picket\.yaml:1: denyAction: "Rejct" .*did you mean "Reject"/,
  },
  {
    name: 'a wrong variable',
    args: ['lint', '-m', '{dir}'],
    files: {},
    env: { PICKET_VXLAN_PORT: '0' },
    says: /environment: PICKET_VXLAN_PORT: 0 is not right/,
  },
  {
    name: 'an OTLP output without an endpoint',
    args: ['lint', '-m', '{dir}'],
    files: {},
    env: { PICKET_FLOW_LOG_OUTPUTS: 'stdout,otlp' },
    says: /flowLogOutputs has otlp, but no flowLogOtlpEndpoint: say it with PICKET_FLOW_LOG_OTLP_ENDPOINT/,
  },
  {
    name: 'an OTLP endpoint with credentials',
    args: ['lint', '-m', '{dir}'],
    files: {},
    env: { PICKET_FLOW_LOG_OTLP_ENDPOINT: 'http://user:secret@collector:4318' },
    says: /PICKET_FLOW_LOG_OTLP_ENDPOINT: .*without credentials/,
  },
  {
    name: 'a file that is not there',
    args: ['lint', '-c', '{dir}/none.yaml', '-m', '{dir}'],
    files: {},
    env: {},
    says: /none\.yaml: ENOENT/,
  },
  {
    name: 'no directory of manifests',
    args: ['compile', '--emit', 'ir', '-m', ''],
    files: {},
    env: {},
    says: /no manifests: say it with --manifests, PICKET_MANIFESTS, or manifests in the configuration file/,
  },
  {
    name: 'config: an unknown key',
    args: ['config', '-c', '{dir}/picket.yaml'],
    files: { 'picket.yaml': '# x\nnod: a\n' },
    env: {},
    says: /\{dir\}\/picket\.yaml:2: nod: unknown key; did you mean "node"\?/,
  },
];

for (const { name, args, files, env, says } of REFUSED) {
  test(`refused with exit code 2: ${name}`, async (t) => {
    const { exitCode, stderr } = await picket(args, files, env);
    t.regex(stderr, says);
    t.is(exitCode, 2);
  });
}

test('config prints what is set where, and a default file that it accepts', async (t) => {
  const shown = await picket(
    ['config', '-c', '{dir}/picket.yaml'],
    { 'picket.yaml': 'vxlanPort: 8472\n' },
    { PICKET_NODE: 'n1' },
  );
  t.deepEqual(shown, {
    exitCode: 0,
    stdout:
      'node: "n1"    # PICKET_NODE\nvxlanPort: 8472    # {dir}/picket.yaml:1\n{dir}/picket.yaml: valid',
    stderr: '',
  });
  const printed = await picket(['config', '--print-default']);
  const checked = await picket(['config', '-c', '{dir}/d.yaml', '-o', 'json'], {
    'd.yaml': printed.stdout,
  });
  t.is(checked.exitCode, 0, checked.stderr);
});

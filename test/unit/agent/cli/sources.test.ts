import test from 'ava';
import { picket } from '../../../support/command.ts';

interface Row {
  readonly name: string;
  readonly in: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly out: RegExp;
}

const KUBECONFIG = `
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: {auth-provider: {name: gcp}}}]
`;

const ROWS: readonly Row[] = [
  {
    name: 'nothing to take policies from',
    in: ['--manifests', ''],
    out: /nothing to take policies from: say it with --manifests DIR, --kubeconfig FILE or --in-cluster/,
  },
  {
    name: 'two clusters',
    in: ['--in-cluster', '--kubeconfig', 'x'],
    out: /--kubeconfig and --in-cluster exclude each other/,
  },
  {
    name: 'a kubeconfig that is not there',
    in: ['--kubeconfig', '{dir}/none'],
    out: /\/none: ENOENT/,
  },
  {
    name: 'a kubeconfig without a current context',
    in: ['--kubeconfig', '{dir}/k'],
    files: { k: KUBECONFIG },
    out: /\/k: there is no context without a name \(current-context\)/,
  },
  {
    name: 'a kubeconfig with an old auth provider',
    in: ['--kubeconfig', '{dir}/k'],
    files: { k: `current-context: x${KUBECONFIG}` },
    out: /auth-provider "gcp" is not supported: use an exec plugin/,
  },
  {
    name: 'a kubeconfig of the environment that is not there',
    in: [],
    env: { PICKET_KUBECONFIG: '/nowhere/k' },
    out: /\/nowhere\/k: ENOENT/,
  },
  {
    name: 'no pod',
    in: ['--in-cluster'],
    env: { KUBERNETES_SERVICE_HOST: '' },
    out: /KUBERNETES_SERVICE_HOST is not set: this is no pod/,
  },
];

for (const { name, in: args, files = {}, env = {}, out } of ROWS) {
  test(`run refuses with exit code 2: ${name}`, async (t) => {
    const { exitCode, stderr } = await picket(['run', '--node', 'n1', ...args], files, env);
    t.is(exitCode, 2, stderr);
    t.regex(stderr, out);
  });
}

/** What people install in a cluster: the chart, the manifest made from it, and what both promise. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { execa } from 'execa';
import { parse, parseAllDocuments } from 'yaml';
import { runCommand } from '../../../agent/cli/run.ts';
import { printConfigIssue, resolveConfig } from '../../../agent/config/config.ts';
import { BUILT_IN, CALICO, CLUSTER_POLICY } from '../../../agent/kube/resources.ts';
import packageManifest from '../../../package.json' with { type: 'json' };
import { kernelTest } from '../../support/needs.ts';
import { projectPath, requireSystemTool } from '../../support/tools.ts';

interface KubeObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string }[];
  readonly securityContext: unknown;
  readonly livenessProbe: { readonly httpGet: { readonly host: string } };
}

interface PodSpec {
  readonly containers: readonly [Container];
  readonly [field: string]: unknown;
}

const MANIFEST = readFileSync(projectPath('deploy/picket.yaml'), 'utf8');

function objectsOf(text: string): readonly KubeObject[] {
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

function find(kind: string, objects = objectsOf(MANIFEST)): KubeObject {
  const found = objects.find((object) => object.kind === kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

function podSpec(): PodSpec {
  const { spec } = find('DaemonSet') as unknown as { spec: { template: { spec: PodSpec } } };
  return spec.template.spec;
}

function render(...args: readonly string[]): Promise<string> {
  const chart = projectPath('deploy/helm/picket');
  const command = ['template', 'picket', chart, '--namespace', 'kube-system', ...args];
  return execa(requireSystemTool('helm'), command).then(({ stdout }) => stdout);
}

kernelTest('the manifest is what the chart gives', ['helm'], async (t) => {
  const { exitCode, stderr } = await execa(
    process.execPath,
    [projectPath('scripts/manifest.ts'), '--check'],
    { reject: false },
  );
  t.is(exitCode, 0, stderr);
});

kernelTest('the chart passes helm lint', ['helm'], async (t) => {
  const { exitCode, stdout } = await execa(
    requireSystemTool('helm'),
    ['lint', '--strict', projectPath('deploy/helm/picket')],
    { reject: false },
  );
  t.is(exitCode, 0, stdout);
});

kernelTest('values reach the objects', ['helm'], async (t) => {
  const text = await render(
    '--set=nodeManifests=/srv/my: policies',
    '--set=events=false',
    '--set=config.denyAction=Reject',
    '--set=image.tag=v9',
    '--set=image.pullSecrets={registry}',
    '--set=nodeSelector.pool=edge',
    '--set=priorityClassName=',
  );
  t.regex(text, /--manifests=\/etc\/picket\/policies/);
  t.regex(text, /path: "\/srv\/my: policies"/);
  t.regex(text, /imagePullSecrets:\n +- name: registry\n/);
  t.regex(text, /nodeSelector:\n +kubernetes\.io\/os: linux\n +pool: edge\n/);
  t.notRegex(text, /priorityClassName/);
  t.regex(text, /denyAction: Reject/);
  t.regex(text, /image: picket:v9/);
  t.notRegex(text, /resources: \[events\]/);
});

test('the chart has the version of the project', (t) => {
  const chart = parse(readFileSync(projectPath('deploy/helm/picket/Chart.yaml'), 'utf8')) as {
    version: string;
    appVersion: string;
  };
  t.is(chart.version, packageManifest.version);
  t.is(chart.appVersion, packageManifest.version);
});

test('the pod has no more rights than it uses', (t) => {
  const spec = podSpec();
  const [container] = spec.containers;
  t.deepEqual(container.securityContext, {
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsUser: 0,
    runAsGroup: 0,
    seccompProfile: { type: 'RuntimeDefault' },
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
  });
  t.true(spec['hostNetwork']);
  t.is(spec['priorityClassName'], 'system-node-critical');
  t.deepEqual(spec['nodeSelector'], { 'kubernetes.io/os': 'linux' });
  t.deepEqual(spec['tolerations'], [{ operator: 'Exists' }]);
  t.is(container.livenessProbe.httpGet.host, '127.0.0.1');
});

test('the agent understands its arguments, its environment and its configuration', (t) => {
  const [container] = podSpec().containers;
  const flags = runCommand().options.map(({ long }) => long);
  for (const arg of container.args.slice(1)) t.true(flags.includes(arg.split('=')[0]), arg);
  const { data } = find('ConfigMap') as unknown as { data: Record<string, string> };
  const { issues } = resolveConfig({
    file: { source: 'picket.yaml', text: data['picket.yaml'] ?? '' },
    env: Object.fromEntries(container.env.map(({ name }) => [name, 'value'])),
    flags: {},
  });
  t.deepEqual(issues.map(printConfigIssue), []);
});

test('the agent may read each resource that it reads, and write nothing but events', (t) => {
  const { rules } = find('ClusterRole') as unknown as {
    rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
  };
  const may = (group: string, resource: string, verb: string): boolean =>
    rules.some(
      (rule) =>
        rule.apiGroups.includes(group) &&
        rule.resources.includes(resource) &&
        rule.verbs.includes(verb),
    );
  for (const { group, plural } of [...BUILT_IN, ...CLUSTER_POLICY, ...CALICO.flat()]) {
    t.true(may(group, plural, 'list') && may(group, plural, 'watch'), `${group}/${plural}`);
  }
  const writes = rules.filter(({ verbs }) => verbs.some((v) => v !== 'list' && v !== 'watch'));
  t.deepEqual(writes, [{ apiGroups: [''], resources: ['events'], verbs: ['create'] }]);
});

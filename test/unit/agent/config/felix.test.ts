/** Calico's settings as defaults of ours: which object counts, and what its fields become. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { FELIX_PARAMETERS, felixDefaults } from '../../../../agent/config/felix.ts';
import { printConfigIssue, resolveConfig } from '../../../../agent/config/config.ts';
import { CONFIG_NAMES } from '../../../../agent/config/keys.ts';
import type { FelixConfiguration } from '../../../../compiler/model/cluster.ts';
import { parseResource } from '../../../../compiler/model/parse/resource.ts';
import { projectPath } from '../../../support/tools.ts';

interface Written {
  readonly name: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly created?: string;
}

function felix({ name, spec = {}, annotations = {}, created }: Written): FelixConfiguration {
  const metadata = { name, annotations, ...(created && { creationTimestamp: created }) };
  const object = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'FelixConfiguration',
    metadata,
    spec,
  };
  const { value } = parseResource(object, { workloadSourceSpoofing: 'Disabled' });
  if (value?.kind !== 'FelixConfiguration') throw new Error('not accepted');
  return value;
}

const ROWS: readonly {
  readonly name: string;
  readonly objects: readonly Written[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly out: Readonly<Record<string, unknown>>;
}[] = [
  { name: 'nothing', objects: [], out: {} },
  {
    name: 'fields of each type',
    objects: [
      {
        name: 'default',
        spec: {
          defaultEndpointToHostAction: 'ACCEPT',
          nftablesFilterDenyAction: 'Reject',
          disableConntrackInvalidCheck: true,
          interfacePrefix: 'cali,tap',
          vxlanPort: 8472,
          ipipEnabled: true,
          externalNodesList: ['10.9.0.0/16'],
        },
      },
    ],
    out: {
      endpointToHostAction: 'Accept',
      denyAction: 'Reject',
      disableConntrackInvalidCheck: true,
      interfacePrefixes: ['cali', 'tap'],
      vxlanPort: 8472,
      ipipEnabled: true,
      externalNodes: ['10.9.0.0/16'],
    },
  },
  {
    name: 'failsafe ports, with prefixes',
    objects: [
      {
        name: 'default',
        spec: {
          failsafeInboundHostPorts: [
            { protocol: 'TCP', port: 22 },
            { protocol: 'UDP', port: 53, net: 'fd00::/8' },
            { protocol: 'tcp', port: 6443, net: '10.0.0.0/8' },
          ],
        },
      },
    ],
    out: { failsafeInboundHostPorts: ['tcp:22', 'udp:[fd00::/8]:53', 'tcp:10.0.0.0/8:6443'] },
  },
  {
    name: 'an explicit empty list is no failsafe, an absent one is the default',
    objects: [{ name: 'default', spec: { failsafeOutboundHostPorts: [] } }],
    out: { failsafeOutboundHostPorts: [] },
  },
  {
    name: 'the object of this node beats the one for all, another node does not count',
    objects: [
      { name: 'default', spec: { vxlanPort: 1, serviceLoopPrevention: 'Reject' } },
      { name: 'node.n1', spec: { vxlanPort: 2 } },
      { name: 'node.n2', spec: { vxlanPort: 3 } },
    ],
    out: { vxlanPort: 2, serviceLoopPrevention: 'Reject' },
  },
  {
    name: 'of those whose selector finds the node the oldest counts, and no other',
    objects: [
      { name: 'default', spec: { vxlanPort: 1 } },
      {
        name: 'young',
        created: '2026-02-01T00:00:00Z',
        spec: { nodeSelector: "zone == 'a'", vxlanPort: 2, ipipEnabled: true },
      },
      {
        name: 'old',
        created: '2026-01-01T00:00:00Z',
        spec: { nodeSelector: "zone == 'a'", vxlanPort: 3 },
      },
      { name: 'elsewhere', spec: { nodeSelector: "zone == 'b'", vxlanPort: 4 } },
      { name: 'nowhere', spec: { vxlanPort: 5 } },
    ],
    labels: { zone: 'a' },
    out: { vxlanPort: 3 },
  },
  {
    name: 'an annotation beats the field',
    objects: [
      {
        name: 'default',
        spec: { vxlanPort: 1 },
        annotations: { 'config.projectcalico.org/VXLANPort': '0x1000' },
      },
    ],
    out: { vxlanPort: 4096 },
  },
];

for (const { name, objects, labels = {}, out } of ROWS) {
  test(name, (t) => {
    const { values, problems } = felixDefaults(objects.map(felix), 'n1', labels);
    t.deepEqual(Object.fromEntries(values), out);
    t.deepEqual(problems, []);
    const resolved = resolveConfig({
      defaults: { source: 'FelixConfiguration', values },
      file: undefined,
      env: {},
      flags: {},
    });
    t.deepEqual(resolved.issues.map(printConfigIssue), []);
  });
}

test('what cannot be read is told and leaves the default', (t) => {
  const spec = { vxlanPort: 99_999, defaultEndpointToHostAction: 'Perhaps', ipipEnabled: 'maybe' };
  const { values, problems } = felixDefaults([felix({ name: 'default', spec })], 'n1', {});
  t.is(values.size, 0);
  t.is(problems.length, 3);
  for (const name of ['vxlanport', 'defaultendpointtohostaction', 'ipinipenabled']) {
    t.true(
      problems.some((problem) => problem.startsWith(name)),
      name,
    );
  }
});

test('a file beats the cluster', (t) => {
  const { values } = felixDefaults([felix({ name: 'default', spec: { vxlanPort: 1 } })], 'n1', {});
  const { config, sources } = resolveConfig({
    defaults: { source: 'FelixConfiguration', values },
    file: { source: 'picket.yaml', text: 'denyAction: Reject\nvxlanPort: 2\n' },
    env: {},
    flags: {},
  });
  t.is(config.vxlanPort, 2);
  t.is(sources.get('vxlanPort'), 'picket.yaml:2');
});

test('every row is a key of ours or says why not', (t) => {
  for (const [name, row] of Object.entries(FELIX_PARAMETERS)) {
    t.is(name, name.toLowerCase());
    if ('key' in row) t.true((CONFIG_NAMES as readonly string[]).includes(row.key), name);
    else t.not(row.ignored, '');
  }
});

test('the README says of each row what it is here', (t) => {
  const readme = readFileSync(projectPath('README.md'), 'utf8');
  const [table = ''] = /\| Felix parameter[^]*?\n\n/.exec(readme) ?? [];
  const named = new Set((table.match(/\w+/g) ?? []).map((word) => word.toLowerCase()));
  for (const name of Object.keys(FELIX_PARAMETERS)) t.true(named.has(name), name);
});

/** The CustomResourceDefinitions: made from the table, refuse what is wrong, take whatever the agent understands without an error. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { parse, parseAllDocuments } from 'yaml';
import { parseResource } from '../../../compiler/model/parse/resource.ts';
import { schemaErrors } from '../../support/json-schema.ts';
import { projectPath } from '../../support/tools.ts';

type Json = Readonly<Record<string, unknown>>;

interface Definition {
  readonly spec: {
    readonly names: { readonly kind: string };
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Json } }];
  };
}

const FOLDER = projectPath('deploy/crds');

/** Kind to its schema, as JSON Schema: unknown fields are wrong here, where the API server would drop them. */
const SCHEMAS = new Map(
  readdirSync(FOLDER).map((file): [string, Json] => {
    const { spec } = parse(readFileSync(join(FOLDER, file), 'utf8')) as Definition;
    return [spec.names.kind, closed(spec.versions[0].schema.openAPIV3Schema)];
  }),
);

function closed(schema: unknown): Json {
  if (typeof schema !== 'object' || schema === null) return {};
  const { nullable, anyOf, ...rest } = schema as Json;
  const kept = Object.entries(rest).filter(([key]) => !key.startsWith('x-kubernetes-'));
  const mapped = Object.fromEntries(kept.map(([key, value]) => [key, closedPart(key, value)]));
  const type = anyOf === undefined ? rest['type'] : ['integer', 'string'];
  const isClosed = 'properties' in rest ? { additionalProperties: false } : {};
  const types = nullable === true ? { type: [type, 'null'] } : type === undefined ? {} : { type };
  return { ...mapped, ...types, ...isClosed };
}

function closedPart(key: string, value: unknown): unknown {
  if (key === 'items' || key === 'additionalProperties') return closed(value);
  if (key !== 'properties') return value;
  const fields = Object.entries(value as Json).filter(([name]) => name !== 'metadata');
  const open = 'metadata' in (value as Json) ? { metadata: {} } : {};
  return { ...Object.fromEntries(fields.map(([name, part]) => [name, closed(part)])), ...open };
}

const CONTEXT = { workloadSourceSpoofing: 'Disabled' } as const;

function withoutNulls(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, each: unknown) => each ?? undefined));
}

const CASES = projectPath('test/cases');

/** Objects of the hand-written cases that parsing finds nothing wrong with. */
const RIGHT = readdirSync(CASES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'lint')
  .flatMap(({ name }) => {
    const text = readFileSync(join(CASES, name, 'manifests.yaml'), 'utf8');
    return parseAllDocuments(text).map((document) => ({ name, object: document.toJS() as Json }));
  })
  .filter(({ object }) => String(object?.['apiVersion']).startsWith('projectcalico.org/'))
  .filter(({ object }) => parseResource(object, CONTEXT).issues.length === 0)
  // The API server wants what is empty left out, not null.
  .map(({ name, object }) => ({ name, object: withoutNulls(object) as Json }));

test('the definitions are those of the table', async (t) => {
  const check = [projectPath('scripts/crds.ts'), '--check'];
  const { exitCode, stderr } = await execa(process.execPath, check, { reject: false });
  t.is(exitCode, 0, stderr);
});

/** The agent takes more than the specification lets the API server take. */
const STRICTER: Readonly<Record<string, string>> = {
  'types-empty-list-is-defaulted': 'types has 1 to 2 items (section 1.1)',
};

test('what the agent takes without a complaint, the API server takes too', (t) => {
  t.true(RIGHT.length > 100);
  for (const { name, object } of RIGHT) {
    const schema = SCHEMAS.get(String(object['kind']));
    if (schema === undefined || name in STRICTER) continue;
    t.deepEqual(schemaErrors(schema, object), [], `${name}: ${JSON.stringify(object)}`);
  }
});

const rule = (fields: Json): Json => ({ spec: { ingress: [{ action: 'Allow', ...fields }] } });

const WRONG: readonly (readonly [name: string, kind: string, object: Json])[] = [
  ['an action in lower case', 'NetworkPolicy', { spec: { ingress: [{ action: 'allow' }] } }],
  ['a rule without an action', 'NetworkPolicy', { spec: { ingress: [{ protocol: 'TCP' }] } }],
  ['a protocol that is none', 'NetworkPolicy', rule({ protocol: 'TPC' })],
  ['a prefix that is too long', 'NetworkPolicy', rule({ source: { nets: ['10.0.0.0/33'] } })],
  ['a net that is a name', 'GlobalNetworkSet', { spec: { nets: ['example.org'] } }],
  ['a port with a blank', 'NetworkPolicy', rule({ destination: { ports: ['80 81'] } })],
  ['an ICMP type of 255', 'NetworkPolicy', rule({ icmp: { type: 255 } })],
  ['no type at all', 'GlobalNetworkPolicy', { spec: { types: [] } }],
  ['an unknown direction', 'GlobalNetworkPolicy', { spec: { types: ['Inbound'] } }],
  ['a field that nobody knows', 'NetworkPolicy', { spec: { ingres: [] } }],
  ['a default action of Allow', 'Tier', { spec: { defaultAction: 'Allow' } }],
  ['a host endpoint without node', 'HostEndpoint', { spec: { interfaceName: 'eth0' } }],
  [
    'an interface name of 16',
    'HostEndpoint',
    { spec: { node: 'a', interfaceName: 'e'.repeat(16) } },
  ],
  ['a prefix for an address', 'HostEndpoint', { spec: { node: 'a', expectedIPs: ['10.0.0.0/8'] } }],
  [
    'port 0',
    'HostEndpoint',
    { spec: { node: 'a', ports: [{ name: 'a', protocol: 'TCP', port: 0 }] } },
  ],
  ['no spec', 'NetworkSet', {}],
];

for (const [name, kind, object] of WRONG) {
  test(`refused: ${name}`, (t) => {
    t.not(schemaErrors(SCHEMAS.get(kind) ?? {}, object).length, 0);
  });
}

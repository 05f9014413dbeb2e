/** fast-check generators of labels, selectors, rules and policies; see arbitrary.ts. */
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { Labels } from '../../compiler/model/cluster.ts';
import type {
  EntityMatch,
  Policy,
  PortMatch,
  ProtocolMatch,
  Rule,
  RuleMatch,
} from '../../compiler/model/policy.ts';
import { ANY_ENTITY, policyId } from '../../compiler/model/policy.ts';
import type { Selector } from '../../compiler/model/selector.ts';
import {
  LABEL_KEYS,
  LABEL_VALUES,
  NAMESPACES,
  NETS,
  POLICY_NAMES,
  PORT_NAMES,
  PORTS,
  SERVICE_ACCOUNTS,
  SERVICES,
  TIERS,
} from './pools.ts';
import { cidr, policy } from './world.ts';

interface Lengths {
  readonly minLength?: number;
  readonly maxLength: number;
}

/** `undefined` three times out of four. */
function rarely<T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> {
  return fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

export const arbitraryLabels: Arbitrary<Labels> = fc.dictionary(
  fc.constantFrom(...LABEL_KEYS),
  fc.constantFrom(...LABEL_VALUES),
  { maxKeys: 2, noNullPrototype: true },
);

/** Over the pool's labels, and sometimes over the labels that Calico adds. */
const arbitrarySelector: Arbitrary<Selector> = fc.letrec<{ selector: Selector }>((tie) => ({
  selector: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'selector' },
    { weight: 6, arbitrary: arbitraryLeaf() },
    {
      weight: 1,
      arbitrary: tie('selector').map((operand): Selector => ({ kind: 'not', operand })),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('and', 'or'),
        operands: fc.array(tie('selector'), { minLength: 2, maxLength: 3 }),
      }),
    },
  ),
})).selector;

export function arbitraryRules(lengths: Lengths): Arbitrary<Rule[]> {
  return fc
    .array(arbitraryRule(), lengths)
    .map((rules) => rules.map((rule, index) => ({ ...rule, index })));
}

/** Every enforced kind, and staged ones; unique ids. */
export function arbitraryPolicies(lengths: Lengths): Arbitrary<Policy[]> {
  return fc.uniqueArray(
    fc.oneof(
      { weight: 5, arbitrary: arbitraryNamespaced() },
      { weight: 4, arbitrary: arbitraryClusterScoped() },
    ),
    { ...lengths, selector: policyId },
  );
}

function arbitraryNamespaced(): Arbitrary<Policy> {
  return arbitraryPolicy({
    policyKind: fc.constantFrom(
      'NetworkPolicy',
      'NetworkPolicy',
      'KubernetesNetworkPolicy',
      'StagedNetworkPolicy',
    ),
    namespace: fc.constantFrom(...NAMESPACES),
  });
}

function arbitraryClusterScoped(): Arbitrary<Policy> {
  return arbitraryPolicy({
    policyKind: fc.constantFrom(
      'GlobalNetworkPolicy',
      'GlobalNetworkPolicy',
      'KubernetesClusterNetworkPolicy',
      'AdminNetworkPolicy',
      'BaselineAdminNetworkPolicy',
      'StagedGlobalNetworkPolicy',
    ),
    namespaceSelector: rarely(arbitrarySelector),
    stage: fc.constantFrom('normal', 'normal', 'normal', 'forward', 'pre-dnat', 'untracked'),
  });
}

/** Of every kind of host policy, mostly for everybody; names that nothing else has. */
export function arbitraryHostPolicies(lengths: Lengths): Arbitrary<Policy[]> {
  const one = arbitraryPolicy({
    policyKind: fc.constant('GlobalNetworkPolicy'),
    stage: fc.constantFrom('normal', 'forward', 'forward', 'pre-dnat', 'untracked'),
  });
  return fc
    .array(one, lengths)
    .map((all) => all.map((each, index) => ({ ...each, name: `host-${index}` })));
}

/** Fields that only some kinds have come in as arbitraries. */
function arbitraryPolicy(parts: {
  readonly policyKind: Arbitrary<Policy['policyKind']>;
  readonly namespace?: Arbitrary<string>;
  readonly namespaceSelector?: Arbitrary<Selector | undefined>;
  readonly stage?: Arbitrary<'normal' | 'forward' | 'pre-dnat' | 'untracked'>;
}): Arbitrary<Policy> {
  return fc
    .record({
      policyKind: parts.policyKind,
      namespace: parts.namespace ?? fc.constant(undefined),
      name: fc.constantFrom(...POLICY_NAMES),
      tier: fc.constantFrom('default', 'default', ...TIERS),
      order: fc.constantFrom(undefined, 1, 1, 1000, -0.5),
      selector: rarely(arbitrarySelector),
      namespaceSelector: parts.namespaceSelector ?? fc.constant(undefined),
      serviceAccountSelector: rarely(rarely(arbitrarySelector)),
      types: fc.constantFrom<Policy['types'][]>(
        ['ingress', 'egress'],
        ['egress', 'ingress'],
        ['ingress'],
        ['egress'],
      ),
      ingress: arbitraryRules({ maxLength: 5 }),
      egress: arbitraryRules({ maxLength: 5 }),
      stage: parts.stage ?? fc.constant('normal' as const),
    })
    .map(({ name, stage, ...fields }) =>
      policy(name, {
        ...fields,
        staged: fields.policyKind.startsWith('Staged'),
        applyOnForward: stage !== 'normal',
        preDnat: stage === 'pre-dnat',
        doNotTrack: stage === 'untracked',
      }),
    );
}

function arbitraryRule(): Arbitrary<Rule> {
  const valid = fc
    .record({
      action: fc.constantFrom('allow', 'allow', 'deny', 'pass', 'log'),
      name: fc.constantFrom(undefined, 'named'),
      match: arbitraryMatch(),
    })
    .map((fields): Rule => ({ index: 0, ...fields }));
  const invalid = fc.constantFrom<Rule[]>(
    { action: 'allow', index: 0, name: undefined, match: 'nothing' },
    { action: 'deny', index: 0, name: undefined, match: 'everything' },
  );
  return fc.oneof({ weight: 40, arbitrary: valid }, { weight: 1, arbitrary: invalid });
}

/** Which ports, ICMP parts and protocols may stand together depends on the protocol: section 1.14 and 4.2. */
function arbitraryMatch(): Arbitrary<RuleMatch> {
  const anyProtocol = arbitraryHeader({ protocol: fc.constant(undefined), hasIcmp: true });
  const withPorts = arbitraryHeader({
    protocol: fc
      .constantFrom(6, 6, 6, 17, 17, 132)
      .map((number) => ({ number, family: undefined })),
    hasIcmp: false,
  });
  const icmp = arbitraryHeader({
    protocol: fc.constantFrom<ProtocolMatch[]>(
      { number: 1, family: 4 },
      { number: 58, family: 6 },
      { number: 1, family: undefined },
      { number: 58, family: undefined },
    ),
    hasIcmp: true,
  });
  const other = arbitraryHeader({
    protocol: fc.constantFrom(47, 4, 136).map((number) => ({ number, family: undefined })),
    hasIcmp: false,
  });
  const named: Arbitrary<PortMatch> = arbitraryNamed();
  const numbered: Arbitrary<PortMatch> = fc.oneof(arbitraryRange(), arbitraryRange(), named);
  return fc.oneof(
    { weight: 8, arbitrary: joined(anyProtocol, named) },
    { weight: 6, arbitrary: joined(withPorts, numbered) },
    { weight: 2, arbitrary: joined(icmp, undefined) },
    { weight: 1, arbitrary: joined(other, undefined) },
  );
}

type Header = Omit<RuleMatch, 'source' | 'destination'>;

/** `port` undefined = the protocol has none. */
function joined(
  header: Arbitrary<Header>,
  port: Arbitrary<PortMatch> | undefined,
): Arbitrary<RuleMatch> {
  return fc
    .tuple(header, arbitraryEntity(port), arbitraryEntity(port))
    .map(([fields, source, destination]) => ({ ...fields, source, destination }));
}

function arbitraryHeader(parts: {
  readonly protocol: Arbitrary<ProtocolMatch | undefined>;
  readonly hasIcmp: boolean;
}): Arbitrary<Header> {
  const icmp = fc.record({
    type: fc.constantFrom(3, 8, 128),
    code: fc.constantFrom(undefined, undefined, 0, 1),
  });
  const icmpPart = parts.hasIcmp ? rarely(icmp) : fc.constant(undefined);
  return fc.record({
    ipVersion: rarely(rarely(fc.constantFrom(4, 6))),
    protocol: parts.protocol,
    notProtocol: rarely(
      rarely(
        fc.constantFrom<ProtocolMatch[]>(
          { number: 6, family: undefined },
          { number: 17, family: undefined },
          { number: 1, family: 4 },
          { number: 58, family: 6 },
        ),
      ),
    ),
    icmp: icmpPart,
    notIcmp: icmpPart,
  });
}

/** Mostly one or two parts, so that rules match now and then. `port` undefined = no ports. */
function arbitraryEntity(port: Arbitrary<PortMatch> | undefined): Arbitrary<EntityMatch> {
  const nets = fc
    .uniqueArray(fc.constantFrom(...NETS), { minLength: 1, maxLength: 3 })
    .map((list) => list.map(cidr));
  const ports = port === undefined ? fc.constant([]) : fc.array(port, { maxLength: 3 });
  const whole = fc.record({
    nets,
    notNets: nets,
    selector: arbitrarySelector,
    notSelector: arbitrarySelector,
    namespaceSelector: arbitrarySelector,
    serviceAccounts: fc.record({
      names: fc.uniqueArray(fc.constantFrom(...SERVICE_ACCOUNTS), { maxLength: 2 }),
      selector: fc.option(arbitrarySelector, { nil: undefined }),
    }),
    ports,
    notPorts: ports,
  });
  const parts = fc.subarray(
    [...ENTITY_PARTS, ...(port === undefined ? [] : (['ports', 'ports', 'notPorts'] as const))],
    { minLength: 1, maxLength: 3 },
  );
  const entity = fc.tuple(whole, parts).map(([fields, kept]): EntityMatch => ({
    ...ANY_ENTITY,
    ...Object.fromEntries(kept.map((part) => [part, fields[part]])),
  }));
  const service = fc
    .record({ namespace: fc.constantFrom(...NAMESPACES), name: fc.constantFrom(...SERVICES) })
    .map((named): EntityMatch => ({ ...ANY_ENTITY, service: named }));
  return fc.oneof(
    { weight: 5, arbitrary: fc.constant(ANY_ENTITY) },
    { weight: 6, arbitrary: entity },
    { weight: 1, arbitrary: service },
  );
}

/** What an entity may ask for whatever the protocol. */
const ENTITY_PARTS = [
  'nets',
  'notNets',
  'selector',
  'notSelector',
  'namespaceSelector',
  'serviceAccounts',
] as const;

function arbitraryRange(): Arbitrary<PortMatch> {
  return fc
    .tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS))
    .map(([a, b]): PortMatch => ({
      kind: 'range',
      first: Math.min(a, b),
      last: Math.max(a, b),
    }));
}

function arbitraryNamed(): Arbitrary<PortMatch> {
  return fc.constantFrom(...PORT_NAMES).map((name): PortMatch => ({ kind: 'named', name }));
}

function arbitraryLeaf(): Arbitrary<Selector> {
  const label = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<string[]>(...LABEL_KEYS) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'projectcalico.org/namespace',
        'projectcalico.org/name',
        'projectcalico.org/serviceaccount',
      ),
    },
  );
  const value = fc.constantFrom<string[]>(...LABEL_VALUES, ...LABEL_VALUES, 'shop', 'front');
  const values = fc.uniqueArray(value, { maxLength: 3 }).map((list) => list.toSorted());
  return fc.oneof(
    fc.constantFrom<Selector[]>({ kind: 'all' }, { kind: 'global' }),
    fc.record({ kind: fc.constant('has'), label }),
    fc.record({ kind: fc.constantFrom('equals', 'equals', 'not-equals'), label, value }),
    fc.record({ kind: fc.constantFrom('contains', 'starts-with', 'ends-with'), label, value }),
    fc.record({ kind: fc.constantFrom('in', 'not-in'), label, values }),
  );
}

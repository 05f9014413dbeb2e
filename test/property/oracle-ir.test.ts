/**
 * The oracle and the calculation with lowering and IR evaluator agree: on verdict, on what decided and on what was logged, for
 * random worlds and packets, however the calculation came to the world. FC_RUNS sets the number of runs.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { Calc } from '../../compiler/calc/calc.ts';
import { evalProgram } from '../../compiler/ir/eval.ts';
import type { IrDecision } from '../../compiler/ir/eval.ts';
import type { HostEndpoint, Resource, WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import { decideImplicitly } from '../../compiler/oracle/decision.ts';
import type { Decision } from '../../compiler/oracle/decision.ts';
import { evaluate } from '../../compiler/oracle/evaluate.ts';
import { explainDecision } from '../../compiler/oracle/explain.ts';
import { policiesOf } from '../../compiler/oracle/tiers.ts';
import type { World } from '../../compiler/oracle/world.ts';
import {
  arbitraryHostResources,
  arbitraryPacket,
  arbitraryResources,
} from '../support/arbitrary.ts';
import { Calculated } from '../support/calculated.ts';
import type { HostList } from '../support/calculated.ts';
import { keyOf } from '../support/keys.ts';
import { NODE, world } from '../support/world.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['FC_RUNS'] ?? 150);
/** Bounds running and shrinking: a counterexample that is not minimal is better than a test that is killed. */
const LIMIT_MS = 60_000 + RUNS * 20;
const OPTIONS = { numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: LIMIT_MS };

const DIRECTIONS = ['ingress', 'egress'] as const;
const LISTS = ['normal', 'forward', 'pre-dnat', 'untracked'] as const;
const FAMILIES = [4, 6] as const;

const packets = fc.array(fc.oneof(arbitraryPacket(4), arbitraryPacket(6)), {
  minLength: 10,
  maxLength: 25,
});

test('a world put in at once', (t) => {
  t.timeout(2 * LIMIT_MS);
  fc.assert(
    fc.property(arbitraryHostResources, packets, (resources, sent) => {
      const calc = new Calc(NODE);
      for (const resource of resources) calc.put(keyOf(resource), resource);
      const calculated = new Calculated();
      calculated.apply(calc.flush());
      assertAgree(resources, calculated, sent);
      assertHostsAgree(resources, calculated, sent);
    }),
    OPTIONS,
  );
  t.pass();
});

test('one world turned into another, with flushes between', (t) => {
  t.timeout(2 * LIMIT_MS);
  const steps = fc.record({
    before: arbitraryResources,
    after: arbitraryResources,
    flushEvery: fc.integer({ min: 1, max: 12 }),
    sent: packets,
  });
  fc.assert(
    fc.property(steps, ({ before, after, flushEvery, sent }) => {
      const calc = new Calc(NODE);
      const calculated = new Calculated();
      const kept = new Set(after.map(keyOf));
      const gone = before.map(keyOf).filter((key) => !kept.has(key));
      const changes = [
        ...before.map((resource) => () => calc.put(keyOf(resource), resource)),
        ...after.map((resource) => () => calc.put(keyOf(resource), resource)),
        ...gone.map((key) => () => calc.delete(key)),
      ];
      for (const [index, change] of changes.entries()) {
        change();
        if (index % flushEvery === 0) calculated.apply(calc.flush());
      }
      calculated.apply(calc.flush());
      assertAgree(after, calculated, sent);
      assertHostsAgree(after, calculated, sent);
      assertSameSets(calculated, fromScratch(after));
    }),
    OPTIONS,
  );
  t.pass();
});

test('a world edited field by field', (t) => {
  t.timeout(2 * LIMIT_MS);
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(
      arbitraryResources,
      arbitraryResources,
      edits,
      packets,
      (from, donors, list, sent) => {
        const calc = new Calc(NODE);
        const calculated = new Calculated();
        const resources = [...from];
        for (const resource of resources) calc.put(keyOf(resource), resource);
        for (const [at, donor, field] of list) {
          calculated.apply(calc.flush());
          const edited = edit(resources[at % resources.length], donors, donor, field);
          if (edited === undefined) continue;
          resources[at % resources.length] = edited;
          calc.put(keyOf(edited), edited);
          calculated.apply(calc.flush());
          assertAgree(resources, calculated, sent);
          assertHostsAgree(resources, calculated, sent);
        }
        assertSameSets(calculated, fromScratch(resources));
      },
    ),
    OPTIONS,
  );
  t.pass();
});

/** What tells resources apart, and what belongs to it. */
const IDENTITY: ReadonlySet<string> = new Set([
  'kind',
  'id',
  'name',
  'namespace',
  'policyKind',
  'staged',
]);

/** `resource` with one field taken from a donor of its kind and scope; `undefined` where there is none. */
function edit(
  resource: Resource | undefined,
  donors: readonly Resource[],
  donor: number,
  field: number,
): Resource | undefined {
  if (resource === undefined) return undefined;
  const alike = donors.filter(
    (other) => other.kind === resource.kind && isNamespaced(other) === isNamespaced(resource),
  );
  const from = alike[donor % alike.length];
  const own = Object.keys(resource).filter((key) => !IDENTITY.has(key));
  const fields = [
    ...own,
    ...own.filter((key) => key === 'order').flatMap((key) => own.map(() => key)),
  ];
  const key = fields[field % fields.length] as keyof Resource | undefined;
  if (from === undefined || key === undefined) return undefined;
  return { ...resource, [key]: from[key] };
}

function isNamespaced(resource: Resource): boolean {
  return 'namespace' in resource && resource.namespace !== undefined;
}

function assertSameSets(actual: Calculated, expected: Calculated): void {
  const [left, right] = [actual, expected].map((one) => fc.stringify(one.setMembers()));
  if (left !== right) throw new Error(`sets: ${left}, not ${right}`);
}

function fromScratch(resources: readonly Resource[]): Calculated {
  const calc = new Calc(NODE);
  for (const resource of resources) calc.put(keyOf(resource), resource);
  const calculated = new Calculated();
  calculated.apply(calc.flush());
  return calculated;
}

/** Throws with the explanation where the two differ. */
function assertAgree(
  resources: readonly Resource[],
  calculated: Calculated,
  sent: readonly Packet[],
): void {
  const judged = world(resources);
  const locals = resources.filter(isLocal);
  const ids = locals.map((endpoint) => endpoint.id).toSorted();
  const known = [...calculated.endpoints.keys()].toSorted();
  if (ids.join() !== known.join()) throw new Error(`endpoints ${known.join()}, not ${ids.join()}`);
  for (const endpoint of locals) {
    for (const direction of DIRECTIONS) {
      for (const family of FAMILIES) {
        const program = calculated.programOf(endpoint.id, direction, family);
        const memberOf = calculated.memberOf(family);
        for (const packet of sent.filter((packet) => packet.family === family)) {
          const actual = printIr(evalProgram(program, packet, memberOf));
          const expected = evaluate(judged, endpoint, direction, packet);
          if (actual === printOracle(expected)) continue;
          throw new Error(
            `${endpoint.id} ${direction}: IR ${actual}\n${explainDecision(expected)}\n${fc.stringify(packet)}`,
          );
        }
      }
    }
  }
}

/** The lists of every host endpoint of the node, each as its stage has it. */
function assertHostsAgree(
  resources: readonly Resource[],
  calculated: Calculated,
  sent: readonly Packet[],
): void {
  const judged = world(resources);
  const hosts = resources.filter(isLocalHost);
  const names = hosts.map(({ name }) => name).toSorted();
  const known = [...calculated.hostEndpoints.keys()].toSorted();
  if (names.join() !== known.join()) throw new Error(`hosts ${known.join()}, not ${names.join()}`);
  for (const host of hosts) {
    for (const list of LISTS) {
      for (const direction of DIRECTIONS) {
        for (const packet of sent) {
          const { family } = packet;
          const program = calculated.hostProgramOf(host.name, list, direction, family);
          const actual = program && evalProgram(program, packet, calculated.memberOf(family));
          const expected = evaluateHost(judged, host, list, direction, packet);
          const [a, b] = [actual && printIr(actual), expected && printOracle(expected)];
          if (a === b) continue;
          throw new Error(
            `${host.name} ${list} ${direction}: IR ${a}, not ${b}\n${fc.stringify(packet)}`,
          );
        }
      }
    }
  }
}

/** `undefined` where the stage does not look at policies: no forward policy at all. Untracked policy is none of a wildcard's. */
function evaluateHost(
  judged: World,
  host: HostEndpoint,
  list: HostList,
  direction: Direction,
  packet: Packet,
): Decision | undefined {
  if (list === 'forward' && policiesOf(judged, host, list).length === 0) return undefined;
  const isNone =
    (list === 'untracked' && host.interfaceName === '*') ||
    (list === 'pre-dnat' && direction === 'egress');
  return isNone
    ? decideImplicitly('allow', 'undecided')
    : evaluate(judged, host, direction, packet, list);
}

function isLocalHost(resource: Resource): resource is HostEndpoint {
  return resource.kind === 'HostEndpoint' && resource.node === NODE;
}

function printIr({ verdict, by, logged }: IrDecision): string {
  const log = logged.map(({ policy, index }) => `${policy}[${index}]`).join(' ');
  const cause =
    by.kind === 'rule'
      ? `${by.rule.policy}[${by.rule.index}]`
      : by.kind === 'end-of-tier'
        ? `end of ${by.tier}`
        : 'no profile';
  return `${verdict} by ${cause}, logged: ${log}`;
}

/** The calculation stands a denying rule in for a missing profile. */
function printOracle({ verdict, decisive, logged }: Decision): string {
  const log = logged.map(({ policy, index }) => `${policy}[${index}]`).join(' ');
  if (decisive.kind === 'rule') {
    const { policy, index } = decisive.rule;
    return `${verdict} by ${policy}[${index}], logged: ${log}`;
  }
  const cause =
    decisive.reason === 'end-of-tier'
      ? `end of ${decisive.tier ?? ''}`
      : decisive.reason === 'missing-profile'
        ? `${decisive.selectedBy.join('')}[0]`
        : 'no profile';
  // The evaluator knows programs that end in profiles: without any, what is undecided falls off their end.
  const said = decisive.reason === 'undecided' ? 'deny' : verdict;
  return `${said} by ${cause}, logged: ${log}`;
}

function isLocal(resource: Resource): resource is WorkloadEndpoint {
  return resource.kind === 'WorkloadEndpoint' && resource.node === NODE && resource.active;
}

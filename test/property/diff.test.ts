/**
 * Two worlds compared: every example that is reported changes its verdict under the oracle, and no packet whose verdict changes is missed between
 * ends that both worlds have. FC_RUNS sets the number of runs.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { compareAll } from '../../agent/diff/compare-all.ts';
import type { Keyed } from '../../agent/diff/compare-all.ts';
import type { Change } from '../../agent/diff/compare.ts';
import { CompiledWorld } from '../../agent/diff/compiled-world.ts';
import { groupChanges } from '../../agent/diff/groups.ts';
import { judgePacket } from '../../agent/explain/answer.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import type { Scene } from '../../agent/explain/scene.ts';
import type { Resource, WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import { arbitraryPacket, arbitraryResources } from '../support/arbitrary.ts';
import { keyOf } from '../support/keys.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['FC_RUNS'] ?? 40);
const LIMIT_MS = 60_000 + RUNS * 200;
const OPTIONS = { numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: LIMIT_MS };

const packets = fc.array(fc.oneof(arbitraryPacket(4), arbitraryPacket(6)), {
  minLength: 10,
  maxLength: 20,
});

/** A world and what somebody may do to it: other policies, or another world altogether. */
const pairs = fc
  .tuple(arbitraryResources, arbitraryResources, fc.boolean())
  .map(([before, other, isPolicyOnly]) => {
    if (!isPolicyOnly) return { before: keyed(before), after: keyed(other) };
    const rest = before.filter(({ kind }) => kind !== 'Policy');
    const policies = other.filter(({ kind }) => kind === 'Policy');
    return { before: keyed(before), after: keyed([...rest, ...policies]) };
  });

function keyed(resources: readonly Resource[]): Keyed {
  return resources.map((resource) => [keyOf(resource), resource] as const);
}

function scene(resources: Keyed): Scene {
  const store = {
    resources: () => resources.map(([key, each]): [string, Resource] => [key, each]),
    locate: () => undefined,
  };
  return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined });
}

test('every example changes, and no change is missed', (t) => {
  t.timeout(2 * LIMIT_MS);
  let changed = 0;
  fc.assert(
    fc.property(pairs, packets, ({ before, after }, sent) => {
      const compiled = [new CompiledWorld(before), new CompiledWorld(after)] as const;
      const scenes = [scene(before), scene(after)] as const;
      const { changes, isComplete } = compareAll(
        { before, after },
        { before: scenes[0], after: scenes[1] },
      );
      for (const { example, before: was, after: is, from, to, way } of changes) {
        // Of host policy, which diff-host.test.ts is about.
        if (way !== undefined) continue;
        const nodes = nodesOf(compiled, [from.members[0]?.id, to.members[from === to ? 1 : 0]?.id]);
        const verdicts = scenes.map((each) => judgePacket(each, example, nodes).verdict);
        if (verdicts.join() !== [was, is].join()) throw new Error(`not so: ${verdicts.join()}`);
      }
      groupChanges(changes);
      // Of too many ports at hosts not all are tried, which is said.
      if (!isComplete) return;
      changed += assertNoneMissed(compiled, scenes, changes, sent);
    }),
    OPTIONS,
  );
  t.true(changed > RUNS, `${changed} packets changed their verdict`);
});

function nodesOf(
  worlds: readonly CompiledWorld[],
  ids: readonly (string | undefined)[],
): readonly string[] {
  const nodes = ids.flatMap((id) => worlds.map(({ workloads }) => workloads.get(id ?? '')?.node));
  return [...new Set(nodes.filter((node) => node !== undefined && node !== ''))] as string[];
}

/** Every pair of ends, every packet between their first addresses. */
function assertNoneMissed(
  worlds: readonly [CompiledWorld, CompiledWorld],
  scenes: readonly [Scene, Scene],
  changes: readonly Change[],
  sent: readonly Packet[],
): number {
  let found = 0;
  const ends = commonEnds(worlds);
  for (const from of ends) {
    for (const to of ends) {
      if (from.id === to.id) continue;
      for (const each of sent) {
        const [saddr, daddr] = [from, to].map(({ addresses }) =>
          addresses.find(({ family }) => family === each.family),
        );
        if (saddr === undefined || daddr === undefined) continue;
        const packet = { ...each, saddr, daddr };
        const nodes = nodesOf(worlds, [from.id, to.id]);
        const [was, is] = scenes.map((one) => judgePacket(one, packet, nodes).verdict);
        if (was === is) continue;
        found++;
        const isReported = changes.some(
          (change) =>
            change.after === is &&
            change.from.members.some(({ id }) => id === from.id) &&
            change.to.members.some(({ id }) => id === to.id),
        );
        if (!isReported) {
          throw new Error(`missed: ${from.id} -> ${to.id} ${show(packet)} becomes ${is}`);
        }
      }
    }
  }
  return found;
}

interface End {
  readonly id: string;
  readonly addresses: readonly Address[];
}

function commonEnds([before, after]: readonly [CompiledWorld, CompiledWorld]): End[] {
  return [...before.endpoints].flatMap(([id, { addresses, endpoint }]) => {
    const other = after.endpoints.get(id);
    const isSame = other !== undefined && show(other.addresses) === show(addresses);
    return isSame && isJudged(before, after, endpoint) ? [{ id, addresses }] : [];
  });
}

/** An endpoint without a node is judged nowhere; the oracle has nothing to say. */
function isJudged(before: CompiledWorld, after: CompiledWorld, { id }: WorkloadEndpoint): boolean {
  return [before, after].every(({ workloads }) => (workloads.get(id)?.node ?? '') !== '');
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? `${each}n` : each,
  );
}

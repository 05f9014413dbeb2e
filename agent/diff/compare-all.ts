/** Everything that changes between two worlds: between workloads and with the outside, then at hosts. Comes in: resources and scenes; goes out: changes. */
import type { Resource } from '../../compiler/model/cluster.ts';
import { hostAddresses } from '../explain/interfaces.ts';
import type { Scene } from '../explain/scene.ts';
import { compareWorlds } from './compare.ts';
import type { Comparison } from './compare.ts';
import { CompiledWorld } from './compiled-world.ts';
import { compareHosts } from './host-compare.ts';
import type { Worlds } from './host-sides.ts';
import { oracleJudge } from './oracle-judge.ts';

export type Keyed = readonly (readonly [string, Resource])[];

/** `scenes` are of the same resources. */
export function compareAll(resources: Worlds<Keyed>, scenes: Worlds<Scene>): Comparison {
  const { before, after } = scenes;
  const compiled = {
    before: new CompiledWorld(resources.before),
    after: new CompiledWorld(resources.after),
  };
  const judge = oracleJudge(before, after);
  const own = [...hostAddresses(before), ...hostAddresses(after)];
  const workloads = compareWorlds(compiled.before, compiled.after, judge, own);
  const hosts = compareHosts(compiled, scenes, workloads.all);
  return {
    ...workloads,
    changes: [...workloads.changes, ...hosts.changes],
    pairs: workloads.pairs + hosts.pairs,
    compared: workloads.compared + hosts.compared,
    isComplete: workloads.isComplete && hosts.isComplete,
  };
}

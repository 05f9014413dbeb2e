/** One verdict from manifests, by the oracle and by the calculation's program: throws where the two differ. */
import { Calc } from '../../compiler/calc/calc.ts';
import { evalProgram } from '../../compiler/ir/eval.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { parseResource } from '../../compiler/model/parse/resource.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import { evaluate } from '../../compiler/oracle/evaluate.ts';
import { Calculated } from './calculated.ts';
import { keyOf } from './keys.ts';
import { NODE, world } from './world.ts';

/** What the objects mean; those that have no meaning are left out. */
export function resourcesOf(objects: readonly object[]): Resource[] {
  return objects.flatMap((object) => parseResource(object, {}).value ?? []);
}

/** On a packet of the local pod `endpoint` (`ns/name`). */
export function verdictOn(
  objects: readonly object[],
  endpoint: string,
  direction: Direction,
  packet: Packet,
): 'allow' | 'deny' {
  const resources = resourcesOf(objects);
  const calc = new Calc(NODE);
  for (const resource of resources) calc.put(keyOf(resource), resource);
  return verdictAfter(calc, resources, endpoint, direction, packet);
}

/** The same when the calculation has come to these resources by some history. */
export function verdictAfter(
  calc: Calc,
  resources: readonly Resource[],
  endpoint: string,
  direction: Direction,
  packet: Packet,
): 'allow' | 'deny' {
  const calculated = new Calculated();
  calculated.apply(calc.flush());
  const program = calculated.programOf(endpoint, direction, packet.family);
  const { verdict } = evalProgram(program, packet, calculated.memberOf(packet.family));
  const local = resources.find(
    (resource) => resource.kind === 'WorkloadEndpoint' && resource.id === endpoint,
  );
  if (local?.kind !== 'WorkloadEndpoint') throw new Error(`no pod ${endpoint}`);
  const expected = evaluate(world(resources), local, direction, packet).verdict;
  if (expected !== verdict) throw new Error(`IR says ${verdict}, the oracle ${expected}`);
  return verdict;
}

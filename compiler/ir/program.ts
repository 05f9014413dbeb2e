/** A resolved direction of one endpoint as an IR program: what evaluators and `picket compile --emit ir` read. */
import type { ResolvedDirection, ResolvedPolicy } from '../calc/resolved.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import type { IrPolicy, IrProgram } from './ir.ts';
import { lowerPolicy } from './lower.ts';

/** `policyOf` must know every id that `resolved` names. */
export function lowerProgram(
  resolved: ResolvedDirection,
  policyOf: (id: string) => ResolvedPolicy | undefined,
  direction: Direction,
  family: Family,
): IrProgram {
  const lower = (id: string): IrPolicy => {
    const policy = policyOf(id);
    if (policy === undefined) throw new RangeError(`policy ${id} is not resolved`);
    return lowerPolicy(policy, direction, family);
  };
  return {
    direction,
    family,
    tiers: resolved.tiers.map(({ name, end, policies }) => ({
      name,
      end,
      policies: policies.map(lower),
    })),
    profiles: resolved.profiles.map(lower),
  };
}

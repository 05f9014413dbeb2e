/**
 * The intermediate representation: one program per set of ordered policies, direction and family. Rules are conjunctions of
 * tests over packet fields; alternatives (a port list of numbers and names) are already split into several rules.
 * Refuses to know: kernel objects, registers, chains.
 */
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import type { FieldName } from '../model/fields.ts';

/** Name of an address set, named-port set or service set; see calc/peers.ts. */
export type SetId = string;

/** Inclusive. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export type Test =
  /** The field's value is in one of `ranges`: sorted, disjoint, not adjacent, not empty. A packet without the field fails either way. */
  | {
      readonly kind: 'ranges';
      readonly field: FieldName;
      readonly negate: boolean;
      readonly ranges: readonly Range[];
    }
  /** The tuple of the fields' values is a member of the set. */
  | {
      readonly kind: 'member';
      readonly fields: readonly FieldName[];
      readonly negate: boolean;
      readonly set: SetId;
    };

export type IrVerdict = 'allow' | 'deny' | 'pass' | 'log';

export interface IrRule {
  /** All must hold; empty matches every packet of the family. */
  readonly tests: readonly Test[];
  readonly verdict: IrVerdict;
  /** Index of the policy's rule in its manifest; alternatives of one rule share it. */
  readonly index: number;
}

/** One policy or profile, one direction, one family. */
export interface IrPolicy {
  /** `np/<ns>/<name>`, `pro/<name>`. */
  readonly id: string;
  readonly direction: Direction;
  readonly family: Family;
  readonly rules: readonly IrRule[];
}

export interface IrTier {
  readonly name: string;
  readonly policies: readonly IrPolicy[];
  /** What happens to a packet that no rule of the tier decided. */
  readonly end: 'deny' | 'pass';
}

/** After the tiers the profiles, in order; after them, deny. */
export interface IrProgram {
  readonly direction: Direction;
  readonly family: Family;
  readonly tiers: readonly IrTier[];
  readonly profiles: readonly IrPolicy[];
}

/** A compiled direction of an endpoint, or stage of a host endpoint, in one family. */
import type { IrProgram } from '../../compiler/ir/ir.ts';

/** With its text, equal texts mean equal programs, and the sets that it asks. */
export interface Program {
  readonly ir: IrProgram;
  readonly text: string;
  readonly sets: ReadonlySet<string>;
}

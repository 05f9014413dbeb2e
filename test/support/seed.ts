/**
 * Called by the property tests: each run of the gate judges the same cases, so that what it says depends on the change alone. Other cases are
 * for who looks for defects: FC_RUNS (`npm run fuzz`) and KERNEL_RUNS draw them anew each time.
 */
import * as fc from 'fast-check';

const SEED = 20_261_121;

/** Of all that this file judges. */
export function seedCases(): void {
  const isFuzzing = ['FC_RUNS', 'KERNEL_RUNS'].some((name) => process.env[name] !== undefined);
  if (!isFuzzing) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: SEED });
}

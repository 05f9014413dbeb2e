/**
 * `npm run soak -- --seed N --rounds N [--seeds N] [--kube]`: random things happen to a host, and the kernel is held to the oracle. See test/README.md.
 */
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { soak } from './soak.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '60' },
    kube: { type: 'boolean', default: false },
  },
});

const print = (line: string): void => console.log(line);
// Between two rounds, so that everything is put away; asked twice, at once.
const ending = new AbortController();
const { signal } = ending;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => (signal.aborted ? process.exit(1) : ending.abort()));
}

const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.seeds) && !signal.aborted; seed++) {
  const keepIn = join(tmpdir(), `picket-soak-${seed}${values.kube ? '-kube' : ''}`);
  try {
    await soak({ seed, rounds: Number(values.rounds), isKube: values.kube, keepIn, print, signal });
    console.log(`seed ${seed}: ${signal.aborted ? 'ended' : 'good'}`);
  } catch (error) {
    console.error(`\n${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}

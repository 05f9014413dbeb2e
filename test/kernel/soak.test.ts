/** A short soak of one seed each, so that the driver stays in working order. Long ones: `npm run soak`, see test/README.md. */
import { kernelTest } from '../support/needs.ts';
import { soak } from '../soak/soak.ts';

const CAPS = ['root', 'netns', 'cc', 'addon', 'nft'] as const;

for (const isKube of [false, true]) {
  kernelTest(`a few rounds, ${isKube ? 'Kubernetes API' : 'directory'}`, CAPS, async (t) => {
    await soak({ seed: 1, rounds: 5, isKube, print: (line) => t.log(line) });
    t.pass();
  });
}

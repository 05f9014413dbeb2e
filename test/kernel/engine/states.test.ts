/** The state lists of test/states and a change in several transactions, in the kernel: it ends up with what a table in memory has. */
import { FakeDataplane } from '../../../agent/dataplane/fake.ts';
import { NetlinkDataplane } from '../../../agent/dataplane/netlink-dataplane.ts';
import { MAX_NEW_ELEMENTS } from '../../../agent/dataplane/stage.ts';
import type { Dataplane } from '../../../agent/dataplane/dataplane.ts';
import { testAddon } from '../../support/addon.ts';
import { kernelTest } from '../../support/needs.ts';
import { openNetns } from '../../support/netns.ts';
import { namespaceObject, openEngine, pod, put, v3 } from '../../support/raw-events.ts';
import { EXPANDERS } from '../../support/states.ts';
import type { State } from '../../support/states.ts';
import { printKernelTable } from '../../support/table-text.ts';
import { WORLDS } from '../../states/worlds.ts';

const CAPS = ['netns', 'addon'] as const;

async function withKernel(use: (dataplane: NetlinkDataplane) => Promise<void>): Promise<void> {
  const netns = await openNetns();
  const dataplane = new NetlinkDataplane(testAddon(), netns.path);
  try {
    await use(dataplane);
  } finally {
    dataplane.close();
    await netns.close();
  }
}

async function build(dataplane: Dataplane, state: State): Promise<number> {
  const engine = openEngine(dataplane);
  engine.take(state.map(put));
  return (await engine.apply()).transactions;
}

/** What the state comes to in memory. */
async function printFresh(state: State): Promise<string> {
  const fake = new FakeDataplane();
  await build(fake, state);
  return printKernelTable(await fake.dump());
}

const PATHS = ['there and back', 'insert empty', 'random order 1'];

for (const world of WORLDS) {
  kernelTest(world.name, CAPS, async (t) => {
    await withKernel(async (dataplane) => {
      for (const path of PATHS) {
        const engine = openEngine(dataplane);
        for (const { events, state } of EXPANDERS[path]?.(world.states) ?? []) {
          engine.take(events);
          await engine.apply();
          t.is(printKernelTable(await dataplane.dump()), await printFresh(state), path);
        }
      }
    });
  });
}

kernelTest(
  'a large new set arrives in several transactions, rules in the last',
  CAPS,
  async (t) => {
    const count = 2 * MAX_NEW_ELEMENTS + 5_000;
    const addresses = Array.from({ length: count }, (_, i) => `11.0.${i >> 8}.${i & 255}`);
    const prefixes = Array.from({ length: 3_000 }, (_, i) => `12.${i >> 8}.${i & 255}.0/25`);
    const before = [
      namespaceObject('shop'),
      pod('shop/web', ['10.0.0.1'], { labels: { app: 'web' } }),
    ];
    const after = [
      ...before,
      v3('GlobalNetworkSet', 'large', { nets: [...addresses, ...prefixes] }, { list: 'large' }),
      v3('GlobalNetworkPolicy', 'web', {
        selector: "app == 'web'",
        ingress: [{ action: 'Deny', source: { selector: "list == 'large'" } }],
      }),
    ];
    await withKernel(async (dataplane) => {
      await build(dataplane, before);
      const engine = openEngine(dataplane);
      engine.take(after.map(put));
      const rules: boolean[] = [];
      for (let more = true; more;) {
        ({ more } = await engine.step());
        rules.push((await dataplane.dump())?.chains.has('ingress4/gnp/web') ?? false);
      }
      t.deepEqual(rules, [false, false, true]);
      t.is(printKernelTable(await dataplane.dump()), await printFresh(after));
      t.is(await build(dataplane, after), 0, 'a restart finds it');
    });
  },
);

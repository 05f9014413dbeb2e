/** Kill -9 at any moment: the kernel has the old rules or the new ones, never some of both, and the next run goes on from there. */
import { setTimeout as delay } from 'node:timers/promises';
import { Bench, policiesOf, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;

/** Every second time while it starts, else while it follows a change. */
const KILLS = 20;
const POLICIES = 40;

/** Forty policies and pods that are all of one generation, so that any mixture shows. */
function manifests(mark: string, net: number): string {
  const policies = Array.from({ length: POLICIES }, (_, index) => {
    const nets = `10.${net}.${index}.0/24, 10.${net}.${index}.1/32`;
    return `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: ${mark}-${index}}
spec:
  selector: app == 'web'
  ingress:
  - {action: Allow, protocol: TCP, source: {nets: [${nets}]}, destination: {ports: [${net}, 80]}}
  - {action: Deny, source: {selector: mark == '${mark}'}}
`;
  });
  const set = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: marked, labels: {mark: ${mark}}}
spec: {nets: [${Array.from({ length: 500 }, (_, i) => `10.${net}.${i >> 8}.${i & 255}/32`).join(', ')}]}
`;
  return [WEB, set, ...policies].join('---\n');
}

const STATES = { red: manifests('red', 1), blue: manifests('blue', 2) };

/** Deterministic, spread evenly: multiples of the golden ratio. */
function pseudoRandom(index: number): number {
  return (index * 0.618_033_988_75) % 1;
}

kernelTest(`kill -9 ${KILLS} times during applies: old or new, never a mixture`, CAPS, (t) =>
  Bench.with({ 'all.yaml': STATES.red }, async (bench) => {
    const killed = { before: 0, after: 0 };
    t.is((await bench.apply()).exitCode, 0);
    const start = Date.now();
    let agent = bench.start();
    await agent.logged(/^in sync/);
    const startMs = Date.now() - start;
    for (let kill = 0; kill < KILLS; kill++) {
      const next = kill % 2 === 0 ? 'blue' : 'red';
      bench.write('all.yaml', STATES[next]);
      const isStarting = kill % 2 === 1;
      if (isStarting) agent = bench.start();
      const about = pseudoRandom(kill);
      await delay(isStarting ? startMs * (0.6 + about * 0.6) : 20 + about * 100);
      await agent.stop('SIGKILL');
      killed[(await oneState(bench)) === next ? 'after' : 'before']++;
      if (!isStarting) continue;
      agent = bench.start();
      await agent.logged(/^in sync/);
      t.is(await oneState(bench), next, 'the next run converges');
    }
    t.log(`killed ${killed.before} times before the commit, ${killed.after} times after it`);
  }),
);

/** Throws for a mixture. */
async function oneState(bench: Bench): Promise<'red' | 'blue'> {
  const table = await bench.table();
  const names = policiesOf(table);
  const state = names[0]?.startsWith('red') === true ? 'red' : 'blue';
  const wanted = Array.from({ length: POLICIES }, (_, index) => `${state}-${index}`).toSorted();
  if (names.join() !== wanted.join()) throw new Error(`a mixture: ${names.join()}`);
  const other = state === 'red' ? 'blue' : 'red';
  const texts = [...(table?.chains.keys() ?? []), ...(table?.counters.keys() ?? [])];
  const left = texts.filter((name) => name.includes(`/${other}-`));
  if (left.length > 0) throw new Error(`${state}, but also ${left.join()}`);
  const markers = [...(table?.elements.values() ?? [])].filter((elements) => elements.size >= 500);
  const net = state === 'red' ? 1n : 2n;
  for (const elements of markers) {
    const strays = [...elements.values()].filter(
      ({ key: [first] }) => typeof first !== 'bigint' || first >> 16n !== 0x0a00n + net,
    );
    if (strays.length > 0) throw new Error(`${state}, but ${strays.length} elements are not`);
  }
  if (markers.length === 0) throw new Error('the marked set is missing');
  return state;
}

/**
 * `npm run bench`: the figures that the issues name, as ratios within one run, because machines are noisy. Prints a table and writes
 * bench/results.json. Needs the kernel and the nft program; works in network namespaces of its own. `npm run bench -- kube` (or `nft`, `flows`)
 * measures only that part; the other's figures stay in the file.
 */
import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { NetlinkDataplane } from '../agent/dataplane/netlink-dataplane.ts';
import { Engine } from '../agent/engine/engine.ts';
import { loadNative } from '../agent/native/native.ts';
import { DEFAULT_BASE_CONFIG } from '../compiler/nft/base.ts';
import { openNetns } from '../test/support/netns.ts';
import type { Netns } from '../test/support/netns.ts';
import { requireSystemTool } from '../test/support/tools.ts';
import { flowFigures } from './flows.ts';
import { kubeFigures } from './kube.ts';
import { NODE, bigSet, cluster, pod } from './world.ts';

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly note: string;
}

const figures: Figure[] = [];

function record(name: string, value: number, unit: string, note = ''): void {
  figures.push({ name, value: Number(value.toPrecision(4)), unit, note });
  process.stdout.write(`${name.padEnd(62)} ${value.toPrecision(4).padStart(10)} ${unit} ${note}\n`);
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const start = performance.now();
  const result = await work();
  return { ms: performance.now() - start, result };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function withEngine<T>(work: (engine: Engine, netns: Netns) => Promise<T>): Promise<T> {
  const netns = await openNetns();
  const dataplane = new NetlinkDataplane(loadNative(), netns.path);
  try {
    return await work(
      new Engine({ node: NODE, base: DEFAULT_BASE_CONFIG, parse: {} }, dataplane),
      netns,
    );
  } finally {
    dataplane.close();
    await netns.close();
  }
}

/** One pod's address into sets of 100,000, event to commit, against `nft add element` on the same table. */
async function oneAddress(nft: string): Promise<void> {
  await withEngine(async (engine, netns) => {
    engine.take([
      ...cluster({ localPods: 10, remotePods: 100, policies: 200 }),
      ...bigSet(100_000),
    ]);
    await engine.apply();
    const ours: number[] = [];
    for (let i = 0; i < 51; i++) {
      const event = pod(`extra-${i}`, 1, 'other', `10.200.0.${i}`);
      const { ms } = await timed(async () => {
        engine.take([event]);
        await engine.apply();
      });
      ours.push(ms);
    }
    const [set] = [...engine.table.sets.desired.keys()].filter((name) => {
      return name.startsWith('selector4/') && engine.table.elementsOf(name).length > 100_000;
    });
    const theirs: number[] = [];
    for (let i = 0; i < 3; i++) {
      const command = ['add', 'element', 'inet', 'picket', set ?? '', `{ 10.201.0.${i} }`];
      theirs.push((await timed(() => netns.run(nft, command))).ms);
    }
    record(
      'one pod address into a set of 100,000, event to commit',
      median(ours),
      'ms',
      'median of 51',
    );
    record('the same by nft add element', median(theirs), 'ms', 'median of 3');
    record('nft / Picket (aim: at least 200)', median(theirs) / median(ours), 'x');
  });
}

/** 250 local pods, 1,000 policies, 10,000 remote pods: compile and apply, against `nft -f` of the equivalent text, by turns. */
async function fullApply(nft: string): Promise<void> {
  const events = cluster({ localPods: 250, remotePods: 10_000, policies: 1_000 });
  const parse: number[] = [];
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const text = await withEngine(async (engine, netns) => {
      const taken = performance.now();
      engine.take(events);
      parse.push(performance.now() - taken);
      ours.push((await timed(() => engine.apply())).ms);
      return netns.run(nft, ['list', 'ruleset']);
    });
    const netns = await openNetns();
    try {
      theirs.push((await timed(() => netns.run(nft, ['-f', '-'], text))).ms);
    } finally {
      await netns.close();
    }
  }
  record(
    '250 local pods, 1,000 policies, 10,000 remote: read objects',
    median(parse),
    'ms',
    'median of 5',
  );
  record('the same: compile and apply', median(ours), 'ms', 'median of 5');
  record('nft -f of the equivalent text', median(theirs), 'ms', 'median of 5');
  record('nft / Picket (aim: over 1)', median(theirs) / median(ours), 'x');
  record('peak resident memory so far', process.resourceUsage().maxRSS / 1024, 'MiB');
}

/** Growth of the time from 100 to 1,000 to 10,000 policies; exponent 1 = proportional. */
async function growth(): Promise<void> {
  const times: number[] = [];
  const sizes = [100, 1_000, 10_000];
  for (const policies of sizes) {
    const events = cluster({ localPods: 250, remotePods: 1_000, policies });
    const { ms } = await withEngine((engine) =>
      timed(async () => {
        engine.take(events);
        await engine.apply();
      }),
    );
    times.push(ms);
    record(`${policies} policies, 250 local pods, 1,000 remote: compile and apply`, ms, 'ms');
  }
  const [first = 1, second = 1, third = 1] = times;
  record('growth exponent 100 to 1,000 policies', Math.log10(second / first), '', 'aim: about 1');
  record(
    'growth exponent 1,000 to 10,000 policies',
    Math.log10(third / second),
    '',
    'aim: about 1',
  );
}

async function nftFigures(): Promise<void> {
  const nft = requireSystemTool('nft');
  await oneAddress(nft);
  await fullApply(nft);
  await growth();
}

const PARTS: Readonly<Record<string, () => Promise<void>>> = {
  nft: nftFigures,
  kube: () => kubeFigures(record),
  flows: () => flowFigures(record),
};

const RESULTS = new URL('results.json', import.meta.url);

type Results = Readonly<Record<string, { readonly machine: string; readonly figures: Figure[] }>>;

const machine = `${os.cpus()[0]?.model ?? 'unknown'}, ${os.cpus().length} cores, kernel ${os.release()}, Node ${process.version}`;
process.stdout.write(`${machine}\n\n`);
const wanted = process.argv.slice(2);
let results = JSON.parse(await readFile(RESULTS, 'utf8')) as Results;
for (const [name, measure] of Object.entries(PARTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  figures.length = 0;
  await measure();
  results = { ...results, [name]: { machine, figures: [...figures] } };
}
await writeFile(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);

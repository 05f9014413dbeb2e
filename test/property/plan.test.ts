/** Plans hold what they promise, on random worlds: what they lead to, and what rules see on the way there. */
import test from 'ava';
import * as fc from 'fast-check';
import { FakeDataplane } from '../../agent/dataplane/fake.ts';
import { plan } from '../../agent/dataplane/plan.ts';
import { planStep } from '../../agent/dataplane/stage.ts';
import { Calc } from '../../compiler/calc/calc.ts';
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import type { Placement } from '../../compiler/nft/dispatch.ts';
import { chainKey } from '../../compiler/nft/key.ts';
import type { NftChain } from '../../compiler/nft/program.ts';
import { Table } from '../../compiler/nft/table.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';
import { arbitraryResources } from '../support/arbitrary.ts';
import { keyOf } from '../support/keys.ts';
import { printKernelTable } from '../support/table-text.ts';
import { NODE } from '../support/world.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

/** Calculation, compiler and desired table, without a kernel. */
class Compiled {
  readonly table = new Table();
  readonly #calc = new Calc(NODE);
  readonly #compiler = new TableCompiler(this.table, DEFAULT_BASE_CONFIG);
  #keys: ReadonlySet<string> = new Set();

  become(resources: readonly Resource[]): void {
    const keys = new Set(resources.map(keyOf));
    for (const key of this.#keys) if (!keys.has(key)) this.#calc.delete(key);
    for (const resource of resources) this.#calc.put(keyOf(resource), resource);
    this.#keys = keys;
    this.#compiler.apply(this.#calc.flush(), placementOf);
  }
}

function placementOf({ endpoint }: ResolvedEndpoint): Placement {
  return { interfaces: [`${endpoint.namespace}-${endpoint.name}`.slice(0, 15)], byAddress: true };
}

async function commitAll(fake: FakeDataplane, table: Table): Promise<void> {
  const ops = plan(table);
  const result = await fake.commit(ops);
  if (!result.ok) throw new Error(result.refusals.map(({ extAck }) => extAck).join());
  table.settle();
}

async function kernelOf(resources: readonly Resource[]): Promise<KernelTable | undefined> {
  const [fake, compiled] = [new FakeDataplane(), new Compiled()];
  compiled.become(resources);
  await commitAll(fake, compiled.table);
  return fake.dump();
}

const numRuns = Number(process.env['FC_RUNS'] ?? 60);

test('from any table to any other: what a fresh build gives', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitraryResources, { minLength: 2, maxLength: 4 }),
      async (worlds) => {
        const [fake, compiled] = [new FakeDataplane(), new Compiled()];
        for (const resources of worlds) {
          compiled.become(resources);
          await commitAll(fake, compiled.table);
          t.is(plan(compiled.table).length, 0);
          t.is(printKernelTable(await fake.dump()), printKernelTable(await kernelOf(resources)));
        }
      },
    ),
    { numRuns },
  );
});

test('after a restart: what a fresh build gives, and nothing when nothing changed', async (t) => {
  await fc.assert(
    fc.asyncProperty(arbitraryResources, arbitraryResources, async (before, after) => {
      const [fake, old] = [new FakeDataplane(), new Compiled()];
      old.become(before);
      await commitAll(fake, old.table);
      for (const resources of [before, after]) {
        const compiled = new Compiled();
        compiled.become(resources.toReversed());
        compiled.table.adopt(await fake.dump());
        if (resources === before) t.is(plan(compiled.table).length, 0);
        await commitAll(fake, compiled.table);
      }
      t.is(printKernelTable(await fake.dump()), printKernelTable(await kernelOf(after)));
    }),
    { numRuns },
  );
});

test('step by step: rules see complete sets, and no program is half of one and half of another', async (t) => {
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(
      arbitraryResources,
      arbitraryResources,
      fc.integer({ min: 1, max: 4 }),
      async (before, after, limit) => {
        const [fake, compiled] = [new FakeDataplane(), new Compiled()];
        compiled.become(before);
        await commitAll(fake, compiled.table);
        const start = (await fake.dump()) as KernelTable;
        compiled.become(after);
        const end = (await kernelOf(after)) as KernelTable;
        for (let isLast = false; !isLast;) {
          const step = planStep(compiled.table, limit);
          steps++;
          ({ isLast } = step);
          const result = await fake.commit(step.ops);
          t.true(
            result.ok,
            JSON.stringify(result.ok ? '' : result.refusals.map((r) => [r.errnoName, r.extAck])),
          );
          if (isLast) compiled.table.settle();
          else compiled.table.settleOps(step.ops);
          const now = (await fake.dump()) as KernelTable;
          t.deepEqual(incompleteSets(now, start, end), []);
          t.deepEqual(mixedPrograms(now, start, end), []);
        }
        t.is(printKernelTable(await fake.dump()), printKernelTable(end));
      },
    ),
    { numRuns },
  );
  t.true(steps > 2 * numRuns, 'worlds are large enough to be split');
});

/** Sets that a rule looks up and that hold neither what they held nor what they are to hold. */
function incompleteSets(now: KernelTable, start: KernelTable, end: KernelTable): string[] {
  const used = new Set([...now.chains.values()].flatMap(setsOf));
  return [...used].filter(
    (set) =>
      now.sets.get(set)?.verdictMap === false &&
      members(now, set) !== members(start, set) &&
      members(now, set) !== members(end, set),
  );
}

/** Endpoint chains from which now neither the program of the start nor that of the end is reached. */
function mixedPrograms(now: KernelTable, start: KernelTable, end: KernelTable): string[] {
  return [...now.chains.keys()].filter((name) => {
    if (!/^(from|to)-/.test(name) || name === 'to-host') return false;
    const program = printProgram(now, name);
    return program !== printProgram(start, name) && program !== printProgram(end, name);
  });
}

function members(table: KernelTable, set: string): string {
  return [...(table.elements.get(set)?.keys() ?? ['-'])].sort().join();
}

function printProgram(table: KernelTable, root: string): string {
  const names = new Set([root]);
  for (const name of names) {
    for (const target of targetsOf(table.chains.get(name))) names.add(target);
  }
  return [...names]
    .map((name) => table.chains.get(name))
    .map((chain) => (chain === undefined ? '-' : chainKey(chain)))
    .sort()
    .join('\n');
}

function setsOf(chain: NftChain): string[] {
  return chain.rules.flatMap(({ exprs }) =>
    exprs.flatMap((expr) => (expr.kind === 'lookup' ? [expr.set] : [])),
  );
}

function targetsOf(chain: NftChain | undefined): string[] {
  return (chain?.rules ?? []).flatMap(({ exprs }) =>
    exprs.flatMap((expr) =>
      expr.kind === 'verdict' && 'chain' in expr.verdict ? [expr.verdict.chain] : [],
    ),
  );
}

/**
 * The annotation that has a namespace's allowed connections logged, on random worlds: verdicts and counters are those of the same world
 * without it, every allow of its workloads logs, and nothing of anybody else moves.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { Calc } from '../../compiler/calc/calc.ts';
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import type { Placement } from '../../compiler/nft/dispatch.ts';
import { chainKey, ruleKey } from '../../compiler/nft/key.ts';
import type { Expr, NftRule } from '../../compiler/nft/program.ts';
import { Table } from '../../compiler/nft/table.ts';
import { arbitraryResources } from '../support/arbitrary.ts';
import { keyOf } from '../support/keys.ts';
import { NAMESPACES } from '../support/pools.ts';
import { NODE } from '../support/world.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const numRuns = Number(process.env['FC_RUNS'] ?? 100);

/** A world that one namespace's annotation is switched in. */
class Switched {
  readonly table = new Table();
  readonly endpoints: ReadonlyMap<string, ResolvedEndpoint>;
  readonly #calc = new Calc(NODE);
  readonly #compiler: TableCompiler;
  readonly #resources: readonly Resource[];

  constructor(resources: readonly Resource[], verdicts: readonly 'allow'[]) {
    const logging = { ...DEFAULT_BASE_CONFIG.logging, verdicts };
    this.#compiler = new TableCompiler(this.table, { ...DEFAULT_BASE_CONFIG, logging });
    this.#resources = resources.map((each) => ({ ...each, logAllowed: false }) as Resource);
    for (const each of this.#resources) this.#calc.put(keyOf(each), each);
    const changes = this.#calc.flush();
    this.endpoints = new Map(
      [...changes.endpoints].flatMap(([id, each]) => (each ? [[id, each]] : [])),
    );
    this.#compiler.apply(changes, placementOf);
  }

  /** Returns the endpoints that were looked at again. */
  log(profile: string, logAllowed: boolean): readonly string[] {
    const found = this.#resources.find((each) => each.kind === 'Profile' && each.name === profile);
    if (found === undefined) return [];
    this.#calc.put(keyOf(found), { ...found, logAllowed } as Resource);
    const changes = this.#calc.flush();
    this.#compiler.apply(changes, placementOf);
    return [...changes.endpoints.keys()];
  }

  chainText(): ReadonlyMap<string, string> {
    const texts = [...this.table.chains.desired].map(
      ([name, each]) => [name, chainKey(each)] as const,
    );
    return new Map(texts.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** What a packet meets from a chain on, by content: chains that are called stand in the place of the call. */
  unfold(name: string): string[] {
    const rules = this.table.chains.desired.get(name)?.rules ?? [];
    return rules
      .filter(({ exprs }) => exprs.at(-1)?.kind !== 'log')
      .flatMap((rule) => {
        const to = targetOf(rule.exprs);
        if (to === undefined) return [ruleKey(rule)];
        const match = { exprs: rule.exprs.slice(0, -1), comment: rule.comment };
        return [`${ruleKey(match)} {`, ...this.unfold(to), '}'];
      });
  }

  /** Rules that count and accept, with the rule before each. */
  allows(name: string): readonly (readonly [NftRule | undefined, NftRule])[] {
    const rules = this.table.chains.desired.get(name)?.rules ?? [];
    return rules.flatMap((rule, index) => {
      const to = targetOf(rule.exprs);
      if (to !== undefined) return this.allows(to);
      return isCountedAllow(rule) ? [[rules[index - 1], rule] as const] : [];
    });
  }
}

function placementOf({ endpoint }: ResolvedEndpoint): Placement {
  return { interfaces: [`${endpoint.namespace}-${endpoint.name}`.slice(0, 15)], byAddress: true };
}

function targetOf(exprs: readonly Expr[]): string | undefined {
  const end = exprs.at(-1);
  return end?.kind === 'verdict' && 'chain' in end.verdict ? end.verdict.chain : undefined;
}

function isCountedAllow({ exprs }: NftRule): boolean {
  const end = exprs.at(-1);
  return (
    exprs.at(-2)?.kind === 'counter' && end?.kind === 'verdict' && end.verdict.kind === 'accept'
  );
}

/** Not one of a Log rule. */
function logsAllow(rule: NftRule | undefined): boolean {
  const end = rule?.exprs.at(-1);
  return end?.kind === 'log' && end.prefix.startsWith('A');
}

const arbitraryProfile = fc.constantFrom(...NAMESPACES).map((name) => `kns.${name}`);

test('same verdicts and counters, every allow of its workloads logged, all others as they were', (t) => {
  let seen = 0;
  fc.assert(
    fc.property(arbitraryResources, arbitraryProfile, (resources, profile) => {
      const world = new Switched(resources, []);
      const [before, counters] = [world.chainText(), [...world.table.counters.desired.keys()]];
      const members = [...world.endpoints].filter(([, { endpoint }]) =>
        endpoint.profiles.includes(profile),
      );
      const roots = [...before.keys()].filter((name) => /^(from|to)-/.test(name));
      const meant = roots.map((name) => world.unfold(name));
      const moved = world.log(profile, true);
      if (moved.length === 0) return;
      t.deepEqual(moved.toSorted(), members.map(([id]) => id).toSorted());
      t.deepEqual(
        roots.map((name) => world.unfold(name)),
        meant,
      );
      t.deepEqual([...world.table.counters.desired.keys()].toSorted(), counters.toSorted());
      const own = moved.flatMap((id) => [`from-${id}`, `to-${id}`]);
      for (const name of own) {
        for (const [logging, rule] of world.allows(name)) {
          seen++;
          t.true(logsAllow(logging), ruleKey(rule));
        }
      }
      for (const name of roots.filter((each) => !own.includes(each))) {
        t.is(world.chainText().get(name), before.get(name));
        t.false(world.allows(name).some(([logging]) => logsAllow(logging)));
      }
      world.log(profile, false);
      t.deepEqual(world.chainText(), before, 'and back');
    }),
    { numRuns },
  );
  t.true(seen > numRuns, `${seen} rules that allow`);
});

test('where all that is allowed is logged, the annotation changes nothing', (t) => {
  fc.assert(
    fc.property(arbitraryResources, arbitraryProfile, (resources, profile) => {
      const world = new Switched(resources, ['allow']);
      const before = world.chainText();
      world.log(profile, true);
      t.deepEqual(world.chainText(), before);
    }),
    { numRuns: Math.ceil(numRuns / 4) },
  );
});

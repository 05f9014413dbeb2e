/**
 * Lint never calls dead what lives: held to the oracle, a rule that "is never reached" never matches, an end that "matches nothing" never
 * lets a packet match, a tier that "is never reached" is never looked at, and conditions that cover others hold where those do.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { covers, shapeOf } from '../../compiler/lint/covers.ts';
import { lint } from '../../compiler/lint/lint.ts';
import type { LintWarning } from '../../compiler/lint/rule.ts';
import { printPath } from '../../compiler/model/issue.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { EntityMatch, Rule, RuleMatch } from '../../compiler/model/policy.ts';
import type { Decision, RuleRef, Step } from '../../compiler/oracle/decision.ts';
import { evaluate } from '../../compiler/oracle/evaluate.ts';
import { failingCondition } from '../../compiler/oracle/match.ts';
import type { PolicyList } from '../../compiler/oracle/tiers.ts';
import {
  arbitraryHostResources,
  arbitraryPacket,
  arbitraryResources,
} from '../support/arbitrary.ts';
import { arbitraryRules } from '../support/arbitrary-policy.ts';
import { keyOf } from '../support/keys.ts';
import { world } from '../support/world.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['FC_RUNS'] ?? 300);
const TIMEOUT_MS = 60_000 + RUNS * 100;
const DIRECTIONS = ['ingress', 'egress'] as const;

const packets = fc.array(fc.oneof(arbitraryPacket(4), arbitraryPacket(6)), {
  minLength: 20,
  maxLength: 40,
});

test('what lint calls dead never takes part in a decision', (t) => {
  t.timeout(TIMEOUT_MS);
  let dead = 0;
  fc.assert(
    fc.property(arbitraryHostResources, packets, (resources, sent) => {
      const warnings = lint(resources.map((resource) => ({ key: keyOf(resource), resource })));
      const claims = new Claims(resources, warnings);
      dead += claims.size;
      for (const decision of decisions(resources, sent)) {
        for (const step of decision.trace) {
          const broken = claims.contradictedBy(step);
          if (broken !== undefined) throw new Error(`${broken}\nbut ${JSON.stringify(step)}`);
        }
      }
    }),
    { numRuns: RUNS, includeErrorInReport: true },
  );
  t.true(dead > 0, 'no run had a warning to check');
});

function decisions(resources: readonly Resource[], sent: readonly Packet[]): Decision[] {
  const judged = world(resources);
  return resources.flatMap((resource) => {
    const lists = listsOf(resource);
    if (resource.kind !== 'WorkloadEndpoint' && resource.kind !== 'HostEndpoint') return [];
    return lists.flatMap((list) =>
      DIRECTIONS.flatMap((direction) =>
        sent.map((packet) => evaluate(judged, resource, direction, packet, list)),
      ),
    );
  });
}

/** Of policies that count for it (specification section 3.4). */
function listsOf({ kind }: Resource): readonly PolicyList[] {
  return kind === 'HostEndpoint' ? ['untracked', 'pre-dnat', 'forward', 'normal'] : ['normal'];
}

/** What must not be seen: rules that match, by `np/shop/web ingress[0]`; any step of a policy; of a tier and direction, by `late ingress`. */
class Claims {
  readonly #rules = new Map<string, string>();
  readonly #policies = new Map<string, string>();
  readonly #tiers = new Map<string, string>();

  constructor(resources: readonly Resource[], warnings: readonly LintWarning[]) {
    const tierOf = new Map(resources.map((each) => [keyOf(each), 'tier' in each ? each.tier : '']));
    for (const { code, key, path, message } of warnings) {
      const place = /^spec\.((?:in|e)gress\[\d+\])/.exec(printPath(path))?.[1];
      if (code === 'rule-shadowed' || code === 'peer-matches-nothing') {
        this.#rules.set(`${key} ${place}`, message);
      }
      if (code === 'policy-selects-nothing' || code === 'host-policy-without-host') {
        this.#policies.set(key, message);
      }
      if (code !== 'tier-unreachable') continue;
      const direction = message.split(' ')[0];
      const tier = tierOf.get(key) || key.split('/').at(-1);
      this.#tiers.set(`${tier} ${direction}`, message);
    }
  }

  get size(): number {
    return this.#rules.size + this.#policies.size + this.#tiers.size;
  }

  contradictedBy(step: Step): string | undefined {
    if (step.kind === 'end-of-tier') return undefined;
    const { tier, direction, policy } = step.rule;
    const reached = this.#tiers.get(`${tier} ${direction}`) ?? this.#policies.get(policy);
    return reached ?? (step.kind === 'match' ? this.#rules.get(refText(step.rule)) : undefined);
  }
}

function refText({ policy, direction, index }: RuleRef): string {
  return `${policy} ${direction}[${index}]`;
}

test('conditions that cover others hold wherever those do', (t) => {
  t.timeout(TIMEOUT_MS);
  const two = arbitraryRules({ minLength: 2, maxLength: 2 });
  let covered = 0;
  fc.assert(
    fc.property(arbitraryResources, two, packets, (resources, rules, sent) => {
      const [wide, other] = rules;
      if (wide === undefined || other === undefined) return;
      const judged = world(resources);
      for (const narrow of [other, narrowed(wide, other)]) {
        const [a, b] = [shapeOf(wide, 'shop'), shapeOf(narrow, 'shop')];
        if (a === undefined || b === undefined || !covers(a, b)) continue;
        covered++;
        for (const packet of sent) {
          if (failingCondition(judged, narrow, 'shop', packet) !== undefined) continue;
          const why = failingCondition(judged, wide, 'shop', packet);
          if (why !== undefined) throw new Error(`the wider rule fails at ${why}`);
        }
      }
    }),
    { numRuns: RUNS * 3, includeErrorInReport: true },
  );
  t.true(covered > RUNS / 3, `${covered} of ${RUNS * 3} pairs were compared`);
});

/** `wide` with conditions of `other` where it has none of its own. */
function narrowed(wide: Rule, other: Rule): Rule {
  const [a, b] = [wide.match, other.match];
  if (typeof a === 'string') return other;
  return typeof b === 'string' ? wide : { ...wide, match: joined(a, b) };
}

function joined(a: RuleMatch, b: RuleMatch): RuleMatch {
  return {
    ...filled(a, b),
    source: filled<EntityMatch>(a.source, b.source),
    destination: filled<EntityMatch>(a.destination, b.destination),
  };
}

function isOpen(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function filled<T extends object>(a: T, b: T): T {
  const fields = Object.entries(a).map(([field, value]): [string, unknown] => [
    field,
    isOpen(value) ? (b as Record<string, unknown>)[field] : value,
  ]);
  return Object.fromEntries(fields) as T;
}

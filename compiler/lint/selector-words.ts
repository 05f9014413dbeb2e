/** Selectors for people: as they would be written, and why one matches nobody. */
import { suggest } from '../model/parse/nearest.ts';
import { printSelector } from '../model/selector-text.ts';
import type { Selector } from '../model/selector.ts';
import { labelsOf } from '../selector/requirement.ts';
import type { LintWorld } from './world.ts';

/** Set by Picket, so no typing error of the policy's author. */
const RESERVED = 'projectcalico.org/';
const PREFIXES = { 'pcns.': 'namespace', 'pcsa.': 'service account' } as const;

/** Names of labels as the author writes them. */
function split(label: string): { readonly name: string; readonly owner: string } {
  for (const [prefix, owner] of Object.entries(PREFIXES)) {
    if (label.startsWith(prefix)) return { name: label.slice(prefix.length), owner };
  }
  return { name: label, owner: 'endpoint or network set' };
}

/** Labels in the selector that nothing has, with what was probably meant: `no namespace has the label "ap"; did you mean "app"?`. */
export function unknownLabels(selector: Selector, world: LintWorld): readonly string[] {
  return [...labelsOf(selector)].flatMap((label) => {
    const { name, owner } = split(label);
    if (world.labels.has(label) || name.startsWith(RESERVED)) return [];
    const known = [...world.labels.keys()]
      .map(split)
      .filter((other) => other.owner === owner && !other.name.startsWith(RESERVED));
    const hint = suggest(
      name,
      known.map((other) => other.name),
    );
    return [`no ${owner} has the label ${JSON.stringify(name)}${hint}`];
  });
}

/** Why the selector matches nothing, as far as single conditions explain it; '' where they do not. */
export function explainMismatch(selector: Selector, world: LintWorld): string {
  const reasons = [...unknownLabels(selector, world), ...unknownValues(selector, world)];
  return reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
}

function unknownValues(selector: Selector, world: LintWorld): readonly string[] {
  if (selector.kind === 'and') {
    return selector.operands.flatMap((operand) => unknownValues(operand, world));
  }
  if (selector.kind !== 'equals') return [];
  const { label, value } = selector;
  const known = world.labels.get(label);
  if (known === undefined || known.has(value)) return [];
  const { name, owner } = split(label);
  if (name === 'projectcalico.org/orchestrator') return [];
  if (name === 'projectcalico.org/namespace') {
    return [`nothing is in namespace ${JSON.stringify(value)}${suggest(value, [...known])}`];
  }
  return [
    `no ${owner} has ${printSelector({ ...selector, label: name })}${suggest(value, [...known])}`,
  ];
}

/** A comparison as text: per group who, to whom, which packets, what decided before and what decides after. */
import type { Comparison } from './compare.ts';
import type { ChangeGroup, EndGroup } from './groups.ts';

/** Groups, and names of workloads that only one side has, that are shown. */
const MAX_GROUPS = 50;
const MAX_NAMES = 10;

const WORDS = { allow: 'allowed', deny: 'DENIED' } as const;

export function printComparison(
  { onlyBefore, onlyAfter, moved, isComplete, compared, pairs }: Comparison,
  groups: readonly ChangeGroup[],
): readonly string[] {
  const head =
    groups.length === 0
      ? 'no pair of endpoints changes its verdict'
      : `${groups.length} ${groups.length === 1 ? 'kind of change' : 'kinds of changes'}, the one with most pairs first`;
  return [
    head,
    ...groups.slice(0, MAX_GROUPS).flatMap(printGroup),
    ...(groups.length > MAX_GROUPS
      ? ['', `and ${groups.length - MAX_GROUPS} more: -o json shows all`]
      : []),
    ...names('new endpoints, not compared', onlyAfter),
    ...names('endpoints that go, not compared', onlyBefore),
    ...names('endpoints with other addresses, not compared', moved),
    ...(isComplete ? [] : ['', 'INCOMPLETE: so much differs that not every pair was looked at']),
    '',
    `compared ${compared} pairs of kinds of endpoints; of ${pairs} pairs, the rest has the same rules`,
  ];
}

function printGroup(group: ChangeGroup): readonly string[] {
  const { before, after, from, to, way, packets, example, byBefore, byAfter } = group;
  const more = packets.total > packets.first.length ? `, … (${packets.total} in all)` : '';
  return [
    '',
    `${WORDS[before]} -> ${WORDS[after]}: ${packets.first.join(', ')}${more}`,
    `  from    ${printEnd(from)}`,
    `  to      ${printEnd(to)}`,
    ...(way === undefined ? [] : [`  at      ${way}`]),
    `  before  ${WORDS[before]} by ${byBefore}`,
    `  after   ${WORDS[after]} by ${byAfter}`,
    `  see     picket explain ${example}`,
  ];
}

function printEnd({ names: known, workloads, outside, hosts }: EndGroup): string {
  const parts: string[] = [];
  if (workloads > 0) {
    const more = workloads > known.length ? `, … (${workloads} pods)` : '';
    parts.push(`${known.join(', ')}${more}`);
  }
  if (outside.length > 0) parts.push(`outside, like ${outside.join(', ')}`);
  if (hosts.length > 0) parts.push(`host ${hosts.join(', ')}`);
  return parts.join('; and ');
}

function names(title: string, all: readonly string[]): readonly string[] {
  if (all.length === 0) return [];
  const more = all.length > MAX_NAMES ? `, … (${all.length} in all)` : '';
  return ['', `${title}: ${all.slice(0, MAX_NAMES).join(', ')}${more}`];
}

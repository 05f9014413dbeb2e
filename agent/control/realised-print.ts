/** What is realised, as text: one block of lines per endpoint, policy or set. */
import type { ResolvedDirection, ResolvedTier } from '../../compiler/calc/resolved.ts';
import type { RealisedEndpoint } from './realised-endpoints.ts';
import type { RealisedPolicy, RealisedRule, RealisedSet, Rows } from './realised.ts';

export function printEndpoint(endpoint: RealisedEndpoint): readonly string[] {
  const { kind, name, byAddress, addresses, stages, closed } = endpoint;
  const where = [...printInterfaces(endpoint), ...(byAddress ? ['found by its address'] : [])];
  const none = kind === 'host' ? 'NO INTERFACE: it governs nothing now' : 'NO INTERFACE';
  const place = where.length > 0 ? where.join(', ') : none;
  const owned = addresses.length > 0 ? addresses.join(', ') : 'no address';
  return [
    `${kind === 'host' ? 'host endpoint ' : ''}${name}: ${place}; ${owned}`,
    ...closed.map((stage) => `  ! ${stage} is CLOSED: the kernel refused its rules`),
    ...Object.entries(stages).flatMap(([stage, tiers]) => [
      `  ${stage}`,
      ...tiers.flatMap(printTier),
    ]),
    ...printDirection('ingress', endpoint.ingress),
    ...printDirection('egress', endpoint.egress),
  ];
}

function printInterfaces({ interfaces, absent, isWildcard }: RealisedEndpoint): string[] {
  const shown = interfaces.map((name) =>
    absent.includes(name) ? `${name} (not there now)` : name,
  );
  const rest = 'and every other one that appears';
  if (shown.length === 0) return isWildcard ? [`no interface now, ${rest}`] : [];
  return [`interface ${shown.join(', ')}${isWildcard ? `, ${rest}` : ''}`];
}

function printDirection(name: string, { tiers, profiles }: ResolvedDirection): string[] {
  const isReached = tiers.every(({ end }) => end === 'pass');
  const after = profiles.length === 0 ? 'none, so denied' : `${profiles.join(', ')}, then denied`;
  const unreached = isReached ? '' : ' (only by a Pass)';
  return [`  ${name}`, ...tiers.flatMap(printTier), `    profiles${unreached}: ${after}`];
}

function printTier({ name, end, policies }: ResolvedTier): string[] {
  const undecided = end === 'deny' ? 'denied' : 'goes on';
  return [
    `    tier ${name} (undecided: ${undecided})`,
    ...policies.map((policy) => `      ${policy}`),
  ];
}

export function printPolicy(policy: RealisedPolicy): readonly string[] {
  const { id, tier, order, source, endpoints, ingress, egress } = policy;
  const facts = [
    ...(tier === undefined ? [] : [`tier ${tier}`]),
    ...(order === undefined ? [] : [`order ${order}`]),
    ...(source === undefined ? [] : [source]),
  ];
  return [
    `${id}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`,
    `  governs ${endpoints.total === 0 ? 'nothing here' : printRows(endpoints)}`,
    ...printRules('ingress', ingress),
    ...printRules('egress', egress),
  ];
}

function printRules(direction: string, rules: readonly RealisedRule[]): string[] {
  return rules.flatMap(({ index, action, matches, packets, bytes }) => {
    const counted = packets === undefined ? 'not counted' : `${packets} packets, ${bytes} bytes`;
    const [only] = matches;
    const head = `  ${direction}[${index}] ${action}`;
    if (matches.length === 0) return [`${head} nothing: ${counted}`];
    if (matches.length === 1) return [`${head} ${only}: ${counted}`];
    return [`${head}: ${counted}`, ...matches.map((match) => `    ${match}`)];
  });
}

export function printSet({
  id,
  description,
  sets,
  members,
  usedBy,
}: RealisedSet): readonly string[] {
  return [
    `${id}: ${description}`,
    `  in the kernel: ${sets.join(', ')}`,
    `  used by ${usedBy.total === 0 ? 'nobody' : printRows(usedBy)}`,
    `  ${members.total} members${members.total === 0 ? '' : `: ${printRows(members)}`}`,
  ];
}

function printRows({ total, rows }: Rows<string>): string {
  const more = total > rows.length ? `, … (${total} in all)` : '';
  return `${rows.join(', ')}${more}`;
}

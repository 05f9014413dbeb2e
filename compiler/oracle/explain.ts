/** Decisions as text for people: the verdict and its reason first, then every rule that was looked at. Ends without a line break. */
import type { Decision, Decisive, ImplicitReason, RuleRef, Step } from './decision.ts';
import type { FlowDecision } from './flow.ts';
import type { FlowStage, StageName } from './stage.ts';

/** Completes "<verdict>: ...". */
export const REASONS: { readonly [R in ImplicitReason]: string } = {
  'end-of-tier': 'selected by policies of the tier, and none of their rules decides',
  'no-profile': 'no profile of the endpoint decides',
  'missing-profile': 'the endpoint lists a profile that does not exist',
  'inactive-endpoint': 'the endpoint is not running',
  'unknown-interface': 'no endpoint claims the workload interface',
  'spoofed-source': 'the source address does not belong to the sender',
  encapsulation: 'workloads may not send VXLAN or IPIP packets',
  'host-to-workload': 'the host may always reach its own workloads',
  'endpoint-to-host': 'defaultEndpointToHostAction',
  'neighbour-discovery': 'ICMPv6 between a workload and its router',
  established: 'part of a connection that was allowed before',
  invalid: 'connection tracking makes no sense of the packet',
  failsafe: 'a failsafe port, which host policy cannot close',
  'accepted-earlier': 'untracked or pre-DNAT policy has allowed the packet',
  undecided: 'no rule decides, the packet goes on',
  'no-forward-policy': 'no policy that applies on forward selects the host endpoint',
  tunnel: 'a tunnel between hosts of the cluster',
  'tunnel-stranger': 'a tunnel packet of a host that is none of the cluster',
  'no-host-endpoint': 'no host endpoint governs the interface',
  'not-governed':
    'neither end is a workload of this node, nor an interface that a host endpoint governs',
};

/** `ALLOW: rule np/shop/web ingress[0]`, then one indented line per step. */
export function explainDecision(decision: Decision): string {
  const head = `${decision.verdict.toUpperCase()}: ${printDecisive(decision.decisive)}`;
  return [head, ...decision.trace.map((step) => `  ${printStep(step)}`)].join('\n');
}

/** The verdict, then every stage with its decision. */
export function explainFlow(flow: FlowDecision): string {
  const stages = flow.stages.map((stage) => {
    const lines = explainDecision(stage.decision).split('\n');
    return [printStage(stage), ...lines.map((line) => `  ${line}`)].join('\n');
  });
  return [flow.verdict.toUpperCase(), ...stages].join('\n');
}

/** `np/shop/web ingress[0] "name" (tier default)`. */
function printRuleRef(rule: RuleRef): string {
  const name = rule.name === undefined ? '' : ` "${rule.name}"`;
  const tier = rule.tier === undefined ? '' : ` (tier ${rule.tier})`;
  return `${rule.policy} ${rule.direction}[${rule.index}]${name}${tier}`;
}

function printStage(stage: FlowStage): string {
  return `${nameStage(stage)}:`;
}

/** `ingress of shop/web`, `pre-DNAT ingress of host endpoint eth0`. */
export function nameStage({ stage, endpoint, endpointKind, direction }: FlowStage): string {
  const words = endpointKind === 'workload' ? direction : STAGE_NAMES[stage];
  if (endpoint === undefined) return words;
  return `${words} of ${endpointKind === 'host' ? 'host endpoint ' : ''}${endpoint}`;
}

/** What a stage is called where no workload is judged. */
const STAGE_NAMES: { readonly [S in StageName]: string } = {
  'untracked-in': 'untracked ingress',
  'pre-dnat': 'pre-DNAT ingress',
  input: 'ingress',
  'forward-in': 'forward ingress',
  'from-workload': 'egress',
  'to-workload': 'ingress',
  'forward-out': 'forward egress',
  'untracked-out': 'untracked egress',
  output: 'egress',
  'post-dnat': 'egress after DNAT',
};

function printDecisive(decisive: Decisive): string {
  if (decisive.kind === 'rule') return `rule ${printRuleRef(decisive.rule)}`;
  const { reason, tier, selectedBy } = decisive;
  const where = tier === undefined ? '' : `end of tier ${tier}: `;
  const by = selectedBy.length === 0 ? '' : ` (${selectedBy.join(', ')})`;
  return `${where}${REASONS[reason]}${by}`;
}

function printStep(step: Step): string {
  switch (step.kind) {
    case 'match':
      return `${printRuleRef(step.rule)}: matches, ${step.action}`;
    case 'no-match':
      return `${printRuleRef(step.rule)}: no match (${step.because})`;
    case 'end-of-tier':
      return `end of tier ${step.tier}: pass`;
  }
}

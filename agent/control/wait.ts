/** Whether a policy is in force in the kernel, for `picket wait`. Comes in: the agent and names; goes out: yes, or why not yet. */
import { POLICY_SHORT_NAMES, policyId } from '../../compiler/model/policy.ts';
import type { Policy } from '../../compiler/model/policy.ts';
import { ruleOrigin } from '../../compiler/nft/lower-chain.ts';
import { setOrigin } from '../../compiler/nft/peer-tables.ts';
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import { objectKey } from '../watch/source.ts';
import type { AgentView } from './agent-view.ts';
import { stateOf } from './status.ts';

export interface WaitAnswer {
  readonly isInForce: boolean;
  /** Ids of the policies that were meant. */
  readonly policies: readonly string[];
  /** Why not, for people; '' where it is. */
  readonly why: string;
}

/** `policy` is `NS/NAME`, `NAME`, or an id such as `np/NS/NAME`; all of that name are meant. `pod` is `NS/NAME`. */
export function isPolicyInForce(
  agent: AgentView,
  policy: string,
  pod: string | undefined,
): WaitAnswer {
  const found = findPolicies(agent, policy);
  const ids = found.map(policyId);
  const no = (why: string): WaitAnswer => ({ isInForce: false, policies: ids, why });
  const stale = knownBy(agent).stale.find((key) => isNamed(key, policy));
  if (stale !== undefined) {
    return no(
      `the newest version of ${objectKey(stale)} is invalid and not in force: picket status`,
    );
  }
  if (found.length === 0) return no(`no policy ${policy} is known here`);
  const staged = found.find((each) => each.staged);
  if (staged !== undefined) return no(`${policyId(staged)} is staged: it is never enforced`);
  const state = stateOf(agent);
  if (state === 'waiting') return no('the sources are not complete yet');
  if (state === 'behind') {
    const { lastError } = agent.state;
    return no(`not in sync with the kernel${lastError === undefined ? '' : `: ${lastError}`}`);
  }
  const refused = ids.flatMap((id) => refusedOf(agent, id)).at(0);
  if (refused !== undefined) return no(`the kernel refused ${refused}, enforced fail closed`);
  const notThere = pod === undefined ? undefined : whyNotOf(agent, ids, pod);
  return notThere === undefined ? { isInForce: true, policies: ids, why: '' } : no(notThere);
}

/** What questions are about, gathered once for as long as nothing new is taken: many may wait at the same time. */
interface Known {
  readonly taken: number;
  readonly policies: readonly Policy[];
  readonly workloads: ReadonlySet<string>;
  readonly stale: readonly string[];
}

const known = new WeakMap<AgentView, Known>();

function knownBy(agent: AgentView): Known {
  const { store } = agent.engine;
  const { taken } = agent.state;
  const before = known.get(agent);
  if (before?.taken === taken) return before;
  const resources = store.resources().map(([, resource]) => resource);
  const fresh: Known = {
    taken,
    policies: resources.filter((resource) => resource.kind === 'Policy'),
    workloads: new Set(
      resources.flatMap((each) => (each.kind === 'WorkloadEndpoint' ? [each.id] : [])),
    ),
    stale: store.stale(),
  };
  known.set(agent, fresh);
  return fresh;
}

function findPolicies(agent: AgentView, name: string): readonly Policy[] {
  return knownBy(agent).policies.filter((policy) => {
    const id = policyId(policy);
    return id === name || id.slice(id.indexOf('/') + 1) === name;
  });
}

/** Of objects that were never accepted only the key says their name: `<source>:<group>/<kind>/<namespace>/<name>`. */
function isNamed(key: string, name: string): boolean {
  const [, kind = '', namespace = '', ...rest] = objectKey(key).split('/');
  if (!kind.endsWith('Policy')) return false;
  const own = rest.join('/');
  const full = namespace === '' ? own : `${namespace}/${own}`;
  const [short = '', ...after] = name.split('/');
  const isId = Object.values(POLICY_SHORT_NAMES).includes(short);
  return full === name || (isId && full === after.join('/'));
}

/** Origins that the kernel refused and that the policy's rules depend on. */
function refusedOf({ engine }: AgentView, id: string): string[] {
  const { refused } = engine.compiler;
  const policy = engine.policy(id);
  if (policy === undefined || refused.size === 0) return [];
  const origins = [
    ...policy.ingress.map(({ rule }) => ruleOrigin(id, 'ingress', rule.index)),
    ...policy.egress.map(({ rule }) => ruleOrigin(id, 'egress', rule.index)),
    ...[...policy.sets.keys()].map(setOrigin),
  ];
  return origins.filter((origin) => refused.has(origin));
}

function whyNotOf(agent: AgentView, ids: readonly string[], pod: string): string | undefined {
  const { engine } = agent;
  const endpoint = engine.endpoints().find(({ endpoint: { id } }) => id === pod);
  if (endpoint === undefined) {
    return knownBy(agent).workloads.has(pod)
      ? `${pod} does not run on this node`
      : `no pod ${pod} is known here`;
  }
  const closed = [...engine.compiler.refused].find((origin) =>
    origin.startsWith(`endpoint ${pod} `),
  );
  if (closed !== undefined) return `the kernel refused ${closed}, which is closed`;
  const missing = ids.find((id) => !policiesOf(endpoint).has(id));
  return missing === undefined ? undefined : `${missing} does not select ${pod}`;
}

function policiesOf({ ingress, egress }: ResolvedEndpoint): ReadonlySet<string> {
  return new Set([ingress, egress].flatMap(({ tiers }) => tiers.flatMap((tier) => tier.policies)));
}

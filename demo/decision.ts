/**
 * Who decided, in words. Names of counters that a packet moved come in, one phrase comes out. Egress is judged before ingress, so
 * the last direction that moved anything holds the decision.
 */

/** Counter names as the compiler makes them: `<direction>/<policy id>/<rule index>`. */
const RULE = /^(ingress|egress)\/(.+)\/(\d+)$/;
const END_OF_TIER = /^(ingress|egress)\/end-of-tier\/([^/]+)/;
const NO_PROFILE = /^(ingress|egress)\/no-profile/;

/** `logRules`: counters of rules that only log. */
export function describeDecision(names: readonly string[], logRules: ReadonlySet<string>): string {
  const deciding = names.filter((name) => !logRules.has(name));
  const ingress = deciding.filter((name) => name.startsWith('ingress/'));
  const last = (ingress.length > 0 ? ingress : deciding).map(describeCounter).join(' and ');
  const logged = names.filter((name) => logRules.has(name)).map(describeCounter);
  const decision = last === '' ? 'no rule of Picket saw it' : last;
  return logged.length === 0 ? decision : `${decision}, logged by ${logged.join(' and ')}`;
}

function describeCounter(name: string): string {
  const tier = END_OF_TIER.exec(name);
  if (tier !== null) return `end of tier ${tier[2]}: no ${tier[1]} rule allowed it`;
  const profile = NO_PROFILE.exec(name);
  if (profile !== null) return `end of ${profile[1]}: no profile allowed it`;
  const rule = RULE.exec(name);
  return rule === null ? name : `${rule[2]} ${rule[1]}[${rule[3]}]`;
}

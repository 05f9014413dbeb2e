/** In which stage of host policy a packet was judged. */
import test from 'ava';
import { judgedStage } from '../../../../agent/flowlog/judged-host.ts';
import type { RuleMeaning } from '../../../../compiler/nft/rule-id.ts';

type Direction = RuleMeaning['direction'];

const rule = (direction: Direction): RuleMeaning => ({
  verdict: 'deny',
  direction,
  cause: { kind: 'rule', policy: 'gnp/a', index: 0 },
  counter: `${direction}/gnp/a/0`,
});

const implicit = (direction: Direction, counter: string): RuleMeaning => ({
  verdict: 'deny',
  direction,
  cause: { kind: 'implicit', reason: 'x', tier: undefined, selectedBy: [] },
  counter,
});

const [INGRESS, EGRESS] = [rule('ingress'), rule('egress')];

const ROWS = [
  { meaning: INGRESS, hook: 'input', policyStage: 'tracked', isWorkload: false, out: 'normal' },
  { meaning: EGRESS, hook: 'output', policyStage: 'tracked', isWorkload: false, out: 'normal' },
  {
    meaning: EGRESS,
    hook: 'postrouting',
    policyStage: 'tracked',
    isWorkload: false,
    out: 'post-dnat',
  },
  { meaning: INGRESS, hook: 'forward', policyStage: 'tracked', isWorkload: false, out: 'forward' },
  // Its own policy, or the host endpoint's: the rule is the same.
  { meaning: INGRESS, hook: 'forward', policyStage: 'tracked', isWorkload: true, out: undefined },
  // A pod's egress to its host.
  { meaning: EGRESS, hook: 'input', policyStage: 'tracked', isWorkload: true, out: undefined },
  {
    meaning: INGRESS,
    hook: 'prerouting',
    policyStage: 'pre-dnat',
    isWorkload: true,
    out: 'pre-dnat',
  },
  {
    meaning: EGRESS,
    hook: 'output',
    policyStage: 'untracked',
    isWorkload: false,
    out: 'untracked',
  },
  // The policy is gone.
  { meaning: INGRESS, hook: 'prerouting', policyStage: undefined, isWorkload: false },
  { meaning: INGRESS, hook: undefined, policyStage: 'tracked', isWorkload: false },
  ...(
    [
      ['host-untracked-ingress/refused', 'untracked'],
      ['host-pre-dnat/invalid-state', 'pre-dnat'],
      ['host-ingress/no-profile/0', 'normal'],
      ['host-egress/end-of-tier/a/0', 'normal'],
      ['host-dnat/end-of-tier/a/0', 'post-dnat'],
      ['host-forward-egress/end-of-tier/a/0', 'forward'],
      ['ingress/end-of-tier/a/0', undefined],
    ] as const
  ).map(([counter, out]) => ({
    meaning: implicit('ingress', counter),
    hook: 'forward',
    policyStage: undefined,
    isWorkload: true,
    out,
  })),
] as const;

for (const { out, ...at } of ROWS.map((row) => ({ out: undefined, ...row }))) {
  const { meaning, hook, isWorkload } = at;
  test(`${meaning.counter} at ${hook}, ${at.policyStage}, workload ${isWorkload}: ${out}`, (t) => {
    t.is(judgedStage(at), out);
  });
}

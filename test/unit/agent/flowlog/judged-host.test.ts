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

const TRACKED = { doNotTrack: false, preDnat: false };
const PRE_DNAT = { doNotTrack: false, preDnat: true };
const UNTRACKED = { doNotTrack: true, preDnat: false };

const ROWS = [
  { meaning: INGRESS, hook: 'input', policy: TRACKED, isWorkload: false, out: 'normal' },
  { meaning: EGRESS, hook: 'output', policy: TRACKED, isWorkload: false, out: 'normal' },
  {
    meaning: EGRESS,
    hook: 'postrouting',
    policy: TRACKED,
    isWorkload: false,
    out: 'post-dnat',
  },
  { meaning: INGRESS, hook: 'forward', policy: TRACKED, isWorkload: false, out: 'forward' },
  // Its own policy, or the host endpoint's: the rule is the same.
  { meaning: INGRESS, hook: 'forward', policy: TRACKED, isWorkload: true, out: undefined },
  // A pod's egress to its host.
  { meaning: EGRESS, hook: 'input', policy: TRACKED, isWorkload: true, out: undefined },
  {
    meaning: INGRESS,
    hook: 'prerouting',
    policy: PRE_DNAT,
    isWorkload: true,
    out: 'pre-dnat',
  },
  {
    meaning: EGRESS,
    hook: 'output',
    policy: UNTRACKED,
    isWorkload: false,
    out: 'untracked',
  },
  // The policy is gone.
  { meaning: INGRESS, hook: 'prerouting', policy: undefined, isWorkload: false },
  { meaning: INGRESS, hook: undefined, policy: TRACKED, isWorkload: false },
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
    policy: undefined,
    isWorkload: true,
    out,
  })),
] as const;

for (const { out, ...at } of ROWS.map((row) => ({ out: undefined, ...row }))) {
  const { meaning, hook, isWorkload } = at;
  test(`${meaning.counter} at ${hook}, ${JSON.stringify(at.policy)}, workload ${isWorkload}: ${out}`, (t) => {
    t.is(judgedStage(at), out);
  });
}

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
  { meaning: INGRESS, hook: 'input', policy: TRACKED, out: 'normal' },
  { meaning: EGRESS, hook: 'output', policy: TRACKED, out: 'normal' },
  {
    meaning: EGRESS,
    hook: 'postrouting',
    policy: TRACKED,
    out: 'post-dnat',
  },
  { meaning: INGRESS, hook: 'forward', policy: TRACKED, isOfHost: true, out: 'forward' },
  // Both have it.
  {
    meaning: INGRESS,
    hook: 'forward',
    policy: TRACKED,
    isOfHost: true,
    mayBeOfWorkload: true,
    out: undefined,
  },
  // The workload's own.
  { meaning: INGRESS, hook: 'forward', policy: TRACKED, mayBeOfWorkload: true, out: undefined },
  // Nobody's any more.
  { meaning: INGRESS, hook: 'forward', policy: TRACKED, out: undefined },
  // A pod's egress to its host.
  { meaning: EGRESS, hook: 'input', policy: TRACKED, mayBeOfWorkload: true, out: undefined },
  {
    meaning: INGRESS,
    hook: 'prerouting',
    policy: PRE_DNAT,
    mayBeOfWorkload: true,
    out: 'pre-dnat',
  },
  {
    meaning: EGRESS,
    hook: 'output',
    policy: UNTRACKED,
    out: 'untracked',
  },
  // The policy is gone.
  { meaning: INGRESS, hook: 'prerouting', policy: undefined },
  { meaning: INGRESS, hook: undefined, policy: TRACKED },
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
    mayBeOfWorkload: true,
    out,
  })),
] as const;

const USUAL = { out: undefined, isOfHost: false, mayBeOfWorkload: false };

for (const { out, ...at } of ROWS.map((row) => ({ ...USUAL, ...row }))) {
  const { meaning, hook, isOfHost, mayBeOfWorkload } = at;
  test(`${meaning.counter} at ${hook}, ${JSON.stringify(at.policy)}, host ${isOfHost}, workload ${mayBeOfWorkload}: ${out}`, (t) => {
    t.is(judgedStage(at), out);
  });
}

import test from 'ava';
import { describeDecision } from '../../../demo/decision.ts';

const LOG_RULES = new Set(['ingress/gnp/a/0']);

const ROWS = [
  { name: 'nothing moved', in: [], out: 'no rule of Picket saw it' },
  { name: 'one rule', in: ['ingress/knp/shop/web/2'], out: 'knp/shop/web ingress[2]' },
  {
    name: 'ingress is judged last',
    in: ['egress/pro/kns.shop/0', 'ingress/gnp/b/0'],
    out: 'gnp/b ingress[0]',
  },
  {
    name: 'end of tier',
    in: ['egress/end-of-tier/default/0123456789ab'],
    out: 'end of tier default: no egress rule allowed it',
  },
  {
    name: 'no profile',
    in: ['ingress/no-profile/0123456789ab'],
    out: 'end of ingress: no profile allowed it',
  },
  {
    name: 'a rule that only logs did not decide',
    in: ['ingress/gnp/a/0', 'ingress/gnp/a/1'],
    out: 'gnp/a ingress[1], logged by gnp/a ingress[0]',
  },
  { name: 'a counter that we do not know', in: ['anti-spoofing'], out: 'anti-spoofing' },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.is(describeDecision(row.in, LOG_RULES), row.out);
  });
}

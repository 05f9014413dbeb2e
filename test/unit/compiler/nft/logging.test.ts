import test from 'ava';
import { withLogging } from '../../../../compiler/nft/logging.ts';
import type { LogConfig } from '../../../../compiler/nft/logging.ts';
import { printExpr } from '../../../../compiler/nft/print.ts';
import type { Expr, NftRule } from '../../../../compiler/nft/program.ts';
import type { LoggedSubject } from '../../../../compiler/nft/rule-id.ts';

const LIMITED: LogConfig = {
  group: 5,
  verdicts: ['deny'],
  limit: { perSecond: 10, burst: 50 },
};
const SUBJECT: LoggedSubject = {
  direction: 'ingress',
  cause: { kind: 'rule', policy: 'np/a/b', index: 2 },
};
const MATCH: Expr = { kind: 'meta', key: 'nfproto', dreg: 8 };
const LOG: Expr = { kind: 'log', group: 0, prefix: '', snaplenBytes: 0 };

function rule(counter: string | undefined, end: Expr, subject?: LoggedSubject): NftRule {
  const count: readonly Expr[] = counter === undefined ? [] : [{ kind: 'counter', name: counter }];
  return { exprs: [MATCH, ...count, end], comment: 'c', origin: 'o', subject };
}

const verdict = (kind: 'drop' | 'accept' | 'return'): Expr => ({
  kind: 'verdict',
  verdict: { kind },
});

/** The rules as text, ids without their digest. */
function lowered(rules: readonly NftRule[], config: LogConfig): string[] {
  return withLogging(rules, config).rules.map(({ exprs }) =>
    exprs
      .slice(1)
      .map(printExpr)
      .join(' ')
      .replaceAll(/#[0-9a-f]{10}/g, '#'),
  );
}

const REJECT: Expr = { kind: 'reject', reject: 'admin-prohibited' };
const BUCKET = '[ limit rate 10/second burst 50 type packets flags 0x0 ]';
const logged = (id: string): string => `[ log prefix ${id} group 5 snaplen 128 qthreshold 0 ]`;
const COUNT = '[ objref type 1 name x ]';

const ROWS: readonly { name: string; in: NftRule; config?: LogConfig; out: string[] }[] = [
  {
    name: 'a deny: the same match, a bucket and the log; then the rule as it was',
    in: rule('x', verdict('drop'), SUBJECT),
    out: [`${BUCKET} ${logged('Di/np/a/b/2#')}`, `${COUNT} [ immediate reg 0 drop ]`],
  },
  {
    name: 'a reject',
    in: rule('x', REJECT, SUBJECT),
    out: [`${BUCKET} ${logged('Di/np/a/b/2#')}`, `${COUNT} ${printExpr(REJECT)}`],
  },
  {
    name: 'a built-in is named by its counter',
    in: rule('egress/unknown-interface', verdict('drop')),
    out: [
      `${BUCKET} ${logged('De/unknown-interface#')}`,
      '[ objref type 1 name egress/unknown-interface ] [ immediate reg 0 drop ]',
    ],
  },
  {
    name: 'a stage of the host that is neither direction by name',
    in: rule('host-pre-dnat/invalid-state', verdict('drop')),
    config: { ...LIMITED, limit: undefined },
    out: [
      logged('Di/invalid-state#'),
      '[ objref type 1 name host-pre-dnat/invalid-state ] [ immediate reg 0 drop ]',
    ],
  },
  {
    name: 'a Log rule: one rule, bucket behind the counter',
    in: rule('x', LOG, SUBJECT),
    out: [`${COUNT} ${BUCKET} ${logged('Li/np/a/b/2#')}`],
  },
  {
    name: 'a Log rule is logged in any case',
    in: rule('x', LOG, SUBJECT),
    config: { group: 5, verdicts: [], limit: undefined },
    out: [`${COUNT} ${logged('Li/np/a/b/2#')}`],
  },
  {
    name: 'an allow is not asked for',
    in: rule('x', verdict('accept'), SUBJECT),
    out: [`${COUNT} [ immediate reg 0 accept ]`],
  },
  {
    name: 'an allow is asked for',
    in: rule('x', verdict('accept'), SUBJECT),
    config: { ...LIMITED, verdicts: ['allow'] },
    out: [`${BUCKET} ${logged('Ai/np/a/b/2#')}`, `${COUNT} [ immediate reg 0 accept ]`],
  },
  {
    name: 'an allow of a policy that asks for it',
    in: rule('x', verdict('accept'), { ...SUBJECT, isLogged: true }),
    out: [`${BUCKET} ${logged('Ai/np/a/b/2#')}`, `${COUNT} [ immediate reg 0 accept ]`],
  },
  {
    name: 'a pass decides nothing',
    in: rule('x', verdict('return'), SUBJECT),
    config: { ...LIMITED, verdicts: ['deny', 'allow'] },
    out: [`${COUNT} [ immediate reg 0 return ]`],
  },
  {
    name: 'what is not counted is nobody’s decision',
    in: rule(undefined, verdict('accept')),
    config: { ...LIMITED, verdicts: ['deny', 'allow'] },
    out: ['[ immediate reg 0 accept ]'],
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.deepEqual(lowered([row.in], row.config ?? LIMITED), row.out);
  });
}

test('the meaning names who decided and the counter', (t) => {
  const { logged: rules } = withLogging([rule('x', verdict('drop'), SUBJECT)], LIMITED);
  t.deepEqual(
    rules.map(({ meaning }) => meaning),
    [{ ...SUBJECT, verdict: 'deny', counter: 'x' }],
  );
});

test('a rule that matches something else has another id', (t) => {
  const [a, b] = withLogging(
    [
      rule('x', verdict('drop'), SUBJECT),
      {
        ...rule('x', verdict('drop'), SUBJECT),
        exprs: [{ kind: 'counter', name: 'x' }, verdict('drop')],
      },
    ],
    LIMITED,
  ).logged;
  t.not(a?.id, b?.id);
});

test('a verdict stands in a rule of its own, without a bucket, whatever is logged', (t) => {
  const rules = [rule('x', verdict('drop'), SUBJECT), rule('y', REJECT), rule('z', LOG, SUBJECT)];
  for (const { exprs } of withLogging(rules, { ...LIMITED, verdicts: ['deny', 'allow'] }).rules) {
    const kinds = exprs.map(({ kind }) => kind);
    t.false(kinds.includes('limit') && (kinds.includes('verdict') || kinds.includes('reject')));
  }
});

/** What probes get for conditions. */
import test from 'ava';
import { healthOf } from '../../../../agent/obs/health.ts';

const GOOD = { name: 'a', wrong: undefined };
const BAD = { name: 'b', wrong: 'it is broken' };

const ROWS = [
  { name: 'good', in: [[GOOD], false], out: { status: 200, body: 'ok\n' } },
  { name: 'good, verbose', in: [[GOOD], true], out: { status: 200, body: '[+] a\nok\n' } },
  {
    name: 'bad',
    in: [[GOOD, BAD], false],
    out: { status: 503, body: '[-] b: it is broken\nnot ok: b\n' },
  },
  {
    name: 'bad, verbose',
    in: [[GOOD, BAD], true],
    out: { status: 503, body: '[+] a\n[-] b: it is broken\nnot ok: b\n' },
  },
] as const;

for (const { name, in: input, out } of ROWS) {
  test(`health: ${name}`, (t) => {
    const [conditions, isVerbose] = input;
    t.deepEqual(healthOf(conditions, isVerbose), out);
  });
}

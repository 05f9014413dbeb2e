import test from 'ava';
import { TokenBucket } from '../../../../agent/kube/token-bucket.ts';

const ROWS: readonly { name: string; in: readonly number[]; out: string }[] = [
  { name: 'so many at once', in: [0, 0, 0, 0], out: '++--' },
  { name: 'one more when its time has come, not before', in: [0, 0, 29_999, 30_000], out: '++-+' },
  { name: 'never more than it holds', in: [0, 0, 600_000, 600_000, 600_000], out: '++++-' },
  { name: 'a clock that goes back gives nothing', in: [0, 0, -60_000, -60_000], out: '++--' },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const bucket = new TokenBucket(2, 2, 0);
    t.is(row.in.map((nowMs) => (bucket.take(nowMs) ? '+' : '-')).join(''), row.out);
  });
}

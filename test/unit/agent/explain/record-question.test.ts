/** Flow records as questions. */
import test from 'ava';
import { readRecord } from '../../../../agent/explain/record-question.ts';

const ENDS = { src: { ip: '10.0.0.1', kind: 'pod' }, dst: { ip: '10.0.0.2', kind: 'pod' } };
const WORDS = { src: '10.0.0.1', dst: '10.0.0.2' };

const ROWS = [
  {
    name: 'tcp',
    in: { ...ENDS, dst: { ...ENDS.dst, port: 80 }, proto: 'tcp' },
    out: { ...WORDS, service: 'tcp/80' },
  },
  {
    name: 'icmp',
    in: { ...ENDS, proto: 'icmp', icmp: { type: 3, code: 1 } },
    out: { ...WORDS, service: 'icmp/3/1' },
  },
  { name: 'another protocol', in: { ...ENDS, proto: '47' }, out: { ...WORDS, service: '47' } },
] as const;

for (const { name, in: record, out } of ROWS) {
  test(`record: ${name}`, (t) => {
    t.deepEqual(readRecord(JSON.stringify(record)), { value: out });
  });
}

const BAD = ['', '{', '[]', 'null', '{}', '{"src":{"ip":1},"dst":{"ip":"10.0.0.2"},"proto":"tcp"}'];

for (const text of BAD) {
  test(`no record: ${text}`, (t) => {
    t.true('wrong' in readRecord(text));
  });
}

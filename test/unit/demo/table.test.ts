import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import { printTable, type Row } from '../../../demo/table.ts';

const GOOD: Row = {
  client: 'web',
  server: 'intruder',
  service: 'TCP 80',
  expected: 'blocked',
  observed: 'blocked',
  decidedBy: 'gnp/default-deny ingress[0]',
};
const BAD: Row = { ...GOOD, server: 'api', observed: 'only IPv6' };

test('columns are as wide as their widest cell, and what is wrong says so in words', (t) => {
  t.deepEqual(printTable([GOOD, BAD], false).split('\n'), [
    'who     whom      service  expected  observed          decided by',
    '─'.repeat(82),
    'web  →  intruder  TCP 80   blocked   blocked    ok     gnp/default-deny ingress[0]',
    'web  →  api       TCP 80   blocked   only IPv6  WRONG  gnp/default-deny ingress[0]',
  ]);
});

test('colours change nothing but the colour', (t) => {
  const coloured = printTable([GOOD, BAD], true);
  t.is(stripVTControlCharacters(coloured), printTable([GOOD, BAD], false));
});

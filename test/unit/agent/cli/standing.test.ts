import test from 'ava';
import { printAlarms, printOrigin } from '../../../../agent/cli/standing.ts';

const NOTHING = {
  panicOpen: undefined,
  pending: undefined,
  undone: undefined,
  enforced: undefined,
} as const;

for (const { name, in: leftMs, out } of [
  { name: 'it waits', in: 59_001, out: /^\*\*\* NOT CONFIRMED: .*\(me\) is undone in 60 s\./ },
  { name: 'its guard is at it', in: -4_999, out: /^\*\*\* NOT CONFIRMED: .* is being undone/ },
  {
    name: 'its guard is gone',
    in: -60_000,
    out: /^\*\*\* NOT CONFIRMED AND NOT UNDONE: .*\(me\) was over 1 min 0 s ago.*picket confirm --undo/,
  },
]) {
  test(`a change that nobody confirmed is told loudly: ${name}`, (t) => {
    const lines = printAlarms({ ...NOTHING, pending: { origin: 'me', leftMs } });
    t.is(lines.length, 1);
    t.regex(lines[0] ?? '', out);
  });
}

test('where nothing is wrong nothing is said', (t) => {
  t.deepEqual(printAlarms(NOTHING), []);
});

test('while a change waits, the rules in force are its own', (t) => {
  const enforced = { source: 'apply', sinceMs: 0, stateMs: undefined, text: 'before' } as const;
  const pending = { origin: 'me', leftMs: 1 };
  t.is(
    printOrigin({ ...NOTHING, enforced, pending }, 1),
    'those of the last change (me), not confirmed',
  );
  t.regex(printOrigin({ ...NOTHING, enforced }, 1), /^from apply \(before\)/);
});

/** Files that are no manifests, or not yet: what is said of them, and that everything else is enforced all the same. */
import { chmodSync } from 'node:fs';
import { Bench, picket, policy, POWERLESS, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;

/** Nine levels of nine: 387 million values when read naively. */
function aliasBomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level <= 9; level++) {
    const uses = Array.from({ length: 9 }, () => `*a${level - 1}`).join(', ');
    lines.push(`a${level}: &a${level} [${uses}]`);
  }
  return lines.join('\n');
}

const BAD_FILES = [
  {
    name: 'half-written',
    bytes: policy('half').slice(0, -45),
    says: /half-written\.yaml:\d+: error: /,
  },
  {
    name: 'binary',
    bytes: Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2, 3]),
    says: /binary\.yaml: error: the file is binary/,
  },
  {
    name: 'not-text',
    bytes: Buffer.from([0xff, 0xfe, 0xc0]),
    says: /not-text\.yaml: error: .*UTF-8/,
  },
  {
    name: 'large',
    bytes: Buffer.alloc(10 << 20, '# x\n'),
    says: /large\.yaml: error: .*larger than 8 MiB/,
  },
  { name: 'bomb', bytes: aliasBomb(), says: /bomb\.yaml(:\d+)?: error: .*alias/i },
];

kernelTest('each bad file is named, the good ones are enforced: exit 4', CAPS, (t) =>
  Bench.with({ 'web.yaml': WEB, 'policy.yaml': policy('good') }, async (bench) => {
    for (const { name, bytes } of BAD_FILES) bench.write(`${name}.yaml`, bytes);
    const { exitCode, stdout, stderr } = await bench.apply();
    t.is(exitCode, 4);
    for (const { name, says } of BAD_FILES) t.regex(stderr, says, name);
    t.regex(stdout, /^applied: 1 endpoint/);
    t.deepEqual(await bench.policies(), ['good']);
    t.true(stderr.length < 20_000, 'a bad file is not a flood of messages');
  }),
);

kernelTest('bad files alone: nothing is applied, each is named: exit 1', CAPS, (t) =>
  Bench.with({}, async (bench) => {
    for (const { name, bytes } of BAD_FILES) bench.write(`${name}.yaml`, bytes);
    const { exitCode, stderr } = await bench.apply();
    t.is(exitCode, 1);
    for (const { name, says } of BAD_FILES) t.regex(stderr, says, name);
    t.is(await bench.table(), undefined);
  }),
);

kernelTest('an unreadable file is named: exit 1 from lint', ['addon', 'netns'], (t) =>
  Bench.with({ 'web.yaml': WEB, 'secret.yaml': policy('secret') }, async (bench) => {
    chmodSync(bench.path('secret.yaml'), 0);
    const lint = await picket(['lint', '--manifests', bench.manifests], POWERLESS);
    t.is(lint.exitCode, 1);
    t.regex(
      lint.stdout,
      /secret\.yaml: error: the file cannot be read: permission denied \(EACCES\)/,
    );
  }),
);

kernelTest(
  'the same object in two files: both are named, the first in path order wins',
  CAPS,
  (t) => {
    const first = policy('twice');
    const other = `${first}  - {action: Allow, protocol: UDP}\n`;
    const files = { 'web.yaml': WEB, 'b/copy.yaml': other, 'a/copy.yaml': first };
    return Bench.with(files, async (bench) => {
      const { exitCode, stderr } = await bench.apply();
      t.is(exitCode, 4);
      t.regex(stderr, /b\/copy\.yaml:1: error: .*twice.* ignored here: .*a\/copy\.yaml:1/);
      const counters = (await bench.table())?.counters;
      t.true(counters?.has('ingress/gnp/twice/0'));
      t.false(counters?.has('ingress/gnp/twice/1'), 'a rule that only the second file has');
    });
  },
);

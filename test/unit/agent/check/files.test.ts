/** Directories as Picket finds them: nothing is written to find out. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { probeManifests, probeWritable } from '../../../../agent/check/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'picket-check-test-'));
test.after.always(() => rmSync(folder, { recursive: true }));

mkdirSync(join(folder, 'some/below'), { recursive: true });
mkdirSync(join(folder, 'none'));
writeFileSync(join(folder, 'some/a.yaml'), '');
writeFileSync(join(folder, 'some/below/b.json'), '');
writeFileSync(join(folder, 'none/README.md'), '');

const MANIFESTS: readonly { name: string; in: string; out: RegExp }[] = [
  { name: 'with subdirectories', in: join(folder, 'some'), out: /^ok .*: 2 files$/ },
  { name: 'none yet', in: join(folder, 'none'), out: /^warning .* has no manifest/ },
  { name: 'no directory', in: join(folder, 'absent'), out: /^warning .* has no manifest/ },
  { name: 'none configured', in: '', out: /^warning no directory has no manifest/ },
  { name: 'a file', in: join(folder, 'some/a.yaml'), out: /^failed .*ENOTDIR/ },
];

for (const row of MANIFESTS) {
  test(`manifests: ${row.name}`, (t) => {
    const { status, message } = probeManifests(row.in);
    t.regex(`${status} ${message}`, row.out);
  });
}

const WRITABLE: readonly { name: string; in: string; out: RegExp }[] = [
  { name: 'one that is there', in: join(folder, 'none'), out: /^ok .* can be written$/ },
  { name: 'one to be made', in: join(folder, 'none/a/b'), out: /^ok .* will be made$/ },
  { name: 'below a file', in: join(folder, 'some/a.yaml/x'), out: /^failed / },
];

for (const row of WRITABLE) {
  test(`directory: ${row.name}`, (t) => {
    const before = statSync(folder).mtimeMs;
    const { status, message } = probeWritable(row.in);
    t.regex(`${status} ${message}`, row.out);
    t.is(statSync(folder).mtimeMs, before);
  });
}

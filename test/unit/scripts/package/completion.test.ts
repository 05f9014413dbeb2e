/** The completion script in a real bash: what a person gets who presses the tabulator. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { program } from '../../../../agent/cli/program.ts';
import { bashCompletion } from '../../../../scripts/package/completion.ts';
import { kernelTest } from '../../../support/needs.ts';

/** Words typed so far, the last one unfinished, to what is offered. Files: `site.yaml`, and the folders `my policies` and `more`. */
const ROWS: readonly { name: string; in: readonly string[]; out: RegExp }[] = [
  { name: 'every command', in: ['picket', ''], out: /--help,.*,apply,.*check,.*,help,/ },
  { name: 'a command', in: ['picket', 'expl'], out: /^explain$/ },
  { name: 'options of a command', in: ['picket', 'apply', '--no'], out: /^--node$/ },
  { name: 'options are those of the command', in: ['picket', 'cleanup', '--no'], out: /^$/ },
  { name: 'the values of a choice', in: ['picket', 'apply', '-o', ''], out: /^json,text$/ },
  { name: 'one value of a choice', in: ['picket', 'compile', '--emit', 'n'], out: /^nft$/ },
  {
    name: 'directories, with blanks',
    in: ['picket', 'apply', '-m', 'm'],
    out: /^more,my policies$/,
  },
  { name: 'files', in: ['picket', 'run', '--config', 's'], out: /^site\.yaml$/ },
  { name: 'files where a command takes them', in: ['picket', 'test', 'si'], out: /^site\.yaml$/ },
  {
    name: 'nothing for a name that only the user knows',
    in: ['picket', 'run', '--node', 's'],
    out: /^$/,
  },
  { name: 'commands after help', in: ['picket', 'help', 'cl'], out: /^cleanup$/ },
  { name: 'a command that there is not', in: ['picket', 'nonsense', '--x'], out: /^$/ },
];

/** Calls the function as readline does, and prints what it offers. */
const ASK = `
source "$1"; cd "$2"; shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_picket
printf '%s\\n' "\${COMPREPLY[@]}" | sort
`;

for (const row of ROWS) {
  kernelTest(`bash completes ${row.name}`, ['bash'], async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'picket-completion-'));
    try {
      const script = join(folder, 'script');
      const work = join(folder, 'work');
      writeFileSync(script, bashCompletion(program()));
      for (const name of ['my policies', 'more']) mkdirSync(join(work, name), { recursive: true });
      writeFileSync(join(work, 'site.yaml'), '');
      const ask = ['--noprofile', '--norc', '-c', ASK, 'bash', script, work, ...row.in];
      const { stdout, stderr } = await execa('bash', ask, { env: { LC_ALL: 'C' } });
      t.is(stderr, '');
      const offered = stdout.split('\n').filter((line) => line !== '');
      t.regex(offered.join(), row.out);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

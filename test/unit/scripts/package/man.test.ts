/** picket(8) says everything that the command tree and the table of keys have, and renders without a warning. */
import test from 'ava';
import { Command } from 'commander';
import { execa } from 'execa';
import { program } from '../../../../agent/cli/program.ts';
import { CONFIG_NAMES, variableOf } from '../../../../agent/config/keys.ts';
import { manPage, visibleCommands } from '../../../../scripts/package/man.ts';
import { kernelTest } from '../../../support/needs.ts';

const DATE = new Date(Date.UTC(2026, 0, 2));

/** Its words as a reader sees them, without a renderer. */
function plain(source: string): string {
  return source.replaceAll('\\-', '-').replaceAll('\\e', '\\');
}

test('it is made from the whole tree', (t) => {
  const tree = program();
  const text = plain(manPage(tree, '1.2.3', DATE));
  t.regex(text, /^\.TH PICKET 8 "2026-01-02" "picket 1\.2\.3"/);
  for (const command of visibleCommands(tree)) {
    t.true(text.includes(`\n.SS picket ${command.name()} `), command.name());
    for (const { flags } of command.options) t.true(text.includes(`\n.B ${flags}\n`), flags);
  }
  t.true(visibleCommands(tree).length > 8);
  t.false(text.includes('.SS picket guard'), 'what help hides is hidden here too');
  for (const name of CONFIG_NAMES) {
    t.true(text.includes(`\n.B ${name}\n`), name);
    t.true(text.includes(variableOf(name)), name);
  }
});

/** A description to the lines it becomes. */
const ROWS: readonly { name: string; in: string; out: string }[] = [
  { name: 'hyphens stay hyphens', in: 'a --long option', out: 'a \\-\\-long option' },
  { name: 'backslashes stay', in: 'a\\b', out: 'a\\eb' },
  { name: 'no line is a request', in: '.so /etc/passwd', out: '\\&.so /etc/passwd' },
  { name: 'nor with the other character', in: "'tis", out: "\\&'tis" },
  { name: 'other letters by number', in: 'FILE…', out: 'FILE\\[u2026]' },
];

for (const row of ROWS) {
  test(`text: ${row.name}`, (t) => {
    const tree = new Command('picket').description('x');
    tree.addCommand(new Command('do').description(`first\n${row.in}`));
    t.true(manPage(tree, '1', DATE).includes(`\n${row.out}\n`));
  });
}

kernelTest('groff renders it without a warning', ['groff'], async (t) => {
  const input = manPage(program(), '1', DATE);
  const { stdout, stderr } = await execa('groff', ['-man', '-ww', '-Tutf8', '-P-cbou'], { input });
  t.is(stderr, '');
  t.regex(stdout, /^NAME\n +picket . network policies/m);
  t.regex(stdout, /^ +picket explain \[options\] <src> \[dst\]/m);
});

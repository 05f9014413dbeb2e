/** `--help` of every command, as an 80-column terminal shows it. */
import test from 'ava';
import { program } from '../../../../agent/cli/program.ts';

const root = program();

for (const command of [root, ...root.commands]) {
  const text = command.configureOutput({ getOutHelpWidth: () => 80 }).helpInformation();
  const [, ...paragraphs] = text.split('\n\n');

  test(`${command.name()}: lines are filled, and flags say no default`, (t) => {
    const [description = ''] = paragraphs;
    const lines = description.split('\n');
    for (const [index, line] of lines.entries()) {
      const next = lines[index + 1];
      const [word = ''] = next?.split(' ') ?? [];
      // A break before its time was written by hand; what is indented is a list.
      if (word !== '' && !line.endsWith(':')) t.true(line.length + word.length >= 79, text);
    }
    t.false(text.includes('default: false'), text);
  });
}

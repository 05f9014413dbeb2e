import test from 'ava';
import { plainLine, plainText } from '../../../../agent/obs/plain-text.ts';

for (const { name, in: text, out } of [
  { name: 'words', in: 'shop/web → ü 😀\tx', out: 'shop/web → ü 😀\tx' },
  { name: 'colour', in: '\u001b[31mred', out: String.raw`\u001b[31mred` },
  { name: 'a C1 control', in: '\u009b2J', out: String.raw`\u009b2J` },
  { name: 'a return to the start', in: 'a\rb\u007f', out: String.raw`a\u000db\u007f` },
  { name: 'writing from right to left', in: 'a\u202eb', out: String.raw`a\u202eb` },
]) {
  test(`what a terminal would act on is shown: ${name}`, (t) => {
    t.is(plainText(text), out);
    t.is(plainLine(text), out);
  });
}

test('only as one line is a line break shown', (t) => {
  t.is(plainText('a\nb'), 'a\nb');
  t.is(plainLine('a\nb'), String.raw`a\nb`);
});

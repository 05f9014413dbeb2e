import { Readable } from 'node:stream';
import test from 'ava';
import * as fc from 'fast-check';
import { TooLarge, readLines, readText } from '../../../../agent/kube/body.ts';

const LIMITS = { idleMs: 10_000, maxBytes: 1000 };

/** The text in pieces that end at these places, whatever they split. */
function bodyOf(text: string, cuts: readonly number[] = []): Readable {
  const bytes = Buffer.from(text);
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])];
  places.sort((a, b) => a - b);
  return Readable.from(
    places.slice(1).map((place, index) => bytes.subarray(places[index], place)),
    { objectMode: false },
  );
}

async function linesOf(body: Readable, limits = LIMITS): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(body, limits)) lines.push(line);
  return lines;
}

test('lines are the same however their bytes are cut', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 8 }), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      async (texts, cuts) => {
        const lines = texts.map((text) => text.replaceAll('\n', '')).filter((text) => text !== '');
        const text = lines.map((line) => `${line}\n`).join('');
        t.deepEqual(await linesOf(bodyOf(text, cuts)), lines);
        t.is(await readText(bodyOf(text, cuts), { ...LIMITS, maxBytes: 9999 }), text);
      },
    ),
  );
});

test('half a line at the end is a broken answer, not a line', async (t) => {
  await t.throwsAsync(linesOf(bodyOf('a\nb')), { message: /broke off inside a line/ });
});

test('what is too long is refused before it is there as a whole', async (t) => {
  let sent = 0;
  const endless = Readable.from(
    (function* () {
      for (;;) {
        sent += 100;
        yield Buffer.alloc(100, 'x');
      }
    })(),
    { objectMode: false, highWaterMark: 100 },
  );
  await t.throwsAsync(linesOf(endless), { instanceOf: TooLarge });
  t.true(sent < 5000);
  await t.throwsAsync(readText(bodyOf('x'.repeat(1001)), LIMITS), { instanceOf: TooLarge });
  await t.throwsAsync(linesOf(bodyOf(`${'x'.repeat(1001)}\n`)), { instanceOf: TooLarge });
});

test('silence ends it; a reader that takes its time does not', async (t) => {
  const limits = { idleMs: 20, maxBytes: 1000 };
  const silent = new Readable({ read: () => undefined });
  silent.push('a\n');
  await t.throwsAsync(linesOf(silent, limits), { message: /nothing came for 0.02 s/ });
  const lines: string[] = [];
  for await (const line of readLines(bodyOf('a\nb\nc\n', [2, 4]), limits)) {
    await new Promise((resolve) => {
      setTimeout(resolve, 40);
    });
    lines.push(line);
  }
  t.deepEqual(lines, ['a', 'b', 'c']);
});

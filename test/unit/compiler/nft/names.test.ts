import test from 'ava';
import * as fc from 'fast-check';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { shortHash } from '../../../../compiler/hash.ts';
import { identityHash, objectName } from '../../../../compiler/nft/names.ts';
import { MAX_NAME_LENGTH } from '../../../../compiler/nft/program.ts';
import { namespaceObject, openEngine, pod, put, v3 } from '../../../support/raw-events.ts';

const LONG = 'n'.repeat(200);

const ROWS: readonly { name: string; in: readonly string[]; out: RegExp }[] = [
  {
    name: 'short and legal: as it is',
    in: ['ingress4', 'np/shop/web.a-b'],
    out: /^ingress4\/np\/shop\/web\.a-b$/,
  },
  { name: 'underscores are legal', in: ['ports', '80_443'], out: /^ports\/80_443$/ },
  {
    name: 'too long: cut, and a digest',
    in: ['ingress4', LONG],
    out: /^ingress4\/n{69}__[0-9a-f]{40}$/,
  },
  {
    name: 'illegal characters: replaced, and a digest',
    in: ['a b"é'],
    out: /^a_b____[0-9a-f]{40}$/,
  },
  { name: 'the mark of a digest: another digest', in: ['a__b'], out: /^a__b__[0-9a-f]{40}$/ },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.regex(objectName(...row.in), row.out);
  });
}

const arbitraryText = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', '_', '/', '.', '-', ' ', 'é'),
    minLength: 1,
    maxLength: 8,
  }),
  fc.nat(3).map((n) => `${LONG}${n}`),
);

test('different texts have different names, even where one spells what the other became', (t) => {
  const property = fc.property(
    fc.array(arbitraryText, { minLength: 1, maxLength: 30 }),
    (texts) => {
      const all = new Set(
        texts.flatMap((text) => [text, objectName(text), objectName(objectName(text))]),
      );
      const names = new Set([...all].map((text) => objectName(text)));
      t.is(names.size, all.size);
      for (const name of names) t.regex(name, /^[A-Za-z0-9/_.-]+$/);
      for (const name of names) t.true(name.length <= MAX_NAME_LENGTH);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

/** Found by trying names: SHA-256 of their chains' names begins alike. */
const ALIKE = {
  stem: `${'p'.repeat(120)}-`,
  first: '23293874',
  second: '27824215',
  bits: 48,
} as const;

test('policies whose digests begin alike keep chains, counters and rules of their own', async (t) => {
  const [allowed, denied] = [ALIKE.stem + ALIKE.first, ALIKE.stem + ALIKE.second];
  const digits = ALIKE.bits / 4;
  const [a, b] = [`ingress4/gnp/${allowed}`, `ingress4/gnp/${denied}`];
  t.is(shortHash(a, digits), shortHash(b, digits), 'they do');
  t.not(objectName(a), objectName(b));
  t.not(identityHash([a]), identityHash([b]));

  const fake = new FakeDataplane();
  const engine = openEngine(fake);
  engine.take(
    [
      namespaceObject('shop'),
      pod('shop/a', ['10.1.0.1'], { labels: { app: 'a' } }),
      pod('shop/b', ['10.1.0.2'], { labels: { app: 'b' } }),
      policy(allowed, 'a', 'Allow'),
      policy(denied, 'b', 'Deny'),
    ].map(put),
  );
  await engine.apply();
  const chains = (await fake.dump())?.chains;
  t.is(chains?.get(objectName(a))?.rules[0]?.origin, `gnp/${allowed} ingress[0]`);
  t.is(chains?.get(objectName(b))?.rules[0]?.origin, `gnp/${denied} ingress[0]`);
  t.deepEqual(chains?.get(objectName(a))?.rules[0]?.exprs.at(-1), {
    kind: 'verdict',
    verdict: { kind: 'accept' },
  });
  t.deepEqual(chains?.get(objectName(b))?.rules[0]?.exprs.at(-1), {
    kind: 'verdict',
    verdict: { kind: 'drop' },
  });
});

function policy(name: string, app: string, action: string): object {
  return v3('GlobalNetworkPolicy', name, { selector: `app == '${app}'`, ingress: [{ action }] });
}

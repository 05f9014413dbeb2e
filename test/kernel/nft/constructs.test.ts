/** nft itself, the kernel and our encoder agree on every construct of constructs.ts. */
import type { ExecutionContext } from 'ava';
import { commit, dumpTable, type TableDump } from '../../../agent/netlink/request.ts';
import { chainKey, counterKey, elementKey, ruleKey, setKey } from '../../../compiler/nft/key.ts';
import { printRule } from '../../../compiler/nft/print.ts';
import type { NftOp } from '../../../compiler/nft/program.ts';
import { CHAINS, COUNTER, RULES, SETS, nftFile } from './constructs.ts';
import { inLab, refusalsOf, type Lab } from './lab.ts';

/** The notation and the listing drift between releases. */
const NFT_VERSION = 'v1.0.6';
const origin = 'test';

/** Everything in an order the kernel accepts: referents first. */
const OPS: readonly NftOp[] = [
  { op: 'add-table', origin },
  { op: 'add-counter', counter: COUNTER, origin },
  ...SETS.map(({ set }): NftOp => ({ op: 'add-set', set, origin })),
  ...SETS.filter(({ set }) => !set.verdictMap).map(({ set, elements }): NftOp => ({
    op: 'add-elements',
    set,
    elements,
    origin,
  })),
  ...CHAINS.map((chain): NftOp => ({ op: 'add-chain', chain, origin })),
  ...CHAINS.flatMap((chain) =>
    chain.rules.map((rule): NftOp => ({ op: 'add-rule', chain: chain.name, rule, origin })),
  ),
  ...SETS.filter(({ set }) => set.verdictMap).map(({ set, elements }): NftOp => ({
    op: 'add-elements',
    set,
    elements,
    origin,
  })),
];

async function isPinnedNft(t: ExecutionContext, lab: Lab): Promise<boolean> {
  const version = await lab.nft(['--version']);
  if (version.includes(NFT_VERSION)) return true;
  t.log(`not compared: ${version} prints otherwise than ${NFT_VERSION}`);
  t.pass();
  return false;
}

async function committed(t: ExecutionContext, lab: Lab): Promise<TableDump> {
  t.deepEqual(refusalsOf(await commit(lab.socket, OPS)), []);
  const dump = await dumpTable(lab.socket);
  if (dump === undefined) throw new Error('no table after a commit');
  return dump;
}

/** Rules of the chain as nft compiles them, one text per rule. */
function compiledRules(debug: string, chain: string): string[] {
  return debug
    .split(new RegExp(`^inet picket ${chain}\\n`, 'm'))
    .slice(1)
    .map((text) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('  '))
        // On one byte it changes nothing; nft emits it for `meta l4proto` in concatenated ranges.
        .filter((line) => !line.includes('[ byteorder '))
        .join('\n'),
    );
}

inLab('our text of every rule is what nft compiles it to', async (t, lab) => {
  if (!(await isPinnedNft(t, lab))) return;
  const debug = await lab.nft(['-c', '--debug=netlink', '-f', '-'], nftFile());
  const compiled = compiledRules(debug, 'stage');
  t.is(compiled.length, RULES.length);
  for (const [index, { nft, exprs }] of RULES.entries()) {
    t.is(compiled[index], printRule({ exprs, comment: `rule ${index}` }), nft);
  }
});

inLab('what we commit is listed as the text it stands for', async (t, lab) => {
  await committed(t, lab);
  const listing = await lab.nft(['list', 'ruleset']);
  const json: unknown = JSON.parse(await lab.nft(['-j', 'list', 'ruleset']));
  t.is(typeof json, 'object');
  if (!(await isPinnedNft(t, lab))) return;
  const flat = listing.replace(/\s+/g, ' ');
  for (const { set, nft } of SETS) t.true(flat.includes(nft), `${set.name} in:\n${listing}`);
  const lines = listing.split('\n').map((line) => line.trim());
  const rules = lines.filter((line) => / comment "rule \d+"$/.test(line));
  t.deepEqual(
    rules,
    RULES.map(({ nft }, index) => `${nft} comment "rule ${index}"`),
  );
  t.true(flat.includes(`counter hits { comment "${COUNTER.comment}" packets 0 bytes 0 }`), listing);
  t.true(flat.includes('type filter hook forward priority filter + 1; policy accept;'), listing);
});

inLab('what we commit is read back with the keys it was sent with', async (t, lab) => {
  const dump = await committed(t, lab);
  t.deepEqual([...dump.sets.keys()].toSorted(), SETS.map(({ set }) => set.name).toSorted());
  t.deepEqual([...dump.chains.values()].map(chainKey).toSorted(), CHAINS.map(chainKey).toSorted());
  for (const { set, elements } of SETS) {
    const got = dump.sets.get(set.name);
    t.is(got && setKey(got), setKey(set));
    t.deepEqual(
      [...(dump.elements.get(set.name)?.keys() ?? [])].toSorted(),
      elements.map((element) => elementKey(set, element)).toSorted(),
      set.name,
    );
  }
  t.deepEqual([...dump.counters.values()].map(counterKey), [counterKey(COUNTER)]);
  t.deepEqual([...dump.counterValues], [['hits', { packets: 0n, bytes: 0n }]]);
});

inLab("what nft makes of the text is read with our objects' keys", async (t, lab) => {
  if (!(await isPinnedNft(t, lab))) return;
  await lab.nft(['-f', '-'], nftFile());
  const dump = await dumpTable(lab.socket);
  const rules = dump?.chains.get('stage')?.rules ?? [];
  t.is(rules.length, RULES.length);
  for (const [index, { nft, exprs }] of RULES.entries()) {
    const rule = rules[index];
    const byteorder = rule?.exprs.filter((expr) => expr.kind === 'foreign').length ?? 0;
    if (byteorder > 0) t.regex(nft, /meta l4proto \. th dport/);
    const ours = rule?.exprs.filter((expr) => expr.kind !== 'foreign') ?? [];
    t.is(
      ruleKey({ exprs: ours, comment: rule?.comment }),
      ruleKey({ exprs, comment: `rule ${index}` }),
    );
  }
  for (const { set, elements } of SETS) {
    const got = dump?.sets.get(set.name);
    t.is(got && setKey(got), setKey(set));
    t.deepEqual(
      [...(dump?.elements.get(set.name)?.keys() ?? [])].toSorted(),
      elements.map((element) => elementKey(set, element)).toSorted(),
      set.name,
    );
  }
});

inLab(
  'everything can be sent again, emptied and removed in one transaction each',
  async (t, lab) => {
    await committed(t, lab);
    const again = OPS.filter(({ op }) => op !== 'add-rule' && op !== 'add-elements');
    const elementsAgain = OPS.filter((op) => op.op === 'add-elements' && !op.set.constant);
    t.deepEqual(refusalsOf(await commit(lab.socket, [...again, ...elementsAgain])), []);
    const removal: NftOp[] = [
      ...SETS.filter(({ set }) => !set.constant).map(({ set, elements }): NftOp => ({
        op: 'delete-elements',
        set,
        elements,
        origin,
      })),
      ...CHAINS.map(({ name }): NftOp => ({ op: 'flush-chain', name, origin })),
      ...CHAINS.map(({ name }): NftOp => ({ op: 'delete-chain', name, origin })),
      ...SETS.map(({ set }): NftOp => ({ op: 'delete-set', name: set.name, origin })),
      { op: 'delete-counter', name: COUNTER.name, origin },
    ];
    t.deepEqual(refusalsOf(await commit(lab.socket, removal)), []);
    const left = await dumpTable(lab.socket);
    t.deepEqual([left?.chains.size, left?.sets.size, left?.counters.size], [0, 0, 0]);
    t.deepEqual(refusalsOf(await commit(lab.socket, [{ op: 'delete-table', origin }])), []);
    t.is(await dumpTable(lab.socket), undefined);
  },
);

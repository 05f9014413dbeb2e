/** `picket run` while others meddle with its table: repaired, and logged with who did it. Its own table only. */
import { Bench, picket, policy, until, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon', 'nft'] as const;
const GOOD = { 'web.yaml': WEB, 'policy.yaml': policy('kept') };

const MEDDLING = [
  { name: 'flush ruleset', nft: ['flush', 'ruleset'] },
  { name: 'delete our table', nft: ['delete', 'table', 'inet', 'picket'] },
  { name: 'flush our table', nft: ['flush', 'table', 'inet', 'picket'] },
  {
    name: 'a rule of theirs in front',
    nft: ['insert', 'rule', 'inet', 'picket', 'input', 'accept'],
  },
  { name: 'a chain of theirs', nft: ['add', 'chain', 'inet', 'picket', 'theirs'] },
  {
    name: 'an element that lets traffic out of anywhere',
    nft: ['add', 'element', 'inet', 'picket', 'interfaces', '{ "eth9" }'],
  },
  { name: 'our table put to sleep', nft: ['add', 'table', 'inet', 'picket', '{ flags dormant; }'] },
  {
    name: 'a base chain that drops what no rule judges',
    nft: ['add', 'chain', 'inet', 'picket', 'input', '{ policy drop; }'],
  },
  {
    name: 'a verdict map of theirs, the chain it leads to, and a rule that uses it',
    nft: [
      'add chain inet picket t1; add chain inet picket t2; ' +
        'add map inet picket m { type ipv4_addr : verdict; elements = { 192.0.2.7 : goto t1 }; }; ' +
        'add rule inet picket t2 ip saddr vmap @m',
    ],
  },
  { name: 'a dispatch element less', nft: ['flush', 'map', 'inet', 'picket', 'to-interface'] },
] as const;

kernelTest('run: repairs its table, and logs the process that changed it', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const agent = await bench.startApplied();
    const good = await bench.nft('-s', 'list', 'ruleset');
    const repairedMs: number[] = [];
    for (const { name, nft } of MEDDLING) {
      const seen = agent.log().length;
      const generation = await bench.generation();
      const start = Date.now();
      await bench.nft(...nft);
      const line = await agent.logged(/was changed by someone else, repairing/, seen);
      t.regex(String(line['by']), /^nft \(pid \d+\)$/, name);
      await agent.logged(/^applied/, seen);
      repairedMs.push(Date.now() - start);
      t.is(sorted(await bench.nft('-s', 'list', 'ruleset')), sorted(good), name);
      t.is(await bench.generation(), generation + 2, `${name}: one repair for one change`);
    }
    const seen = agent.log().length;
    await picket(['cleanup', '--netns', bench.netns.path]);
    const line = await agent.logged(/was changed by someone else, repairing/, seen);
    t.regex(String(line['by']), /^picket \(pid \d+\)$/, 'by its own name');
    await agent.logged(/^applied/, seen);
    t.log(`from the start of nft to the repair: ${repairedMs.join(', ')} ms`);
    t.is((await agent.stop()).exitCode, 0);
  }),
);

/** A repaired table has its chains in another order. */
function sorted(ruleset: string): string {
  return ruleset.split('\n').toSorted().join('\n');
}

kernelTest('run: tables of others are neither read nor changed', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const theirs =
      'table ip nat { chain c { type nat hook postrouting priority 100; masquerade; }; }';
    await bench.nft(theirs);
    const before = await bench.nft('list', 'table', 'ip', 'nat');
    const agent = await bench.startApplied();
    const lines = agent.log().length;
    await bench.nft('add', 'chain', 'ip', 'nat', 'more');
    await bench.nft('delete', 'chain', 'ip', 'nat', 'more');
    bench.write('policy.yaml', policy('other'));
    await bench.untilPolicies('other');
    await until('the log of it', () => agent.log().length > lines);
    t.deepEqual(
      agent.log().filter(({ msg }) => msg?.includes('someone else')),
      [],
    );
    t.is(await bench.nft('list', 'table', 'ip', 'nat'), before);
  }),
);

kernelTest('run: somebody who changes it all the time does not win', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const agent = await bench.startApplied();
    for (let i = 0; i < 20; i++) await bench.nft('flush', 'ruleset');
    bench.write('policy.yaml', policy('last'));
    await bench.untilPolicies('last');
    t.is((await agent.stop()).exitCode, 0);
    t.deepEqual(await bench.policies(), ['last']);
  }),
);

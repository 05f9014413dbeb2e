/** Quirks of specification section 11.2 in which the kernel has a say: what Picket sends is taken, and means what the manifest says. */
import { globalPolicy, packetOf, withNode } from '../support/kernel-node.ts';
import type { KernelNode } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';
import { requireSystemTool } from '../support/tools.ts';

const A = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const NEEDS = ['netns', 'cc', 'addon'] as const;
const CODES = [0, 1] as const;

function egress(...rules: readonly object[]): object {
  return globalPolicy('p', { selector: "app == 'a'", types: ['Egress'], egress: rules });
}

/** Which of the ICMP types 8 and 13 with codes 0 and 1 (ICMPv6: 128 and 129) leave the pod, as `type/code`. */
async function leaving(node: KernelNode): Promise<string[]> {
  const ends = [
    { from: '10.0.0.1', to: '203.0.113.9', protocol: 1, types: [8, 13] },
    { from: 'fd00::1', to: '2001:db8::9', protocol: 58, types: [128, 129] },
  ];
  const sent = ends.flatMap(({ from, to, protocol, types }) =>
    types.flatMap((type) =>
      CODES.map((code) => packetOf({ from, to, protocol, icmp: [type, code] })),
    ),
  );
  await node.fabric.forgetConnections();
  const arrived = await node.fabric.probe(sent.map((packet) => ({ from: 'a', packet })));
  return sent
    .filter((_, index) => arrived[index])
    .map(({ icmpType, icmpCode }) => `${icmpType}/${icmpCode}`);
}

kernelTest('Q6, Q7: ICMP type with code, plain and negated', NEEDS, (t) =>
  withNode({ pods: [A], base: { dropInvalid: false } }, async (node) => {
    node.put(
      egress(
        { action: 'Allow', protocol: 'ICMP', icmp: { type: 8, code: 1 } },
        { action: 'Allow', protocol: 'ICMPv6', icmp: { type: 128, code: 0 } },
      ),
    );
    await node.apply();
    t.deepEqual(await leaving(node), ['8/1', '128/0']);
    node.put(
      egress(
        { action: 'Allow', protocol: 'ICMP', notICMP: { type: 8, code: 1 } },
        { action: 'Allow', protocol: 'ICMPv6', notICMP: { type: 128, code: 0 } },
      ),
    );
    await node.apply();
    t.deepEqual(await leaving(node), ['8/0', '13/0', '13/1', '128/1', '129/0', '129/1']);
  }),
);

kernelTest('Q9: the longest policy name can log', NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    const rules = [{ action: 'Log' }, { action: 'Deny' }];
    node.put(
      globalPolicy('n'.repeat(253), { selector: "app == 'a'", types: ['Egress'], egress: rules }),
    );
    const { quarantined } = await node.apply();
    t.deepEqual(quarantined, []);
    t.deepEqual(await leaving(node), []);
  }),
);

kernelTest(
  'Q17: a rule that somebody replaced under the same comment is repaired',
  [...NEEDS, 'nft'],
  (t) =>
    withNode({ pods: [A] }, async (node) => {
      node.put(egress({ action: 'Deny' }));
      await node.apply();
      const nft = requireSystemTool('nft');
      const chain = [...node.engine.table.chains.desired.keys()].find((name) =>
        name.startsWith('egress4/gnp/p'),
      );
      const list = await node.fabric.router.run(nft, [
        '-a',
        'list',
        'chain',
        'inet',
        'picket',
        chain ?? '',
      ]);
      const handle = /drop .*# handle (\d+)/.exec(list)?.[1];
      const rule = `inet picket ${chain} handle ${handle}`;
      await node.fabric.router.run(nft, ['-f', '-'], `replace rule ${rule} counter accept`);
      t.not((await leaving(node)).length, 0);
      node.engine.doubt();
      await node.apply();
      t.deepEqual(await leaving(node), []);
    }),
);

/** Service-loop prevention with real packets: what is forwarded to a service prefix ends here, everything else goes on. */
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { plan } from '../../agent/dataplane/plan.ts';
import { loadNative } from '../../agent/native/native.ts';
import { toAddress, toCidr } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import { Table } from '../../compiler/nft/table.ts';
import { Fabric } from '../support/fabric.ts';
import { kernelTest } from '../support/needs.ts';
import { requireSystemTool } from '../support/tools.ts';

/** No workload prefix matches, so only the stage under test judges. */
const WORKLOADS = [{ name: 'a', ifname: 'veth-a', addresses: ['10.0.0.1', 'fd00::1'] }];

const ROWS = [
  { source: '10.0.0.1', destination: '10.96.7.7', arrives: false },
  { source: '10.0.0.1', destination: '10.112.0.1', arrives: true },
  { source: 'fd00::1', destination: 'fd00:96::7', arrives: false },
  { source: 'fd00::1', destination: '2001:db8::9', arrives: true },
] as const;

function address(text: string): Address {
  const found = toAddress(text);
  if (found === undefined) throw new Error(text);
  return found;
}

for (const action of ['drop', 'reject'] as const) {
  kernelTest(
    `packets to service prefixes meet ${action}`,
    ['root', 'netns', 'cc', 'nft'],
    async (t) => {
      const fabric = await Fabric.create({ workloads: WORKLOADS });
      const dataplane = new NetlinkDataplane(loadNative(), fabric.router.path);
      try {
        const table = new Table();
        const cidrs = ['10.96.0.0/12', 'fd00:96::/112'].flatMap((text) => toCidr(text) ?? []);
        const compiler = new TableCompiler(table, {
          ...DEFAULT_BASE_CONFIG,
          serviceLoop: { cidrs, action },
        });
        t.is(compiler.lowered, 0);
        const result = await dataplane.commit(plan(table));
        t.true(result.ok);
        const arrived = await fabric.probe(
          ROWS.map(({ source, destination }) => ({
            from: 'a',
            packet: {
              family: address(source).family,
              saddr: address(source),
              daddr: address(destination),
              protocol: 17,
              sport: 40_000,
              dport: 80,
              icmpType: undefined,
              icmpCode: undefined,
            },
          })),
        );
        t.deepEqual(
          arrived,
          ROWS.map(({ arrives }) => arrives),
        );
        const nft = requireSystemTool('nft');
        const listed = await fabric.router.run(nft, ['list', 'table', 'inet', 'picket']);
        t.regex(
          listed,
          action === 'drop' ? /service-loop" drop/ : /service-loop" reject with icmpx/,
        );
        t.regex(listed, /counter forward\/service-loop \{\s+packets 2/);
      } finally {
        dataplane.close();
        await fabric.close();
      }
    },
  );
}

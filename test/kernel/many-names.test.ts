/** As many named ports as one list may have (specification section 4.2): rules of the longest kind, judged by real packets. */
import { globalPolicy, packetOf, podObject, withNode } from '../support/kernel-node.ts';
import type { PodSpec } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';
import { NODE } from '../support/world.ts';

const A: PodSpec = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const B: PodSpec = { name: 'b', addresses: ['10.0.0.2', 'fd00::2'] };
const NAMES = Array.from({ length: 50 }, (_, i) => `p${i}`);
const PORTS = NAMES.map((name, i) => ({ name, containerPort: 1000 + i, protocol: 'TCP' }));

kernelTest(
  '50 names in every list of ports are few rules that the kernel takes',
  ['netns', 'cc', 'addon'],
  (t) =>
    withNode({ pods: [A, B] }, async (node) => {
      const withPorts = [A, B].map((pod) => ({
        ...podObject(pod),
        spec: { nodeName: NODE, containers: [{ name: 'c', image: 'i', ports: PORTS }] },
      }));
      node.put(
        ...withPorts,
        globalPolicy('names', {
          selector: "app == 'b'",
          ingress: [
            { action: 'Log', protocol: 'TCP', destination: { ports: NAMES } },
            {
              action: 'Log',
              protocol: 'TCP',
              source: { ports: NAMES },
              destination: { ports: NAMES, notPorts: NAMES },
            },
            {
              action: 'Allow',
              protocol: 'TCP',
              source: { notPorts: NAMES },
              destination: { notPorts: NAMES },
            },
          ],
        }),
      );
      const { quarantined } = await node.apply();
      t.deepEqual(quarantined, []);
      const chain = node.engine.table.chains.desired.get('ingress4/gnp/names');
      t.is(chain?.rules.length, 3, 'not one per pair of names');
      for (const [from, to] of [
        ['10.0.0.1', '10.0.0.2'],
        ['fd00::1', 'fd00::2'],
      ] as const) {
        t.true(await node.passes('a', packetOf({ from, to, dport: 999 })));
        t.true(await node.passes('a', packetOf({ from, to, dport: 1050 })));
        t.false(await node.passes('a', packetOf({ from, to, dport: 1000 })));
        t.false(await node.passes('a', packetOf({ from, to, dport: 1049 })));
        t.false(await node.passes('a', packetOf({ from, to, sport: 1049, dport: 999 })));
      }
    }),
);

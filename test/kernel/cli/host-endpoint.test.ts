/** `picket run` with host endpoints: interfaces and addresses that come and go are followed, and a restart finds everything in place. */
import { compareUtf8 } from '../../../compiler/model/text-order.ts';
import { Bench, NODE, until } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';
import { runIp } from '../../support/netns.ts';

const HOST = `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: found, labels: {role: node}}
spec: {node: ${NODE}, expectedIPs: [192.0.2.7, '2001:db8::7']}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: web}
spec:
  selector: role == 'node'
  types: [Ingress]
  ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]
`;

kernelTest(
  'run: a host endpoint is found by its addresses, wherever they are',
  ['netns', 'addon'],
  (t) =>
    Bench.with({ 'host.yaml': HOST }, async (bench) => {
      const agent = await bench.startApplied();
      const untilOn = (wanted: string): Promise<void> =>
        until(`host endpoint on ${wanted}`, async () => {
          const elements = (await bench.table())?.elements.get('host-ingress');
          // The kernel lists a hash set in an order of its own.
          const present = [...(elements?.values() ?? [])].map(({ key }) => String(key[0]));
          return present.sort(compareUtf8).join() === wanted;
        });
      await untilOn('');
      await runIp(bench.netns, [
        'link add d0 type veth peer name d1',
        'addr add 192.0.2.7/24 dev d0',
      ]);
      await untilOn('d0');
      await runIp(bench.netns, ['link set d0 name d9']);
      await untilOn('d9');
      await runIp(bench.netns, ['addr add 2001:db8::7/64 dev d1 nodad']);
      await untilOn('d1,d9');
      await runIp(bench.netns, ['addr del 192.0.2.7/24 dev d9']);
      await untilOn('d1');
      await agent.stop('SIGKILL');
      const generation = await bench.generation();
      const again = bench.start();
      await again.logged(/^in sync/);
      t.is(await bench.generation(), generation, 'a restart changes nothing');
      await runIp(bench.netns, ['link del d1']);
      await untilOn('');
    }),
);

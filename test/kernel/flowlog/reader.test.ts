/** The reader on the kernel's own NFLOG: real packets into a rule that logs, in a network namespace. */
import { NflogReader } from '../../../agent/flowlog/nflog-reader.ts';
import { FlowWindow } from '../../../agent/flowlog/window.ts';
import { printAddress } from '../../../compiler/model/ip.ts';
import { testAddon } from '../../support/addon.ts';
import { until } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';
import { openNetns } from '../../support/netns.ts';
import { requireSystemTool } from '../../support/tools.ts';

const RULES = `table inet t {
chain c {
  type filter hook output priority 0;
  udp dport 9 log prefix "De/np/shop/x/0#01234567" group 5 snaplen 128
}
}
`;

/** Sends UDP to ::1 and 127.0.0.1 from bash, whose /dev/udp needs no other tool. */
const sendUdp = (count: number): string =>
  `for i in $(seq ${count}); do echo x >/dev/udp/127.0.0.1/9; done; echo x >/dev/udp/::1/9`;

kernelTest(
  'packets arrive with rule and addresses, none lost',
  ['netns', 'nft', 'addon'],
  async (t) => {
    const netns = await openNetns();
    const window = new FlowWindow(100);
    const options = { netnsPath: netns.path, group: 5, copyRangeBytes: 128 };
    const onPacket = window.add.bind(window);
    const reader = await NflogReader.open(testAddon(), {
      ...options,
      onPacket: (view) => onPacket(view, Date.now()),
    });
    try {
      await netns.run(requireSystemTool('ip'), ['link', 'set', 'lo', 'up']);
      await netns.run(requireSystemTool('nft'), ['-f', '-'], RULES);
      await netns.run(requireSystemTool('bash'), ['-c', sendUdp(50)]);
      await until('all packets', () => reader.counts.received >= 51);
      t.deepEqual(reader.counts, { received: 51, lost: 0, overruns: 0 });
      const { flows } = window.take();
      t.deepEqual(
        flows.map(({ ruleId, source, destination, dport, count, hook, outputIndex }) => {
          const [from, to] = [source, destination].map((a) => a && printAddress(a));
          return { ruleId, from, to, dport, count, hook, outputIndex };
        }),
        [['127.0.0.1', 50] as const, ['::1', 1] as const].map(([address, count]) => ({
          ruleId: 'De/np/shop/x/0#01234567',
          from: address,
          to: address,
          dport: 9,
          count,
          hook: 3,
          outputIndex: 1,
        })),
      );
      const second = NflogReader.open(testAddon(), { ...options, onPacket: () => undefined });
      await t.throwsAsync(second, {
        message: /log group 5: EPERM .*another process reads this group/,
      });
    } finally {
      reader.close();
      await netns.close();
    }
  },
);

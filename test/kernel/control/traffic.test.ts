/** Real packets seen through the agent: what rules have counted, metrics, health, why and explain. */
import { FlowBench } from '../../support/flow-bench.ts';
import { freeAddress, get } from '../../support/http.ts';
import { globalPolicy } from '../../support/kernel-node.ts';
import type { PodSpec } from '../../support/kernel-node.ts';
import { kernelTest } from '../../support/needs.ts';

const NEEDS = ['netns', 'cc', 'addon'] as const;
const WEB: PodSpec = { name: 'web', addresses: ['10.0.0.1'] };
const DB: PodSpec = { name: 'db', addresses: ['10.0.0.2'] };
const POLICY = globalPolicy('db', {
  selector: "app == 'db'",
  ingress: [
    { action: 'Deny', protocol: 'TCP', destination: { ports: [23] } },
    { action: 'Allow', protocol: 'TCP', destination: { ports: [80] } },
  ],
});

const to = (dport: number): { from: string; to: string; dport: number } => ({
  from: '10.0.0.1',
  to: '10.0.0.2',
  dport,
});

/** Value of a series; `undefined` = it is not there. */
function valueOf(metrics: string, series: string): number | undefined {
  const line = metrics.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

kernelTest('packets in get policies, metrics, why and explain', NEEDS, async (t) => {
  const [health, metrics] = [await freeAddress(), await freeAddress()];
  await FlowBench.with([WEB, DB], [POLICY], async (bench) => {
    await bench.start({
      PICKET_HEALTH_ADDRESS: health,
      PICKET_METRICS_ADDRESS: metrics,
      PICKET_RULE_METRICS: 'true',
    });
    t.false(await bench.send('web', to(23)));
    t.false(await bench.send('web', to(23)));
    t.true(await bench.send('web', to(80)));
    t.false(await bench.send('web', to(81)));

    const policies = await bench.ask('get', 'policies', 'db');
    t.regex(policies.stdout, /ingress\[0\] deny protocol tcp, dport 23: 2 packets, \d+ bytes/);
    t.regex(policies.stdout, /ingress\[1\] allow protocol tcp, dport 80: 1 packets, \d+ bytes/);

    const scraped = await get(metrics, '/metrics');
    t.is(scraped.status, 200);
    const denied = (direction: string, reason: string): number | undefined =>
      valueOf(
        scraped.body,
        `picket_denied_packets_total{direction="${direction}",reason="${reason}"}`,
      );
    t.is(denied('ingress', 'policy'), 2);
    t.is(denied('ingress', 'end-of-tier'), 1);
    t.is(denied('egress', 'anti-spoofing'), 0);
    const rule = 'policy="gnp/db",direction="ingress",rule="1",action="allow"';
    t.is(valueOf(scraped.body, `picket_policy_rule_packets_total{${rule}}`), 1);
    t.is(valueOf(scraped.body, 'picket_in_sync'), 1);
    t.is(valueOf(scraped.body, 'picket_endpoints'), 2);

    await bench.recorded(2, '--verdict', 'deny');
    const status = await bench.ask('status');
    t.is(status.exitCode, 0, status.stdout);
    t.regex(status.stdout, /flow log: +\d+ packets, \d+ more not logged by rate limits, none lost/);
    const why = await bench.ask('why', 'shop/db');
    t.is(why.exitCode, 3, why.stderr);
    t.regex(why.stdout, /^logged: .*DENY/);
    t.regex(why.stdout, /ingress of shop\/db.*DENIED/);
    const explained = await bench.ask('explain', 'shop/web', 'shop/db', 'tcp/80');
    t.is(explained.exitCode, 0, explained.stderr);
    t.is((await bench.ask('why', 'shop/nobody')).exitCode, 1);

    const ready = await get(health, '/readyz?verbose');
    t.is(ready.status, 200);
    t.regex(ready.body, /\[\+\] kernel-in-sync\n/);
    t.is((await get(health, '/livez')).status, 200);
    t.is((await get(health, '/metrics')).status, 404);
  });
});

kernelTest('the delay from a file to the kernel, by kind', NEEDS, async (t) => {
  const metrics = await freeAddress();
  await FlowBench.with([WEB, DB], [POLICY], async (bench) => {
    const agent = await bench.start({ PICKET_METRICS_ADDRESS: metrics });
    const delays = async (part: string): Promise<number | undefined> => {
      const { body } = await get(metrics, '/metrics');
      return valueOf(body, `picket_event_to_enforced_seconds_${part}{kind="GlobalNetworkPolicy"}`);
    };
    // A start is no change.
    t.is(await delays('count'), undefined);
    const seen = agent.log().length;
    bench.write('more.json', [globalPolicy('more', { selector: "app == 'db'", ingress: [] })]);
    await agent.logged(/^applied/, seen);
    t.is(await delays('count'), 1);
    const sum = await delays('sum');
    // It begins before the 20 ms for which a directory has to be quiet.
    t.true(sum !== undefined && sum >= 0.02, String(sum));
  });
});

kernelTest(
  'not ready: a policy that was never accepted; a port in use is a warning',
  NEEDS,
  async (t) => {
    const address = await freeAddress();
    const invalid = globalPolicy('broken', { selector: 'app == ' });
    await FlowBench.with([WEB], [invalid], async (bench) => {
      await bench.start({ PICKET_HEALTH_ADDRESS: address, PICKET_METRICS_ADDRESS: address });
      const ready = await get(address, '/readyz');
      t.is(ready.status, 503);
      t.regex(ready.body, /\[-\] policies-accepted: no version of .*broken/);
      t.is((await get(address, '/livez')).status, 200);
      t.is((await get(address, '/metrics')).status, 200);
      await FlowBench.with([WEB], [], async (other) => {
        const agent = await other.start({ PICKET_HEALTH_ADDRESS: address });
        t.true(agent.log().some(({ msg }) => msg?.startsWith('not served: /livez') === true));
      });
    });
  },
);

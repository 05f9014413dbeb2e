/**
 * The oracle and real packets in the kernel agree on a host with several interfaces, host endpoints of every kind, workloads and destinations
 * that are replaced on the way. KERNEL_RUNS sets the number of worlds, half of them with a configuration that is not the default.
 */
import type { ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import { DEFAULT_HOST_CONFIG } from '../../compiler/nft/host-config.ts';
import { explainFlow } from '../../compiler/oracle/explain.ts';
import type { FlowDecision } from '../../compiler/oracle/flow.ts';
import type { OracleConfig } from '../../compiler/oracle/world.ts';
import { testAddon } from '../support/addon.ts';
import { arbitraryHostResources } from '../support/arbitrary.ts';
import { translate } from '../support/dnat.ts';
import { Fabric } from '../support/fabric.ts';
import { decide, decideReply, describeFlow } from '../support/host-answers.ts';
import type { Answer } from '../support/host-answers.ts';
import {
  HOST_FABRIC,
  ORACLE_INTERFACES,
  arbitraryHostFlows,
  probeOf,
  translationsOf,
} from '../support/host-flows.ts';
import { kernelTest } from '../support/needs.ts';
import { cidr, world } from '../support/world.ts';
import { WorldTable } from '../support/world-table.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['KERNEL_RUNS'] ?? 40);
const NEEDS = ['root', 'netns', 'cc', 'addon', 'nft'] as const;

interface Setting {
  readonly base: Partial<BaseConfig>;
  readonly oracle: Partial<OracleConfig>;
}

const DEFAULTS: Setting = { base: {}, oracle: {} };

const INBOUND = [
  { protocol: 6, port: 80, net: cidr('203.0.113.0/24') },
  { protocol: 17, port: 53, net: undefined },
  { protocol: 6, port: 53, net: cidr('fd00::/8') },
];
const OUTBOUND = [
  { protocol: 6, port: 81, net: undefined },
  { protocol: 17, port: 80, net: cidr('198.51.100.0/24') },
];
/** Beside the nodes of the world. */
const PEERS = [cidr('203.0.113.9/32'), cidr('2001:db8:3::/48')];

/** Failsafes for some, tunnels with some, pods that may not reach their host. */
const OTHERS: Setting = {
  base: {
    endpointToHostAction: 'drop',
    vxlanPort: 81,
    host: {
      ...DEFAULT_HOST_CONFIG,
      failsafeInbound: INBOUND,
      failsafeOutbound: OUTBOUND,
      encapsulation: {
        ipip: true,
        vxlan: true,
        wireguardPorts: { 4: 80, 6: undefined },
        externalNodes: PEERS,
      },
    },
  },
  oracle: {
    defaultEndpointToHostAction: 'Drop',
    vxlanPort: 81,
    failsafes: { ingress: INBOUND, egress: OUTBOUND },
    ipip: true,
    vxlan: true,
    externalNodes: PEERS,
    wireguardPorts: { 4: 80 },
  },
};

kernelTest('by default', NEEDS, (t) => hold(t, DEFAULTS));
kernelTest('with other failsafes, and tunnels', NEEDS, (t) => hold(t, OTHERS));

async function hold(t: ExecutionContext, { base, oracle }: Setting): Promise<void> {
  const fabric = await Fabric.create(HOST_FABRIC);
  const dataplane = new NetlinkDataplane(testAddon(), fabric.router.path);
  const seen = new Map<string, number>();
  try {
    const node = new WorldTable(dataplane, base);
    const property = fc.asyncProperty(
      arbitraryHostResources,
      arbitraryHostFlows,
      async (resources, sent) => {
        await node.become(resources);
        await translate(fabric.router, translationsOf(sent));
        await fabric.forgetConnections();
        const judged = world(resources, oracle, ORACLE_INTERFACES);
        const answers = sent.map((flow) => decide(judged, flow));
        await compare(fabric, answers, seen);
        await compare(
          fabric,
          answers.flatMap((answer) => decideReply(judged, answer)),
          seen,
        );
      },
    );
    await fc.assert(property, {
      numRuns: Math.ceil(RUNS / 2),
      includeErrorInReport: true,
      endOnFailure: process.env['CI'] === 'true',
    });
    t.log([...seen].map(([stage, count]) => `${stage} ${count}`).join(', '));
    t.true(seen.size > 8, 'most stages decided something');
  } finally {
    dataplane.close();
    await fabric.close();
  }
}

/** Throws where they disagree. */
async function compare(
  fabric: Fabric,
  answers: readonly Answer[],
  seen: Map<string, number>,
): Promise<void> {
  const arrived = await fabric.probe(answers.map(({ flow, arriving }) => probeOf(flow, arriving)));
  for (const [index, { flow, decision }] of answers.entries()) {
    for (const stage of decision.stages) note(seen, stage);
    if ((decision.verdict === 'allow') === arrived[index]) continue;
    const how = arrived[index] === true ? 'arrived' : 'did not arrive';
    throw new Error(`${explainFlow(decision)}\nbut it ${how}: ${describeFlow(flow)}`);
  }
}

function note(
  seen: Map<string, number>,
  { stage, decision }: FlowDecision['stages'][number],
): void {
  const key = `${stage} ${decision.decisive.kind === 'rule' ? 'rule' : decision.decisive.reason}`;
  seen.set(key, (seen.get(key) ?? 0) + 1);
}

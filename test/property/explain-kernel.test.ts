/**
 * What `picket explain` names is what the kernel counted: for random worlds, each packet moves exactly the counters of the rules that the
 * answer says it met, or of the end that it names, and arrives when the answer allows it. The record of a denied packet names the same rule
 * or end, and asked about again it gets the same answer. KERNEL_RUNS sets the number of worlds.
 */
import * as fc from 'fast-check';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { answer, judgePacket } from '../../agent/explain/answer.ts';
import type { JudgedStage } from '../../agent/explain/answer.ts';
import { printDecisive } from '../../agent/explain/print.ts';
import { readRecord } from '../../agent/explain/record-question.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import type { Scene } from '../../agent/explain/scene.ts';
import { NflogReader } from '../../agent/flowlog/nflog-reader.ts';
import { policyNames, toRecord } from '../../agent/flowlog/record.ts';
import type { FlowRecord } from '../../agent/flowlog/record.ts';
import { RuleBook } from '../../agent/flowlog/rule-book.ts';
import { FlowWindow } from '../../agent/flowlog/window.ts';
import { NetlinkSocket } from '../../agent/netlink/socket.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { LOG_GROUP } from '../../compiler/nft/logging.ts';
import { ruleCounter } from '../../compiler/nft/lower-chain.ts';
import { identityHash, objectName } from '../../compiler/nft/names.ts';
import type { Decisive, ImplicitReason } from '../../compiler/oracle/decision.ts';
import { findEnd } from '../../compiler/oracle/flow.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import { COUNTERS_PROTOCOL, moved, readCounts } from '../../demo/counters.ts';
import { testAddon } from '../support/addon.ts';
import { arbitraryResources } from '../support/arbitrary.ts';
import { until } from '../support/cli.ts';
import { Fabric } from '../support/fabric.ts';
import { keyOf } from '../support/keys.ts';
import { kernelTest } from '../support/needs.ts';
import { NODE, world } from '../support/world.ts';
import {
  WIRES,
  WIRE_SPECS,
  WorldTable,
  arbitrarySendable,
  describePacket,
  placeOf,
  withoutOwnHosts,
} from '../support/world-table.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['KERNEL_RUNS'] ?? 30);

/** Sent per world, of those that can be asked about. */
const MAX_SENT = 12;

kernelTest(
  'the rules that explain names are those that counted',
  ['root', 'netns', 'cc'],
  async (t) => {
    const fabric = await Fabric.create({ workloads: WIRE_SPECS });
    const netnsPath = fabric.router.path;
    const dataplane = new NetlinkDataplane(testAddon(), netnsPath);
    const socket = NetlinkSocket.open(testAddon(), { protocol: COUNTERS_PROTOCOL, netnsPath });
    const seen = new Map<string, number>();
    const kernel = new WorldTable(dataplane, { logging: LOGGING });
    const records = await DenyRecords.open(netnsPath);
    try {
      const property = fc.asyncProperty(
        arbitraryResources.map(withoutOwnHosts),
        arbitrarySendable,
        async (resources, all) => {
          await kernel.become(resources);
          records.learn(kernel);
          await fabric.forgetConnections();
          const scene = sceneOfResources(resources);
          for (const packet of all
            .filter((each) => isAskable(resources, each))
            .slice(0, MAX_SENT)) {
            const before = await readCounts(socket);
            const [arrived] = await fabric.probe([{ packet, from: placeOf(packet.saddr) }]);
            const allCounted = moved(before, await readCounts(socket));
            const counted = allCounted.map(withoutProfiles);
            const { verdict, stages } = judgePacket(scene, packet, [NODE]);
            if (arrived === false) {
              const { record, counter } = await records.next();
              t.true(allCounted.includes(counter), `${counter} moved`);
              t.deepEqual(whoSays(record), whoDecided(scene, record), describePacket(packet));
            }
            const named = [...new Set(stages.flatMap(countersOf))].sort();
            for (const { decision } of stages) note(seen, decision.decisive);
            if ((verdict === 'allow') === arrived && named.join() === counted.join()) continue;
            const why = stages.map((stage) => printDecisive(scene, stage)).join(' and ');
            throw new Error(
              `${describePacket(packet)}: ${verdict} by ${why}\n` +
                `named ${named.join(', ')}; counted ${counted.join(', ')}; arrived ${arrived}`,
            );
          }
        },
      );
      await fc.assert(property, { numRuns: RUNS, includeErrorInReport: true, endOnFailure: true });
      for (const kind of ['rule', 'end-of-tier'])
        t.true((seen.get(kind) ?? 0) > 0, `${kind} decided`);
      t.log([...seen].map(([kind, count]) => `${kind} ${count}`).join(', '));
    } finally {
      records.close();
      socket.close();
      dataplane.close();
      await fabric.close();
    }
  },
);

/** Every deny, and no bucket that holds one back. */
const LOGGING = { group: LOG_GROUP, verdicts: ['deny'], limit: undefined } as const;

const NOBODY = { kind: 'external', namespace: undefined, name: undefined, labels: {} } as const;

/** Records of packets that are denied, one packet at a time. */
class DenyRecords {
  readonly #window = new FlowWindow(100);
  readonly #rules = new RuleBook({ retentionMs: 0, maxRetired: 0 });
  #reader: NflogReader | undefined;

  static async open(netnsPath: string): Promise<DenyRecords> {
    const records = new DenyRecords();
    records.#reader = await NflogReader.open(testAddon(), {
      netnsPath,
      group: LOG_GROUP,
      copyRangeBytes: 128,
      onPacket: (view) => records.#window.add(view, Date.now()),
    });
    return records;
  }

  learn(kernel: WorldTable): void {
    for (const [id, meaning] of kernel.takeRuleChanges()) {
      if (meaning === undefined) this.#rules.retire(id, 0);
      else this.#rules.put(id, meaning);
    }
  }

  /** What is said of the packet that was denied last, and the counter that must have moved for it. */
  async next(): Promise<{ readonly record: FlowRecord; readonly counter: string }> {
    let found: { record: FlowRecord; counter: string } | undefined;
    await until('the record of a deny', () => {
      // Packets that Log rules saw on the way are none.
      for (const flow of this.#window.take().flows) {
        const meaning = this.#rules.find(flow.ruleId);
        if (meaning?.verdict !== 'deny') continue;
        const record = toRecord(flow, {
          node: NODE,
          nowMs: 0,
          input: undefined,
          output: undefined,
          source: NOBODY,
          destination: NOBODY,
          service: undefined,
          meaning,
          tier: undefined,
          host: undefined,
          staged: [],
          suppressed: 0,
        });
        found = { record, counter: meaning.counter };
      }
      return found !== undefined;
    });
    if (found === undefined) throw new Error('no record');
    return found;
  }

  close(): void {
    this.#reader?.close();
  }
}

/** By the record itself. */
function whoSays({ direction, policy, implicit }: FlowRecord): object {
  if (policy !== undefined) return { direction, policy };
  return { direction, reason: implicit?.reason, tier: implicit?.tier };
}

/** By explain, asked about the record. */
function whoDecided(scene: Scene, record: FlowRecord): object {
  const question = readRecord(JSON.stringify(record));
  if ('wrong' in question) throw new Error(question.wrong);
  const answered = answer(scene, question.value);
  if ('wrong' in answered) throw new Error(answered.wrong);
  const last = answered.value.flows[0]?.stages.at(-1);
  if (last?.decision.verdict !== 'deny') throw new Error(`${question.value.text} is allowed`);
  const { direction, decision } = last;
  const { decisive } = decision;
  if (decisive.kind === 'rule') {
    const { policy, index } = decisive.rule;
    return { direction, policy: { ...policyNames(policy), rule: index } };
  }
  const { reason, tier, selectedBy } = decisive;
  // A deny rule in the profile's place.
  if (reason === 'missing-profile') {
    return { direction, policy: { ...policyNames(selectedBy[0] ?? ''), rule: 0 } };
  }
  return { direction, reason, tier };
}

function note(seen: Map<string, number>, decisive: Decisive): void {
  const kind = decisive.kind === 'rule' ? 'rule' : decisive.reason;
  seen.set(kind, (seen.get(kind) ?? 0) + 1);
}

/** Counters that a packet judged so must move; names say who selected the endpoint, by a hash. */
function countersOf({ direction, decision }: JudgedStage): string[] {
  const matched = decision.trace.flatMap((step) => {
    if (step.kind !== 'match') return [];
    const { policy, index } = step.rule;
    return [ruleCounter(policy, direction, index).name];
  });
  return [...matched, ...endCounters(direction, decision.decisive)];
}

function endCounters(direction: string, decisive: Decisive): string[] {
  if (decisive.kind === 'rule') return [];
  const { reason, tier, selectedBy } = decisive;
  if (reason === 'end-of-tier') {
    return [objectName(direction, reason, tier ?? '', identityHash(selectedBy))];
  }
  // A profile that nobody declares is a deny rule in its place.
  if (reason === 'missing-profile') return [objectName(direction, selectedBy[0] ?? '', '0')];
  const name = OTHER_ENDS[reason];
  return name === undefined ? [] : [`${direction}/${name}`];
}

/** What is not here counts nowhere. */
const OTHER_ENDS: Readonly<Partial<Record<ImplicitReason, string>>> = {
  'no-profile': 'no-profile',
  encapsulation: 'encapsulation',
  'spoofed-source': 'anti-spoofing',
};

/** Which profiles had nothing to say is no part of an answer. */
function withoutProfiles(name: string): string {
  return name.replace(/^(\w+\/no-profile)\/.*$/, '$1');
}

/** Between places that are something to this node. */
function isAskable(resources: readonly Resource[], packet: Packet): boolean {
  const judged = world(resources);
  return [packet.saddr, packet.daddr].every((address) => {
    const end = findEnd(judged, address);
    return WIRES.has(printAddress(address))
      ? end.kind === 'workload' && end.endpoint.node === NODE
      : end.kind === 'external';
  });
}

function sceneOfResources(resources: readonly Resource[]): Scene {
  const store = {
    resources: () => resources.map((resource): [string, Resource] => [keyOf(resource), resource]),
    locate: () => undefined,
  };
  return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: NODE });
}

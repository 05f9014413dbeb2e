/**
 * The way of a logged packet: kernel, window, record, outputs. Comes in: packets from the log group, resources, rule ids. Goes out: records
 * to the ring and the outputs, and counts of everything that was lost on the way. Enforcement never waits for it.
 *
 *   NflogReader -> FlowWindow --(flush)--> join with RuleBook, EndIndex, Suppression, staged -> FlowRing, outputs
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ResolvedEndpoint, ResolvedHostEndpoint } from '../../compiler/calc/resolved.ts';
import type { Address } from '../../compiler/model/ip.ts';
import { policyId } from '../../compiler/model/policy.ts';
import type { RuleMeaning } from '../../compiler/nft/rule-id.ts';
import { AgentError } from '../errors.ts';
import type { Scene } from '../explain/scene.ts';
import type { Native } from '../native/native.ts';
import { KERNEL_GATHERS_MS } from '../netlink/nflog.ts';
import { dumpCounters } from '../netlink/request.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NETLINK_NETFILTER } from '../netlink/uapi.generated.ts';
import type { Log } from '../obs/log.ts';
import type { StoreChange } from '../store/store.ts';
import { EndIndex } from './end-index.ts';
import { InterfaceNames } from './interfaces.ts';
import type { End } from './end-index.ts';
import { NflogReader } from './nflog-reader.ts';
import type { FlowOutput } from './output.ts';
import { hasRule, judgedStage } from './judged-host.ts';
import type { JudgedHost, PolicyFlags } from './judged-host.ts';
import { hookName, toRecord } from './record.ts';
import type { FlowRecord, RecordStaged } from './record.ts';
import type { FlowRing } from './ring.ts';
import { RuleBook } from './rule-book.ts';
import { readRuleFile, writeRuleFile } from './rule-file.ts';
import { judgeStaged, stagedScene } from './staged.ts';
import { Suppression } from './suppression.ts';
import type { CounterPackets } from './suppression.ts';
import { FlowWindow } from './window.ts';
import type { Flow } from './window.ts';

export interface FlowLogParts {
  readonly native: Native;
  readonly netns: string;
  readonly node: string;
  readonly group: number;
  readonly flushMs: number;
  /** Where rule ids outlive a restart. */
  readonly ruleFile: string;
  readonly ring: FlowRing;
  readonly outputs: readonly FlowOutput[];
  /** Who is at an interface of this node, whatever address its packets claim. */
  readonly endpointAt: (
    ifname: string,
  ) => { readonly namespace: string; readonly name: string } | undefined;
  /** Whose policies govern an interface of the host itself. */
  readonly hostEndpointAt: (ifname: string) => ResolvedHostEndpoint | undefined;
  /** A workload of this node, by its id. */
  readonly workload: (id: string) => ResolvedEndpoint | undefined;
  /** Since the last call: rules that the kernel has or is about to have, and those that it loses (`undefined`). */
  readonly ruleChanges: () => ReadonlyMap<string, RuleMeaning | undefined>;
  /** Everything that there is now, for what staged policies would do. */
  readonly scene: () => Scene;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** For metrics and status; packets unless said otherwise. */
export interface FlowLogCounts {
  readonly received: number;
  /** Logged by the kernel, and lost before they came here. */
  readonly lost: number;
  /** Of flows for which the window had no room. */
  readonly dropped: number;
  readonly suppressed: number;
  /** Records made. */
  readonly records: number;
  /** Records by output. */
  readonly outputs: Readonly<Record<string, { readonly written: number; readonly lost: number }>>;
}

const MAX_FLOWS = 100_000;
const COPY_RANGE_BYTES = 128;
/** Policies whose place is remembered. */
const MAX_PLACES = 100_000;
const RULE_LIMITS = { retentionMs: 3_600_000, maxRetired: 20_000 };
/** Waiting times between attempts to read the log group. */
const RETRY_MS = [1_000, 5_000, 30_000];
/** Flows of one flush that staged policies are evaluated for, and the time that this may take. */
const MAX_STAGED = 200;
const MAX_STAGED_MS = 500;
/** Records made in one turn of the event loop, and where staged policies are evaluated for each. */
const RECORDS_A_TURN = { plain: 500, staged: 10 };
/** From the first packet after a quiet time to its record, so that what belongs together is one record. */
const GATHER_MS = 200;
/** Until the kernel has handed over the packets that were denied just before the end. */
const LAST_PACKETS_MS = 2 * KERNEL_GATHERS_MS;
const NOBODY: End = { kind: 'external', namespace: undefined, name: undefined, labels: {} };

export class FlowLog {
  readonly #parts: FlowLogParts;
  readonly #window = new FlowWindow(MAX_FLOWS);
  readonly #rules = new RuleBook(RULE_LIMITS);
  readonly #ends = new EndIndex();
  readonly #places = new Map<string, PolicyPlace>();
  readonly #suppression = new Suppression();
  readonly #interfaces: InterfaceNames;
  readonly #stop = new AbortController();
  #reader: NflogReader | undefined;
  /** Told of packets while nothing waits to be told. */
  #onFirst: (() => void) | undefined;
  #counters: NetlinkSocket | undefined;
  /** Keys of staged policies. */
  readonly #stagedKeys = new Set<string>();
  #stagedScene: Scene | undefined;
  #dropped = 0;
  #records = 0;
  #done: Promise<void> = Promise.resolve();

  constructor(parts: FlowLogParts) {
    this.#parts = parts;
    this.#interfaces = new InterfaceNames(parts.native, parts.netns);
    this.#rules.load(readRuleFile(parts.ruleFile), parts.now());
  }

  get counts(): FlowLogCounts {
    const { received = 0, lost = 0 } = this.#reader?.counts ?? {};
    const outputs = this.#parts.outputs.map(({ name, counts }) => [name, { ...counts }] as const);
    return {
      received,
      lost,
      dropped: this.#dropped,
      suppressed: this.#suppression.total,
      records: this.#records,
      outputs: Object.fromEntries(outputs),
    };
  }

  /** Whether the kernel's packets are being read. */
  get isReading(): boolean {
    return this.#reader !== undefined;
  }

  takeResource(change: StoreChange): void {
    this.#ends.take(change, this.#parts.now());
    this.#stagedScene = undefined;
    this.#stagedKeys.delete(change.key);
    if (change.op !== 'put' || change.resource.kind !== 'Policy') return;
    const { staged, tier, doNotTrack, preDnat } = change.resource;
    if (staged) this.#stagedKeys.add(change.key);
    this.#notePlace(policyId(change.resource), { tier, doNotTrack, preDnat });
  }

  /** Places of policies that are gone are remembered for late records. */
  #notePlace(policy: string, place: PolicyPlace): void {
    this.#places.delete(policy);
    this.#places.set(policy, place);
    const [oldest] = this.#places.keys();
    if (this.#places.size > MAX_PLACES && oldest !== undefined) this.#places.delete(oldest);
  }

  /** Reads and writes until `close`. */
  start(): void {
    this.#done = this.#run();
  }

  /** Writes what was gathered, here and in the kernel, and lets go. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await delay(LAST_PACKETS_MS);
    await this.#flush();
    this.#reader?.close();
    this.#counters?.close();
    this.#interfaces.close();
    await Promise.all(this.#parts.outputs.map((output) => output.close()));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    await this.#open();
    while (!signal.aborted) {
      await this.#somethingToTell();
      if (!signal.aborted) await this.#flush();
      await this.#pause(this.#parts.flushMs);
    }
  }

  /** After a quiet time the first packet is told of at once, with what follows closely; rules are saved meanwhile, packets or not. */
  async #somethingToTell(): Promise<void> {
    if (this.#window.size > 0) return;
    const first = new AbortController();
    this.#onFirst = () => first.abort();
    await this.#pause(this.#parts.flushMs, first.signal);
    this.#onFirst = undefined;
    if (first.signal.aborted) await this.#pause(GATHER_MS);
  }

  async #pause(ms: number, ...others: readonly AbortSignal[]): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, ...others]);
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }

  /** Tries until the group can be read. */
  async #open(): Promise<void> {
    const { native, netns, group, log } = this.#parts;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        this.#counters ??= NetlinkSocket.open(native, {
          protocol: NETLINK_NETFILTER,
          netnsPath: netns,
        });
        this.#suppression.begin(await this.#readCounters());
        this.#reader = await NflogReader.open(native, {
          netnsPath: netns,
          group,
          copyRangeBytes: COPY_RANGE_BYTES,
          onPacket: (view) => {
            this.#window.add(view, this.#parts.now());
            this.#onFirst?.();
          },
        });
        return;
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        if (failures === 0) log.warn({ error: error.message }, 'no flow logs yet, trying again');
        const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0;
        await delay(waitMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #readCounters(): Promise<CounterPackets> {
    if (this.#counters === undefined) return new Map();
    const values = await dumpCounters(this.#counters);
    return new Map([...values].map(([name, { packets }]) => [name, packets]));
  }

  async #flush(): Promise<void> {
    const nowMs = this.#parts.now();
    this.#takeRules(nowMs);
    this.#rules.expire(nowMs);
    if (this.#rules.isChanged) await this.#saveRules();
    if (this.#window.size === 0) return;
    // The counters first: what is logged after that is told with the next flush, never twice.
    const values = await this.#readCounters().catch(() => undefined);
    const { flows, dropped } = this.#window.take();
    this.#dropped += dropped;
    await this.#interfaces.learn(interfacesOf(flows)).catch(() => undefined);
    const suppressed = this.#suppressedOf(flows, values);
    const budget = { flows: MAX_STAGED, endMs: this.#parts.now() + MAX_STAGED_MS };
    for (let at = 0; at < flows.length;) {
      const isStaged = this.#stagedKeys.size > 0 && budget.flows > 0;
      const some = flows.slice(at, at + RECORDS_A_TURN[isStaged ? 'staged' : 'plain']);
      this.#hand(some.map((flow) => this.#recordOf(flow, suppressed, budget)));
      at += some.length;
      await delay(0);
    }
  }

  /** Asked for, not told: whatever the kernel has is in the compiler before, also where an apply fails half-way. */
  #takeRules(nowMs: number): void {
    for (const [id, meaning] of this.#parts.ruleChanges()) {
      if (meaning === undefined) this.#rules.retire(id, nowMs);
      else this.#rules.put(id, meaning);
    }
  }

  #hand(records: readonly FlowRecord[]): void {
    this.#records += records.length;
    for (const record of records) this.#parts.ring.add(record);
    for (const output of this.#parts.outputs) output.write(records);
  }

  /** By counter name; each is taken by the first record of its rule. */
  #suppressedOf(flows: readonly Flow[], values: CounterPackets | undefined): Map<string, number> {
    if (values === undefined) return new Map();
    const logged = new Map<string, number>();
    for (const { ruleId, count } of flows) {
      const counter = this.#rules.find(ruleId)?.counter;
      if (counter !== undefined) logged.set(counter, (logged.get(counter) ?? 0) + count);
    }
    return new Map(this.#suppression.take(values, logged));
  }

  #recordOf(flow: Flow, suppressed: Map<string, number>, budget: StagedBudget): FlowRecord {
    const { node, now } = this.#parts;
    const { source, destination, protocol, dport, lastMs } = flow;
    const meaning = this.#rules.find(flow.ruleId);
    const counter = meaning?.counter ?? '';
    const ends = this.#ends;
    const input = this.#interfaces.nameOf(flow.inputIndex);
    const output = this.#interfaces.nameOf(flow.outputIndex);
    const isSpoofed =
      meaning?.cause.kind === 'implicit' && meaning.cause.reason === 'anti-spoofing';
    const sender = isSpoofed ? this.#endAt(input) : this.#endOf(source, lastMs);
    const receiver = this.#endOf(destination, lastMs, sender.namespace);
    const place =
      meaning?.cause.kind === 'rule' ? this.#places.get(meaning.cause.policy) : undefined;
    const hook = hookName(flow);
    const judged = { hook, policy: place, input, output };
    const host = meaning && this.#judgedHost(meaning, judged, sender, receiver);
    const from = isSentByHost(hook) ? this.#hostEnd(sender, host) : sender;
    const to = hook === 'input' ? this.#hostEnd(receiver, host) : receiver;
    const hasService = destination !== undefined && protocol !== undefined && dport !== undefined;
    const record = toRecord(flow, {
      node,
      nowMs: now(),
      input,
      output,
      source: from,
      destination: to,
      service: hasService ? ends.serviceOf(destination, protocol, dport) : undefined,
      meaning,
      tier: place?.tier,
      host,
      staged: this.#stagedOf(flow, meaning, budget),
      suppressed: suppressed.get(counter) ?? 0,
    });
    suppressed.delete(counter);
    return record;
  }

  #endOf(address: Address | undefined, atMs: number, nearNamespace?: string): End {
    return address === undefined ? NOBODY : this.#ends.endOf(address, atMs, nearNamespace);
  }

  #judgedHost(
    meaning: RuleMeaning,
    { hook, policy, input, output }: JudgedWay,
    sender: End,
    receiver: End,
  ): JudgedHost | undefined {
    const { direction } = meaning;
    const ifname = direction === 'ingress' ? input : output;
    const host = ifname === undefined ? undefined : this.#parts.hostEndpointAt(ifname);
    if (host === undefined) return undefined;
    const forward = direction === 'forward' ? undefined : host.forward?.[direction];
    const stage = judgedStage({
      meaning,
      hook,
      policy,
      isOfHost: hasRule(meaning, forward),
      mayBeOfWorkload: this.#mayHaveRule(direction === 'ingress' ? receiver : sender, meaning),
    });
    return stage && { endpoint: host.endpoint, stage };
  }

  /** False where it is no workload, runs elsewhere, or has other policies. */
  #mayHaveRule({ kind, namespace, name }: End, meaning: RuleMeaning): boolean {
    if (kind !== 'pod' && kind !== 'workload') return false;
    if (namespace === undefined || name === undefined) return true;
    const node = this.#ends.nodeOf({ namespace, name });
    if (node !== undefined && node !== this.#parts.node) return false;
    const workload = this.#parts.workload(`${namespace}/${name}`);
    const { direction } = meaning;
    if (workload === undefined || direction === 'forward') return true;
    const { tiers, profiles } = workload[direction];
    return hasRule(meaning, tiers, profiles);
  }

  /** The host itself: by the endpoint that was judged, else by whoever has the address, else this node. */
  #hostEnd(found: End, host: JudgedHost | undefined): End {
    if (host !== undefined) {
      const { name, labels } = host.endpoint;
      return { kind: 'host-endpoint', namespace: undefined, name, labels };
    }
    if (found.kind !== 'external') return found;
    return { kind: 'node', namespace: undefined, name: this.#parts.node, labels: {} };
  }

  /** A forged address says nothing of who sent it. */
  #endAt(ifname: string | undefined): End {
    const endpoint = ifname === undefined ? undefined : this.#parts.endpointAt(ifname);
    return endpoint === undefined ? NOBODY : this.#ends.workload(endpoint);
  }

  /** `undefined` = there was no time for it. */
  #stagedOf(
    flow: Flow,
    meaning: RuleMeaning | undefined,
    budget: StagedBudget,
  ): RecordStaged[] | undefined {
    const direction = meaning?.direction ?? 'forward';
    if (direction === 'forward' || meaning?.verdict === 'log') return [];
    if (this.#stagedKeys.size === 0) return [];
    if (budget.flows-- <= 0 || this.#parts.now() > budget.endMs) return undefined;
    this.#stagedScene ??= stagedScene(this.#parts.scene());
    return judgeStaged(this.#stagedScene, flow, direction);
  }

  async #saveRules(): Promise<void> {
    try {
      await writeRuleFile(this.#parts.ruleFile, this.#rules.save());
    } catch (error) {
      this.#parts.log.warn({ error: String(error) }, 'rule ids of flow logs are not saved');
    }
  }
}

interface PolicyPlace extends PolicyFlags {
  readonly tier: string;
}

/** Names of interfaces. */
interface JudgedWay {
  readonly hook: string | undefined;
  readonly policy: PolicyFlags | undefined;
  readonly input: string | undefined;
  readonly output: string | undefined;
}

function isSentByHost(hook: string | undefined): boolean {
  return hook === 'output' || hook === 'postrouting';
}

interface StagedBudget {
  flows: number;
  readonly endMs: number;
}

/** Indexes, each once. */
function interfacesOf(flows: readonly Flow[]): ReadonlySet<number> {
  const indexes = new Set<number>();
  for (const { inputIndex, outputIndex } of flows) {
    if (inputIndex !== undefined) indexes.add(inputIndex);
    if (outputIndex !== undefined) indexes.add(outputIndex);
  }
  return indexes;
}

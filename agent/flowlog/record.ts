/**
 * One flow as a self-contained record: who, to whom, by which rule, how often. The form that files, collectors and `picket flows` get;
 * deploy/flow-record.schema.json is its JSON schema. A field that is not known is absent, never a guess.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Labels } from '../../compiler/model/cluster.ts';
import { POLICY_SHORT_NAMES } from '../../compiler/model/policy.ts';
import type { PolicyKind } from '../../compiler/model/policy.ts';
import { parseRuleId } from '../../compiler/nft/rule-id.ts';
import type { RuleMeaning } from '../../compiler/nft/rule-id.ts';
import { PROTOCOL_NAMES } from '../explain/protocols.ts';
import { boundedLabels, boundedList } from './bounds.ts';
import type { End, EndKind, ServiceName } from './end-index.ts';
import type { JudgedHost, RecordStage } from './judged-host.ts';
import type { Flow } from './window.ts';

const RECORD_SCHEMA = 'picket.flow/v1';

export type RecordVerdict = 'allow' | 'deny' | 'log' | 'unknown';

export interface RecordEnd {
  /** Where it was denied for being forged, `name` is who sent it, found by its interface. */
  readonly ip?: string;
  /** Source ports are not told apart: the source's is that of the first packet. */
  readonly port?: number;
  readonly kind: EndKind;
  readonly namespace?: string;
  readonly name?: string;
  readonly labels?: Labels;
  /** Labels beyond the bound, as `selectedByOmitted` and `stagedOmitted` of theirs. */
  readonly labelsOmitted?: number;
  /** Destination only: a service that leads there. */
  readonly service?: ServiceName;
}

export interface RecordPolicy {
  /** `NetworkPolicy`, …, or `Profile`. */
  readonly kind: PolicyKind | 'Profile';
  readonly namespace?: string;
  readonly name: string;
  /** Absent for profiles, and where the policy is gone. */
  readonly tier?: string;
  /** Index in the manifest's list of the record's direction. */
  readonly rule: number;
}

export interface RecordImplicit {
  readonly reason: string;
  readonly tier?: string;
  /** Ids of the policies or profiles that govern the endpoint and did not decide. */
  readonly selectedBy: readonly string[];
  readonly selectedByOmitted?: number;
}

/** What a staged policy would have done. */
export interface RecordStaged {
  /** `snp/<ns>/<name>`. */
  readonly policy: string;
  readonly tier: string;
  readonly action: 'allow' | 'deny' | 'pass';
  /** Absent: no rule of it matched, and the end of its tier denies. */
  readonly rule?: number;
}

/** Who judged, where it was no workload's policy. */
export interface RecordHost {
  readonly name: string;
  readonly stage: RecordStage;
}

export interface FlowRecord {
  readonly schema: typeof RECORD_SCHEMA;
  /** When the record was made; ISO 8601, UTC, as all times here. */
  readonly ts: string;
  readonly node: string;
  /** `log`: a Log rule saw it, which decides nothing. */
  readonly verdict: RecordVerdict;
  readonly direction?: 'ingress' | 'egress' | 'forward';
  readonly hook?: string;
  /** Names of interfaces, where the packet had one by then. */
  readonly inputInterface?: string;
  readonly outputInterface?: string;
  /** `tcp`, …, or a protocol number. */
  readonly proto?: string;
  readonly icmp?: { readonly type: number; readonly code: number };
  readonly src: RecordEnd;
  readonly dst: RecordEnd;
  readonly policy?: RecordPolicy;
  readonly implicit?: RecordImplicit;
  /** The host endpoint whose policy this was. */
  readonly hostEndpoint?: RecordHost;
  readonly staged: readonly RecordStaged[];
  readonly stagedOmitted?: number;
  /** Staged policies were not asked: too many flows at once. */
  readonly stagedSkipped?: true;
  /** Packets logged. */
  readonly count: number;
  readonly firstTs: string;
  readonly lastTs: string;
  /** Packets that the same rule matched and its rate limit did not log since the last record of the rule. */
  readonly suppressed: number;
  /** As in the kernel's log prefix. */
  readonly ruleId: string;
  /** Headers were cut or contradictory, or fragments carry no ports. */
  readonly partial?: true;
}

/** What a flow is joined with. */
export interface RecordContext {
  readonly node: string;
  readonly nowMs: number;
  /** Names of interfaces. */
  readonly input: string | undefined;
  readonly output: string | undefined;
  readonly source: End;
  readonly destination: End;
  readonly service: ServiceName | undefined;
  readonly meaning: RuleMeaning | undefined;
  /** Of the policy that `meaning` names. */
  readonly tier: string | undefined;
  readonly host: JudgedHost | undefined;
  /** `undefined` = not asked. */
  readonly staged: readonly RecordStaged[] | undefined;
  readonly suppressed: number;
}

/** NF_INET_*, linux/netfilter.h. */
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

/** `tcp`, or the number as text. */
export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? String(protocol);
}

const KIND_OF_SHORT_NAME: ReadonlyMap<string, PolicyKind> = new Map(
  (Object.entries(POLICY_SHORT_NAMES) as [PolicyKind, string][]).map(([kind, short]) => [
    short,
    kind,
  ]),
);

export function toRecord(flow: Flow, context: RecordContext): FlowRecord {
  const { meaning } = context;
  const parsed = meaning ?? parseRuleId(flow.ruleId);
  const { icmpType, icmpCode } = flow;
  const staged = boundedList(context.staged ?? []);
  return {
    schema: RECORD_SCHEMA,
    ts: isoTime(context.nowMs),
    node: context.node,
    verdict: parsed?.verdict ?? 'unknown',
    ...present('direction', parsed?.direction),
    ...present('hook', hookName(flow)),
    ...present('inputInterface', context.input),
    ...present('outputInterface', context.output),
    ...present('proto', flow.protocol === undefined ? undefined : protocolName(flow.protocol)),
    ...(icmpType === undefined || icmpCode === undefined
      ? {}
      : { icmp: { type: icmpType, code: icmpCode } }),
    src: recordEnd(flow.source, flow.sport, context.source, undefined),
    dst: recordEnd(flow.destination, flow.dport, context.destination, context.service),
    ...whyOf(meaning, context.tier),
    ...present('hostEndpoint', context.host && hostOf(context.host)),
    staged: staged.kept,
    ...present('stagedOmitted', staged.omitted || undefined),
    ...(context.staged === undefined ? { stagedSkipped: true } : {}),
    count: flow.count,
    firstTs: isoTime(flow.firstMs),
    lastTs: isoTime(flow.lastMs),
    suppressed: context.suppressed,
    ruleId: flow.ruleId,
    ...(flow.isPartial || flow.isFragment ? { partial: true } : {}),
  };
}

function recordEnd(
  address: Address | undefined,
  port: number | undefined,
  { kind, namespace, name, labels }: End,
  service: ServiceName | undefined,
): RecordEnd {
  const { kept, omitted } = boundedLabels(labels);
  return {
    ...present('ip', address === undefined ? undefined : printAddress(address)),
    ...present('port', port),
    kind,
    ...present('namespace', namespace),
    ...present('name', name),
    ...(Object.keys(kept).length === 0 ? {} : { labels: kept }),
    ...present('labelsOmitted', omitted || undefined),
    ...present('service', service),
  };
}

export function hookName({ hook }: Pick<Flow, 'hook'>): string | undefined {
  return hook === undefined ? undefined : HOOKS[hook];
}

function hostOf({ endpoint, stage }: JudgedHost): RecordHost {
  return { name: endpoint.name, stage };
}

/** Neither for a rule that nobody remembers. */
function whyOf(
  meaning: RuleMeaning | undefined,
  tier: string | undefined,
): Pick<FlowRecord, 'policy' | 'implicit'> {
  if (meaning === undefined) return {};
  const { cause } = meaning;
  if (cause.kind === 'implicit') {
    const { kept, omitted } = boundedList(cause.selectedBy);
    return {
      implicit: {
        reason: cause.reason,
        ...present('tier', cause.tier),
        selectedBy: kept,
        ...present('selectedByOmitted', omitted || undefined),
      },
    };
  }
  return { policy: { ...policyNames(cause.policy), ...present('tier', tier), rule: cause.index } };
}

/** `np/shop/web` in parts. */
export function policyNames(id: string): Pick<RecordPolicy, 'kind' | 'namespace' | 'name'> {
  const [short = '', ...rest] = id.split('/');
  const kind = KIND_OF_SHORT_NAME.get(short);
  const [first = '', second] = rest;
  if (kind === undefined) return { kind: 'Profile', name: rest.join('/') };
  return second === undefined ? { kind, name: first } : { kind, namespace: first, name: second };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Absent fields are left out. */
function present<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}

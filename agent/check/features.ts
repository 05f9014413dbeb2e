/**
 * What nf_tables can do here, found by asking: each row is a small transaction that the kernel checks and takes back, so nothing is
 * changed, and nobody is told. One row per feature.
 */
import { lowerBase } from '../../compiler/nft/base.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import {
  ctStateAny,
  ctStatusAny,
  fibLocal,
  lookupLoads,
  fieldLoads,
  reversePathFails,
  verdict,
  vmap,
} from '../../compiler/nft/exprs.ts';
import { hostBaseChains } from '../../compiler/nft/host-base.ts';
import { HOST_STAGE_NAMES } from '../../compiler/nft/host-stages.ts';
import { setMark } from '../../compiler/nft/mark.ts';
import type { DataType, Expr, NftElement, NftOp, NftSet } from '../../compiler/nft/program.ts';
import { describeErrno, errnoName } from '../errors.ts';
import { commit } from '../netlink/request.ts';
import type { Exchanger, Refusal } from '../netlink/request.ts';
import { failed, ok } from './finding.ts';
import type { Finding } from './finding.ts';

interface Feature {
  readonly name: string;
  /** The module that has it, in kernels that are built of modules. */
  readonly module: string;
  readonly ops: readonly NftOp[];
}

const ORIGIN = 'picket check';
/** Names that no table of ours has, should it be there. */
const CHAIN = 'picket-check';
const SET = 'picket-check-set';

/** The first row is what all others need. */
function features(config: BaseConfig, logGroup: number): readonly Feature[] {
  const drop = verdict({ kind: 'drop' });
  const ports = { keyEnd: [443n], verdict: undefined } as const;
  return [
    { name: 'tables of family inet', module: 'nf_tables', ops: [] },
    { name: 'chains at our hooks', module: 'nf_tables', ops: hooks(config) },
    { name: 'hash sets', module: 'nf_tables', ops: inSet(['ipv4_addr'], {}, { key: [1n] }) },
    {
      name: 'interval sets',
      module: 'nf_tables',
      ops: inSet(['inet_service'], { interval: true }, { key: [80n], ...ports }),
    },
    {
      name: 'sets of concatenated ranges',
      module: 'nf_tables',
      ops: inSet(
        ['ifname', 'ipv4_addr'],
        { interval: true },
        { key: ['eth0', 1n], keyEnd: ['eth0', 9n] },
      ),
    },
    { name: 'verdict maps', module: 'nf_tables', ops: map(['ifname'], ['eth0']) },
    {
      name: 'verdict maps of concatenations',
      module: 'nf_tables',
      ops: map(['inet_proto', 'inet_service'], [6n, 80n]),
    },
    {
      name: 'lookups',
      module: 'nf_tables',
      ops: [...inSet(['ipv4_addr'], {}), ...rule(lookupLoads(fieldLoads(['saddr'], 4), SET))],
    },
    {
      name: 'verdict map lookups',
      module: 'nf_tables',
      ops: [...map(['ipv4_addr'], [1n]), ...rule(vmap(fieldLoads(['saddr'], 4), SET))],
    },
    { name: 'connection state', module: 'nft_ct', ops: rule([...ctStateAny(1), drop]) },
    { name: 'connection status', module: 'nft_ct', ops: rule([...ctStatusAny(1), drop]) },
    { name: 'reverse path', module: 'nft_fib_inet', ops: rule([...reversePathFails(), drop]) },
    { name: 'local addresses', module: 'nft_fib_inet', ops: rule([...fibLocal('daddr'), drop]) },
    {
      name: 'log to NFLOG',
      module: 'nft_log and nfnetlink_log',
      ops: rule([{ kind: 'log', group: logGroup, prefix: ORIGIN, snaplenBytes: 64 }]),
    },
    {
      name: 'limits',
      module: 'nft_limit',
      ops: rule([{ kind: 'limit', perSecond: 1, burst: 1 }]),
    },
    {
      name: 'reject',
      module: 'nft_reject_inet',
      ops: rule([{ kind: 'reject', reject: 'admin-prohibited' }]),
    },
    {
      name: 'reject by TCP reset',
      module: 'nft_reject_inet',
      ops: rule([{ kind: 'reject', reject: 'tcp-reset' }]),
    },
    { name: 'notrack', module: 'nft_ct', ops: rule([{ kind: 'notrack' }]) },
    { name: 'packet mark', module: 'nf_tables', ops: rule(setMark(config.host.acceptMark)) },
    { name: 'named counters', module: 'nft_objref', ops: counter() },
  ];
}

/** One finding per feature that is missing, or one that all are there. Throws AgentError when there is no asking. */
export async function probeFeatures(
  socket: Exchanger,
  config: BaseConfig,
  logGroup: number,
): Promise<readonly Finding[]> {
  const all = features(config, logGroup);
  const missing: Finding[] = [];
  for (const { name, module, ops } of all) {
    const result = await commit(socket, [{ op: 'add-table', origin: ORIGIN }, ...ops], {
      dryRun: true,
    });
    if (result.ok) continue;
    const [refusal] = result.refusals;
    missing.push(
      failed(`${name}: the kernel refuses it: ${describe(refusal)}`, adviceFor(refusal, module)),
    );
    // Without permission, or without nf_tables, all others say the same.
    if (name === all[0]?.name) break;
  }
  return missing.length > 0
    ? missing
    : [ok(`all ${all.length} that Picket needs, from hash sets to fib and NFLOG`)];
}

function describe(refusal: Refusal | undefined): string {
  if (refusal === undefined) return 'without a reason';
  const { errno, extAck } = refusal;
  return describeErrno(errno) + (extAck === undefined ? '' : `, "${extAck}"`);
}

function adviceFor(refusal: Refusal | undefined, module: string): string {
  const name = errnoName(refusal?.errno ?? 0);
  if (name === 'EPERM') return 'run as root, or give the service CAP_NET_ADMIN';
  return `load the kernel module ${module}, or boot a kernel that has it`;
}

/** A chain at every hook and priority where this configuration has one. They are empty, and accept. */
function hooks(config: BaseConfig): NftOp[] {
  const host = hostBaseChains({ stages: new Set(HOST_STAGE_NAMES), wildcard: undefined }, config);
  return [...lowerBase(config), ...host].flatMap(({ chain }) => {
    if (chain.base === undefined) return [];
    const name = `${CHAIN}-${chain.name}`;
    return [{ op: 'add-chain', chain: { name, base: chain.base, rules: [] }, origin: ORIGIN }];
  });
}

function rule(exprs: readonly Expr[]): NftOp[] {
  const chain = { name: CHAIN, base: undefined, rules: [] };
  return [
    { op: 'add-chain', chain, origin: ORIGIN },
    {
      op: 'add-rule',
      chain: CHAIN,
      rule: { exprs, comment: undefined, origin: ORIGIN },
      origin: ORIGIN,
    },
  ];
}

function inSet(
  key: readonly DataType[],
  traits: Partial<NftSet>,
  element?: Partial<NftElement>,
): NftOp[] {
  const kind = { interval: false, verdictMap: false, constant: false, comment: undefined };
  const set: NftSet = { name: SET, key, ...kind, ...traits, origin: ORIGIN };
  const add: NftOp = { op: 'add-set', set, origin: ORIGIN };
  if (element === undefined) return [add];
  const elements = [{ key: [], keyEnd: undefined, verdict: undefined, ...element }];
  return [add, { op: 'add-elements', set, elements, origin: ORIGIN }];
}

function map(key: readonly DataType[], value: NftElement['key']): NftOp[] {
  return inSet(key, { verdictMap: true }, { key: value, verdict: { kind: 'accept' } });
}

function counter(): NftOp[] {
  const named = { name: CHAIN, comment: undefined, origin: ORIGIN };
  return [
    { op: 'add-counter', counter: named, origin: ORIGIN },
    ...rule([{ kind: 'counter', name: CHAIN }]),
  ];
}

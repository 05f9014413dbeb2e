/**
 * One loop: take events, calculate, compile, plan, commit. Comes in: raw events and the host's links and routes. Goes out: transactions to
 * the dataplane. The kernel is touched only by `apply`; whatever fails leaves the last good rules in force and the difference pending.
 */
import { isDeepStrictEqual } from 'node:util';
import { Calc } from '../../compiler/calc/calc.ts';
import type {
  CalcChanges,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
} from '../../compiler/calc/resolved.ts';
import { toAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import type { HostInterface } from '../../compiler/oracle/world.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import type { NftOp } from '../../compiler/nft/program.ts';
import { Table } from '../../compiler/nft/table.ts';
import type { ParseContext } from '../../compiler/model/parse/resource.ts';
import type { Dataplane, Refusal } from '../dataplane/dataplane.ts';
import { isAdoptable, plan } from '../dataplane/plan.ts';
import { planStep } from '../dataplane/stage.ts';
import type { Step } from '../dataplane/stage.ts';
import { NOWHERE } from '../../compiler/nft/host-endpoints.ts';
import type { HostPlacement } from '../../compiler/nft/host-endpoints.ts';
import { placeHosts } from '../endpoints/host-placement.ts';
import { NO_NETWORK, Placements } from '../endpoints/placement.ts';
import type { HostNetwork } from '../endpoints/placement.ts';
import { AgentError, NEEDED_CAPABILITY } from '../errors.ts';
import { Store } from '../store/store.ts';
import type { Finding, StoreChange } from '../store/store.ts';
import type { RawEvent } from '../watch/event.ts';
import { OwnedAddresses } from './owned-addresses.ts';

export interface EngineConfig {
  readonly node: string;
  readonly base: BaseConfig;
  readonly parse: ParseContext;
  /** What the store of the engine before has `kept`. */
  readonly inherited?: ReadonlyMap<string, Resource>;
  /** Hears of every resource that is accepted, changes or goes; must be quick and must not throw. */
  readonly onResource?: (change: StoreChange) => void;
}

export interface ApplyReport {
  /** Operations committed, by kind; empty = the kernel was up to date and nothing was sent. */
  readonly operations: Readonly<Record<string, number>>;
  readonly transactions: number;
  /** Refused by the kernel and left out, fail closed. */
  readonly quarantined: readonly Refusal[];
  /** Addresses that no longer belong to the local endpoint that had them: the kernel must forget their connections. */
  readonly released: readonly Address[];
  /** Part of the difference is still to be sent: `step` again, once what arrived meanwhile has been taken. */
  readonly more: boolean;
}

/** Attempts of one apply: a refused object is left out and the rest is tried again; doubt reads the kernel again. */
const MAX_ATTEMPTS = 8;

/** Of those, how many may end without any answer: each takes a minute, and whoever called has to be told. */
const MAX_TIMEOUTS = 2;

/** Refusals that a message lists; the rest is counted. */
const MAX_PRINTED = 5;

/** Errors that mean the kernel is not as we believe, not that an object is bad. */
const DOUBT = new Set(['EEXIST', 'ENOENT', 'EBUSY', 'ERESTART']);

/** Nothing could be applied: the kernel refused something that cannot be left out. */
export class ApplyError extends Error {
  readonly refusals: readonly Refusal[];

  constructor(refusals: readonly Refusal[]) {
    super(printRefusals(refusals));
    this.name = 'ApplyError';
    this.refusals = refusals;
  }
}

export class Engine {
  readonly #dataplane: Dataplane;
  readonly #onResource: (change: StoreChange) => void;
  readonly #store: Store;
  readonly #calc: Calc;
  #table = new Table();
  #compiler: TableCompiler;
  readonly #locals = new Map<string, ResolvedEndpoint>();
  readonly #owned = new OwnedAddresses();
  readonly #policies = new Map<string, ResolvedPolicy>();
  readonly #placements: Placements;
  readonly #interfacePrefixes: readonly string[];
  readonly #hosts = new Map<string, ResolvedHostEndpoint>();
  #hostPlacements: ReadonlyMap<string, HostPlacement> = new Map();
  #network = NO_NETWORK;
  /** Something changed that host endpoints are found by. */
  #isNetworkNew = false;
  #isSynced = false;
  /** The kernel has a table that cannot be changed into ours step by step. */
  #isOtherShape = false;
  #isForgiving = false;

  constructor(config: EngineConfig, dataplane: Dataplane) {
    this.#dataplane = dataplane;
    this.#onResource = config.onResource ?? (() => undefined);
    this.#store = new Store(config.parse, config.inherited);
    this.#calc = new Calc(config.node);
    this.#interfacePrefixes = config.base.interfacePrefixes;
    this.#placements = new Placements(config.base.interfacePrefixes[0] ?? 'cali');
    this.#compiler = new TableCompiler(this.#table, config.base);
  }

  get store(): Store {
    return this.#store;
  }

  get table(): Table {
    return this.#table;
  }

  get compiler(): TableCompiler {
    return this.#compiler;
  }

  /** Local endpoints as last compiled. */
  endpoints(): ResolvedEndpoint[] {
    return [...this.#locals.values()];
  }

  /** One of them, by its id. */
  endpoint(id: string): ResolvedEndpoint | undefined {
    return this.#locals.get(id);
  }

  /** Host endpoints of this node as last compiled, by name, and which interfaces each has. */
  hostEndpoints(): {
    readonly resolved: ResolvedHostEndpoint;
    readonly placement: HostPlacement;
  }[] {
    return [...this.#hosts.values()].map((resolved) => ({
      resolved,
      placement: this.#hostPlacements.get(resolved.endpoint.name) ?? NOWHERE,
    }));
  }

  /** Policies and profiles in use, as last compiled. */
  policies(): ResolvedPolicy[] {
    return [...this.#policies.values()];
  }

  /** A policy or profile in use, as last compiled. */
  policy(id: string): ResolvedPolicy | undefined {
    return this.#policies.get(id);
  }

  /** Takes events; the kernel hears of them at the next `apply`. Returns what was found wrong. */
  take(events: readonly RawEvent[]): Finding[] {
    return events.flatMap((event) => {
      const { change, findings } = this.#store.take(event);
      if (change !== undefined) this.#onResource(change);
      if (change?.op === 'put') this.#calc.put(change.key, change.resource);
      if (change?.op === 'delete') this.#calc.delete(change.key);
      return findings;
    });
  }

  /** Links, addresses and routes as they are now; endpoints that are found elsewhere move at the next `apply`. */
  setNetwork(network: HostNetwork): void {
    this.#placements.setNetwork(network);
    this.#network = network;
    this.#isNetworkNew = true;
  }

  /** Interfaces of the host with their addresses, as last set. */
  interfaces(): HostInterface[] {
    const { links, addresses } = this.#network;
    return [...links].map((name) => ({
      name,
      addresses: [...(addresses.get(name) ?? [])].flatMap((text) => toAddress(text) ?? []),
      isWorkload: this.#isWorkloads(name),
    }));
  }

  /** Brings the desired table up to date without touching the kernel. */
  compile(): Table {
    // Here and not in `forgive`, which may be called while a transaction is under way.
    if (this.#isForgiving) this.#compiler.forgive();
    this.#isForgiving = false;
    const changes = this.#calc.flush();
    for (const [id, resolved] of changes.endpoints) {
      this.#owned.take(this.#locals.get(id), resolved);
      if (resolved === undefined) {
        this.#locals.delete(id);
        this.#placements.delete(id);
      } else {
        this.#locals.set(id, resolved);
        this.#placements.put(resolved.endpoint);
      }
    }
    for (const [id, policy] of changes.policies) {
      if (policy === undefined) this.#policies.delete(id);
      else this.#policies.set(id, policy);
    }
    const affected = this.#placements.takeAffected();
    this.#placeHosts(changes, affected.length > 0);
    this.#compiler.apply(
      changes,
      ({ endpoint }) => this.#placements.placementOf(endpoint.id),
      ({ endpoint }) => this.#hostPlacements.get(endpoint.name) ?? NOWHERE,
    );
    for (const id of affected) this.#move(id);
    for (const name of this.#hosts.keys()) this.#moveHost(name);
    return this.#table;
  }

  /** Where host endpoints are, anew if something came that may have moved them. */
  #placeHosts({ hostEndpoints }: CalcChanges, haveWorkloadsMoved: boolean): void {
    for (const [name, resolved] of hostEndpoints) {
      if (resolved === undefined) this.#hosts.delete(name);
      else this.#hosts.set(name, resolved);
    }
    const isNew = hostEndpoints.size > 0 || haveWorkloadsMoved || this.#isNetworkNew;
    this.#isNetworkNew = false;
    if (!isNew || this.#hosts.size + this.#hostPlacements.size === 0) return;
    const endpoints = [...this.#hosts.values()].map(({ endpoint }) => endpoint);
    this.#hostPlacements = placeHosts(endpoints, this.#network, (ifname) =>
      this.#isWorkloads(ifname),
    );
  }

  #isWorkloads(ifname: string): boolean {
    return (
      this.#interfacePrefixes.some((prefix) => ifname.startsWith(prefix)) ||
      this.#placements.isOwned(ifname)
    );
  }

  /** Reads the kernel's table, so that the next `apply` sends only what differs. */
  async resync(): Promise<void> {
    // Before the dump: a doubt that comes while it runs has to survive it.
    this.#isSynced = true;
    try {
      const kernel = await this.#dataplane.dump();
      this.#owned.adopt(kernel);
      this.#isOtherShape = kernel !== undefined && !isAdoptable(this.#table, kernel);
      this.#table.adopt(this.#isOtherShape ? undefined : kernel);
    } catch (error) {
      this.#isSynced = false;
      throw error;
    }
  }

  /** Steps until nothing differs. Events taken meanwhile are part of it. Throws as `step`. */
  async apply(): Promise<ApplyReport> {
    const reports = [await this.step()];
    while (reports.at(-1)?.more === true) reports.push(await this.step());
    return mergeReports(reports);
  }

  /**
   * Compiles and commits what differs, in one transaction; when that would be too large, the part that can go ahead (see planStep), so that
   * what is taken in between is in the next one. Throws AgentError or ApplyError; the next step then reads the kernel first.
   */
  async step(): Promise<ApplyReport> {
    try {
      return await this.#step();
    } catch (error) {
      this.#isSynced = false;
      throw error;
    }
  }

  /** Objects refused earlier are tried again at the next `apply`; true when there are any. */
  forgive(): boolean {
    this.#isForgiving = this.#compiler.refused.size > 0;
    return this.#isForgiving;
  }

  /** The kernel's table cannot be trusted any more: read it before the next `apply`. */
  doubt(): void {
    this.#isSynced = false;
  }

  async #step(): Promise<ApplyReport> {
    this.compile();
    const quarantined: Refusal[] = [];
    let timeouts = 0;
    for (let attempt = 1; ; attempt++) {
      const isFresh = !this.#isSynced;
      try {
        if (isFresh) await this.resync();
        const step = this.#plan();
        if (step.ops.length === 0) return this.#settle(step, quarantined);
        const result = await this.#dataplane.commit(step.ops);
        if (result.ok) {
          this.#isOtherShape = false;
          return this.#settle(step, quarantined);
        }
        if (attempt >= MAX_ATTEMPTS) throw new ApplyError(result.refusals);
        this.#recover(result.refusals, quarantined, isFresh);
      } catch (error) {
        if (!isUncertain(error) || attempt >= MAX_ATTEMPTS) throw error;
        if (error.code === 'ERR_NETLINK_TIMEOUT' && ++timeouts >= MAX_TIMEOUTS) throw error;
        this.#isSynced = false;
      }
    }
  }

  /** A table of other shape is replaced in the same transaction as the new contents are sent. */
  #plan(): Step {
    if (!this.#isOtherShape) return planStep(this.#table);
    const remove: NftOp = { op: 'delete-table', origin: 'table of another version' };
    return { ops: [remove, ...plan(this.#table)], isLast: true };
  }

  /**
   * What was refused for its own sake is left out; what it takes with it (elements and rules of a refused set: ENOENT) then resolves itself.
   * Where there are only errors that a changed kernel explains, the kernel is read first, and they count when they come again: an
   * expression whose module is missing is ENOENT too (nft_expr_type_get in net/netfilter/nf_tables_api.c, v6.12).
   */
  #recover(refusals: readonly Refusal[], quarantined: Refusal[], isFresh: boolean): void {
    const own = refusals.filter(({ errnoName }) => !DOUBT.has(errnoName));
    if (own.length === 0 && !isFresh) {
      this.#isSynced = false;
      return;
    }
    const leaveOut = ({ op }: Refusal): boolean =>
      op !== undefined && this.#compiler.refuse(op.origin);
    const left = own.filter(leaveOut);
    // A refused constant set can only be left out with the rule that uses it.
    if (left.length === 0) left.push(...refusals.filter(leaveOut));
    if (left.length === 0) throw new ApplyError(own.length > 0 ? own : refusals);
    quarantined.push(...left);
  }

  /** After a commit, or with nothing to commit. Connections are forgotten once every rule is in force. */
  #settle({ ops, isLast }: Step, quarantined: readonly Refusal[]): ApplyReport {
    if (isLast) this.#table.settle();
    else this.#table.settleOps(ops);
    return {
      operations: countBy(ops.map(({ op }) => op)),
      transactions: ops.length === 0 ? 0 : 1,
      quarantined,
      released: isLast ? this.#owned.settle() : [],
      more: !isLast,
    };
  }

  #move(id: string): void {
    const before = this.#compiler.endpoint(id)?.placement;
    const after = this.#placements.placementOf(id);
    if (before !== undefined && !isDeepStrictEqual(before, after)) this.#compiler.place(id, after);
  }

  #moveHost(name: string): void {
    const after = this.#hostPlacements.get(name) ?? NOWHERE;
    if (isDeepStrictEqual(this.#compiler.hostPlacementOf(name), after)) return;
    this.#compiler.placeHost(name, after);
  }
}

/** Whether a batch was applied is unknown, or the answer to a question was lost: the kernel tells when asked again. */
function isUncertain(error: unknown): error is AgentError {
  return error instanceof AgentError && error.retry === 'resync';
}

/** `set s:…: ENOMEM: text`. */
export function printRefusal({ op, errnoName, extAck }: Refusal): string {
  const origin = op === undefined ? 'the transaction' : `${op.origin} (${op.op})`;
  const hint = errnoName === 'EPERM' ? `; ${NEEDED_CAPABILITY}` : '';
  return `${origin}: ${errnoName}${extAck ? `: ${extAck}` : ''}${hint}`;
}

/** Each text once, the first few. */
function printRefusals(refusals: readonly Refusal[]): string {
  const texts = [...new Set(refusals.map(printRefusal))];
  const more = texts.length - MAX_PRINTED;
  return [...texts.slice(0, MAX_PRINTED), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function mergeReports(reports: readonly ApplyReport[]): ApplyReport {
  const operations: Record<string, number> = {};
  for (const [name, count] of reports.flatMap((report) => Object.entries(report.operations))) {
    operations[name] = (operations[name] ?? 0) + count;
  }
  return {
    operations,
    transactions: reports.reduce((sum, report) => sum + report.transactions, 0),
    quarantined: reports.flatMap((report) => report.quarantined),
    released: reports.flatMap((report) => report.released),
    more: false,
  };
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

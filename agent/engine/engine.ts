/**
 * One loop: take events, calculate, compile, plan, commit. Comes in: raw events and the host's links and routes. Goes out: transactions to
 * the dataplane. The kernel is touched only by `apply`; whatever fails leaves the last good rules in force and the difference pending.
 */
import { Calc } from '../../compiler/calc/calc.ts';
import type { ResolvedEndpoint, ResolvedPolicy } from '../../compiler/calc/resolved.ts';
import type { WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import { Table } from '../../compiler/nft/table.ts';
import type { ParseContext } from '../../compiler/model/parse/resource.ts';
import type { Dataplane, Refusal } from '../dataplane/dataplane.ts';
import { isAdoptable, plan } from '../dataplane/plan.ts';
import { findSharedDevices, placeEndpoint } from '../endpoints/placement.ts';
import type { HostNetwork } from '../endpoints/placement.ts';
import { Store } from '../store/store.ts';
import type { Finding } from '../store/store.ts';
import type { RawEvent } from '../watch/event.ts';

export interface EngineConfig {
  readonly node: string;
  readonly base: BaseConfig;
  readonly parse: ParseContext;
}

export interface ApplyReport {
  /** Operations committed, by kind; empty = the kernel was up to date and nothing was sent. */
  readonly operations: Readonly<Record<string, number>>;
  readonly transactions: number;
  /** Refused by the kernel and left out, fail closed. */
  readonly quarantined: readonly Refusal[];
}

/** Attempts of one apply: a refused object is left out and the rest is tried again; doubt reads the kernel again. */
const MAX_ATTEMPTS = 8;

/** Errors that mean the kernel is not as we believe, not that an object is bad. */
const DOUBT = new Set(['EEXIST', 'ENOENT', 'EBUSY', 'ERESTART']);

/** Nothing could be applied: the kernel refused something that cannot be left out. */
export class ApplyError extends Error {
  readonly refusals: readonly Refusal[];

  constructor(refusals: readonly Refusal[]) {
    super(refusals.map(printRefusal).join('; '));
    this.name = 'ApplyError';
    this.refusals = refusals;
  }
}

export class Engine {
  readonly #config: EngineConfig;
  readonly #dataplane: Dataplane;
  readonly #store: Store;
  readonly #calc: Calc;
  #table = new Table();
  #compiler: TableCompiler;
  readonly #locals = new Map<string, ResolvedEndpoint>();
  readonly #policies = new Map<string, ResolvedPolicy>();
  #network: HostNetwork = { links: new Set(), hostRoutes: new Map() };
  #shared: ReadonlySet<string> = new Set();
  #isSynced = false;

  constructor(config: EngineConfig, dataplane: Dataplane) {
    this.#config = config;
    this.#dataplane = dataplane;
    this.#store = new Store(config.parse);
    this.#calc = new Calc(config.node);
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

  /** A policy or profile in use, as last compiled. */
  policy(id: string): ResolvedPolicy | undefined {
    return this.#policies.get(id);
  }

  /** Takes events; the kernel hears of them at the next `apply`. Returns what was found wrong. */
  take(events: readonly RawEvent[]): Finding[] {
    return events.flatMap((event) => {
      const { change, findings } = this.#store.take(event);
      if (change?.op === 'put') this.#calc.put(change.key, change.resource);
      if (change?.op === 'delete') this.#calc.delete(change.key);
      return findings;
    });
  }

  /** Links and routes as they are now; endpoints that are found elsewhere move at the next `apply`. */
  setNetwork(network: HostNetwork): void {
    this.#network = network;
    this.#placeAll();
  }

  /** Brings the desired table up to date without touching the kernel. */
  compile(): Table {
    const changes = this.#calc.flush();
    for (const [id, resolved] of changes.endpoints) {
      if (resolved === undefined) this.#locals.delete(id);
      else this.#locals.set(id, resolved);
    }
    for (const [id, policy] of changes.policies) {
      if (policy === undefined) this.#policies.delete(id);
      else this.#policies.set(id, policy);
    }
    const shared = this.#findShared();
    const moved = shared.symmetricDifference(this.#shared).size > 0;
    this.#shared = shared;
    this.#compiler.apply(changes, ({ endpoint }) => this.#placementOf(endpoint));
    if (moved) this.#placeAll();
    return this.#table;
  }

  /** Reads the kernel's table, so that the next `apply` sends only what differs. */
  async resync(): Promise<void> {
    const kernel = await this.#dataplane.dump();
    if (kernel !== undefined && !isAdoptable(this.#table, kernel)) {
      await this.#replace();
      return;
    }
    this.#table.adopt(kernel);
    this.#isSynced = true;
  }

  /** Compiles and commits what differs. Throws AgentError or ApplyError; then nothing has changed in the kernel. */
  async apply(): Promise<ApplyReport> {
    this.compile();
    if (!this.#isSynced) await this.resync();
    const quarantined: Refusal[] = [];
    for (let attempt = 1; ; attempt++) {
      const ops = plan(this.#table);
      if (ops.length === 0) {
        this.#table.settle();
        return { operations: {}, transactions: 0, quarantined };
      }
      const result = await this.#dataplane.commit(ops);
      if (result.ok) {
        this.#table.settle();
        return { operations: countBy(ops.map(({ op }) => op)), transactions: 1, quarantined };
      }
      if (attempt >= MAX_ATTEMPTS) throw new ApplyError(result.refusals);
      await this.#recover(result.refusals, quarantined);
    }
  }

  /** Objects refused earlier are tried again at the next `apply`; true when there are any. */
  forgive(): boolean {
    return this.#compiler.forgive();
  }

  /** The kernel's table cannot be trusted any more: read it before the next `apply`. */
  doubt(): void {
    this.#isSynced = false;
  }

  async #recover(refusals: readonly Refusal[], quarantined: Refusal[]): Promise<void> {
    if (refusals.some(({ errnoName }) => DOUBT.has(errnoName))) {
      await this.resync();
      return;
    }
    const left = refusals.filter(({ op }) => op !== undefined && this.#compiler.refuse(op.origin));
    if (left.length === 0) throw new ApplyError(refusals);
    quarantined.push(...left);
  }

  /** Replaces a table of other shape in the same transaction as the new contents are sent. */
  async #replace(): Promise<void> {
    this.#table.adopt(undefined);
    const ops = plan(this.#table);
    const result = await this.#dataplane.commit([
      { op: 'delete-table', origin: 'table of another version' },
      ...ops,
    ]);
    if (!result.ok) throw new ApplyError(result.refusals);
    this.#table.settle();
    this.#isSynced = true;
  }

  #placeAll(): void {
    this.#shared = this.#findShared();
    for (const [id, { endpoint }] of this.#locals) {
      const placement = this.#placementOf(endpoint);
      const before = this.#compiler.endpoint(id)?.placement;
      if (JSON.stringify(before) !== JSON.stringify(placement)) {
        this.#compiler.place(id, placement);
      }
    }
  }

  #findShared(): Set<string> {
    const endpoints = [...this.#locals.values()].map(({ endpoint }) => endpoint);
    return findSharedDevices(endpoints, this.#network);
  }

  #placementOf(endpoint: WorkloadEndpoint): ReturnType<typeof placeEndpoint> {
    const [prefix = 'cali'] = this.#config.base.interfacePrefixes;
    return placeEndpoint(endpoint, this.#network, this.#shared, prefix);
  }
}

/** `set s:…: ENOMEM: text`. */
export function printRefusal({ op, errnoName, extAck }: Refusal): string {
  const origin = op === undefined ? 'the transaction' : `${op.origin} (${op.op})`;
  return `${origin}: ${errnoName}${extAck ? `: ${extAck}` : ''}`;
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/**
 * Policies and profiles that a local endpoint refers to: how often, and with which rules and sets. Comes in: references, and which objects
 * changed. Goes out: what is new, changed or no longer used. Refuses to know: endpoints, and who selects whom.
 */
import type { PeerSets } from './peer-sets.ts';
import { resolvePolicy } from './peers.ts';
import type { RuleOwner } from './peers.ts';
import type { ResolvedPolicy } from './resolved.ts';
import { isSame } from './same.ts';

const DENY_ALL = [{ action: 'deny', index: 0, name: undefined, match: 'everything' }] as const;

/** A profile that does not exist denies (specification section 1.8); a policy that is gone has no rules. */
const MISSING = { namespace: undefined, stage: 'tracked' } as const;
const MISSING_PROFILE: RuleOwner = { ...MISSING, ingress: DENY_ALL, egress: DENY_ALL };
const MISSING_POLICY: RuleOwner = { ...MISSING, ingress: [], egress: [] };

export class PoliciesInUse {
  readonly #peers: PeerSets;
  readonly #ownerOf: (id: string) => RuleOwner | undefined;
  readonly #entries = new Map<string, { refs: number; resolved: ResolvedPolicy }>();
  readonly #touched = new Set<string>();
  #changes = new Map<string, ResolvedPolicy | undefined>();

  constructor(peers: PeerSets, ownerOf: (id: string) => RuleOwner | undefined) {
    this.#peers = peers;
    this.#ownerOf = ownerOf;
  }

  acquire(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) {
      entry.refs++;
      return;
    }
    const resolved = this.#resolve(id);
    for (const spec of resolved.sets.values()) this.#peers.acquire(spec);
    this.#entries.set(id, { refs: 1, resolved });
    this.#changes.set(id, resolved);
    this.#touched.delete(id);
  }

  release(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || --entry.refs > 0) return;
    for (const spec of entry.resolved.sets.values()) this.#peers.release(spec.id);
    this.#entries.delete(id);
    this.#changes.set(id, undefined);
  }

  /** The object changed; whoever uses it learns at `refresh`. */
  touch(id: string): void {
    this.#touched.add(id);
  }

  /** Resolves what was touched and is in use. */
  refresh(): void {
    for (const id of this.#touched) this.#refreshOne(id);
    this.#touched.clear();
  }

  /** Drains what changed; `undefined` = no longer used. */
  takeChanges(): ReadonlyMap<string, ResolvedPolicy | undefined> {
    const changes = this.#changes;
    this.#changes = new Map();
    return changes;
  }

  #refreshOne(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const resolved = this.#resolve(id);
    if (isAlike(resolved, entry.resolved)) return;
    for (const spec of resolved.sets.values()) this.#peers.acquire(spec);
    for (const spec of entry.resolved.sets.values()) this.#peers.release(spec.id);
    entry.resolved = resolved;
    this.#changes.set(id, resolved);
  }

  #resolve(id: string): ResolvedPolicy {
    const missing = id.startsWith('pro/') ? MISSING_PROFILE : MISSING_POLICY;
    return resolvePolicy(id, this.#ownerOf(id) ?? missing);
  }
}

/** Same rules over the same sets: labels and order of the object play no part. */
function isAlike(a: ResolvedPolicy, b: ResolvedPolicy): boolean {
  return (
    a.stage === b.stage &&
    a.logAllowed === b.logAllowed &&
    isSame(a.ingress, b.ingress) &&
    isSame(a.egress, b.egress)
  );
}

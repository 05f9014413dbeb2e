/**
 * What a follower of the Kubernetes API knows, for tests: runs the real source with short waiting times, and keeps every object it was told
 * of. Comes in: a kubeconfig; goes out: objects by key, as the store would have them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Access } from '../../../agent/kube/access.ts';
import { readKubeconfig } from '../../../agent/kube/kubeconfig.ts';
import type { Connection } from '../../../agent/kube/kubeconfig.ts';
import { KubernetesSource } from '../../../agent/kube/kubernetes-source.ts';
import { KUBE_LIMITS, REAL_TIMING } from '../../../agent/kube/timing.ts';
import type { KubeLimits, Timing } from '../../../agent/kube/timing.ts';
import type { RawEvent } from '../../../agent/watch/event.ts';
import type { Batch } from '../../../agent/watch/source.ts';

/** As in production, but for the waiting between attempts. Silence is waited for as long as a busy machine may take. */
const QUICK: KubeLimits = {
  ...KUBE_LIMITS,
  answerMs: 10_000,
  idleMs: 10_000,
  discoveryMs: 30,
  backOffMs: [5, 40],
  healthyMs: 200,
};

const DEADLINE_MS = 120_000;

export class Mirror {
  readonly objects = new Map<string, RawEvent & { op: 'put' }>();
  readonly events: RawEvent[] = [];
  batches = 0;
  largestBatch = 0;
  last: Batch | undefined;
  /** Everything that was ever wrong. */
  readonly allIssues = new Set<string>();
  /** While set, batches are not taken. */
  isPaused = false;
  readonly #stop = new AbortController();
  readonly #task: Promise<void>;

  private constructor(
    connect: () => Connection,
    limits: Partial<KubeLimits>,
    env: NodeJS.ProcessEnv,
    timing: Timing,
  ) {
    const source = new KubernetesSource({
      node: 'n1',
      access: new Access(connect, env),
      timing,
      limits: { ...QUICK, ...limits },
    });
    this.#task = this.#follow(source);
  }

  static async with(
    connection: string | Connection,
    use: (mirror: Mirror) => Promise<void>,
    {
      limits = {},
      env = {},
      timing = REAL_TIMING,
    }: { limits?: Partial<KubeLimits>; env?: NodeJS.ProcessEnv; timing?: Timing } = {},
  ): Promise<void> {
    const connect = (): Connection =>
      typeof connection === 'string' ? readKubeconfig(connection) : connection;
    const mirror = new Mirror(connect, limits, env, timing);
    try {
      await use(mirror);
    } finally {
      mirror.#stop.abort();
      await mirror.#task;
    }
  }

  get isSynced(): boolean {
    return this.last?.isSynced ?? false;
  }

  /** `file: message` of everything that is wrong now. */
  get issues(): string[] {
    return (this.last?.issues ?? []).map(({ file, message }) => `${file}: ${message}`);
  }

  /** Keys of one kind, sorted: `<group>/<kind>`. */
  keys(kind: string): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(`${kind}/`)).toSorted();
  }

  async until(what: string, probe: () => boolean): Promise<void> {
    const end = performance.now() + DEADLINE_MS;
    while (!probe()) {
      if (performance.now() > end) {
        const known = JSON.stringify([this.isSynced, [...this.objects.keys()], this.issues]);
        throw new Error(`waited in vain: ${what}; ${known}`);
      }
      await delay(5);
    }
  }

  async synced(): Promise<void> {
    await this.until('in sync', () => this.isSynced);
  }

  async #follow(source: KubernetesSource): Promise<void> {
    for await (const batch of source.watch(this.#stop.signal)) {
      this.batches += 1;
      this.largestBatch = Math.max(this.largestBatch, batch.events.length);
      this.last = batch;
      for (const text of this.issues) this.allIssues.add(text);
      this.events.push(...batch.events);
      for (const event of batch.events) {
        if (event.op === 'put') this.objects.set(event.key, event);
        else this.objects.delete(event.key);
      }
      while (this.isPaused && !this.#stop.signal.aborted) await delay(5);
    }
  }
}

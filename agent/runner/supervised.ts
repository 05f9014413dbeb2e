/**
 * Keeps the service manager informed of a running agent: up, reloading, alive, status. Comes in: the agent and a notifier. Alive means
 * that the event loop turns and no transaction has been under way for too long; when it is not, silence is the message.
 *
 *   agent.events --\
 *   every second ---> readiness --> READY=1, STATUS=…, EXTEND_TIMEOUT_USEC=… until up, WATCHDOG=1
 */
import { reloading } from '../obs/notify.ts';
import type { Notifier, NotifyFields } from '../obs/notify.ts';
import type { Agent } from './agent.ts';
import { readinessOf } from './readiness.ts';

/** How often the state is looked at, milliseconds, also when nothing happens. */
const LOOK_MS = 1_000;

/**
 * A step that takes longer hangs, milliseconds: the longest that can end is a few attempts, of which two may go without an answer for a
 * minute each (agent/engine/engine.ts).
 */
export const MAX_STEP_MS = 300_000;

/** What a start under way asks for at every look, milliseconds: longer than compiling blocks the loop. */
const EXTEND_MS = 60_000;

/** What of the agent the service manager hears of. */
export type Supervisable = Pick<Agent, 'events' | 'state' | 'engine' | 'stepMs'>;

/** The life of the service: one agent after the other, as the configuration changes. */
export class Supervised {
  readonly #notifier: Notifier | undefined;
  /** `performance.now()` of the agent's start. */
  #startedMs = 0;
  #agent: Supervisable | undefined;
  #isUp = false;
  #status = '';
  #lastAliveMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  /** Without a notifier all of it does nothing. */
  constructor(notifier: Notifier | undefined) {
    this.#notifier = notifier;
    if (notifier === undefined) return;
    const { watchdogMs = Infinity } = notifier;
    // A third: two looks may come late before anybody thinks that we hang.
    this.#timer = setInterval(() => this.look(), Math.min(LOOK_MS, watchdogMs / 3)).unref();
  }

  /** From now on this agent is the service; up is told when it is. */
  follow(agent: Supervisable): void {
    this.#agent = agent;
    this.#startedMs = performance.now();
    this.#isUp = false;
    for (const event of ['taken', 'applied', 'failed', 'held'] as const) {
      agent.events.on(event, () => this.look());
    }
    this.look();
  }

  /** A reload begins; `follow` ends it, or `look` when the agent stays as it is. */
  reload(): void {
    this.#isUp = false;
    this.#status = '';
    this.#send(reloading(process.hrtime.bigint()));
  }

  /** Says what has changed, and that we live. */
  look(): void {
    const agent = this.#agent;
    if (agent === undefined || this.#notifier === undefined) return;
    const nowMs = performance.now();
    const governed = {
      workloads: agent.engine.endpoints().length,
      hostEndpoints: agent.engine.hostEndpoints().length,
    };
    const { isUp, status } = readinessOf(agent.state, governed, nowMs - this.#startedMs);
    this.#tell(isUp, status);
    if (!this.#isUp) this.#send({ EXTEND_TIMEOUT_USEC: EXTEND_MS * 1000 });
    this.#keepAlive(agent, nowMs);
  }

  /** The last words. */
  stopping(): void {
    clearInterval(this.#timer);
    this.#agent = undefined;
    this.#send({ STOPPING: 1, STATUS: 'stopping; the rules stay in force' });
  }

  /** What is not taken is said again at the next look: a start must not hang on a full queue. */
  #tell(isUp: boolean, status: string): void {
    const isNews = isUp && !this.#isUp;
    if (!isNews && status === this.#status) return;
    if (!this.#send({ ...(isNews ? { READY: 1 } : {}), STATUS: status })) return;
    this.#isUp ||= isUp;
    this.#status = status;
  }

  #keepAlive(agent: Supervisable, nowMs: number): void {
    const watchdogMs = this.#notifier?.watchdogMs;
    if (watchdogMs === undefined || agent.stepMs() > MAX_STEP_MS) return;
    if (nowMs - this.#lastAliveMs < watchdogMs / 4) return;
    if (this.#send({ WATCHDOG: 1 })) this.#lastAliveMs = nowMs;
  }

  #send(fields: NotifyFields): boolean {
    return this.#notifier?.send(fields) ?? true;
  }
}

/**
 * All reflectors of one API server: those of built-in resources at once, others as discovery finds them. Comes in: a client; goes out: events
 * in the outbox, whether everything needed was listed, and what is wrong. Knows nothing of batches.
 */
import type { FileIssue } from '../watch/file-set.ts';
import { ApiError, isWorthTelling } from './api-error.ts';
import type { ApiErrorDetail } from './api-error.ts';
import { Discovery } from './discovery.ts';
import { Reflector } from './reflector.ts';
import type { Problem, ReflectorParts } from './reflector.ts';
import { BUILT_IN, pathOf, printResource } from './resources.ts';
import type { ApiResource } from './resources.ts';
import { BackOff } from './timing.ts';

interface Member {
  readonly reflector: Reflector;
  readonly stop: AbortController;
  readonly task: Promise<void>;
  /** Looks in a row that did not find it. */
  missed: number;
}

/** After so many looks without it a resource counts as removed. One is not enough: servers that start do not know everything yet. */
const MAX_MISSED = 3;

export class Fleet {
  readonly #parts: ReflectorParts;
  readonly #discovery: Discovery;
  readonly #members = new Map<string, Member>();
  #hasLooked = false;
  /** Group versions that exist and cannot say what they have. */
  #unknown: readonly string[] = [];
  #unread: readonly string[] = [];
  #problem: Problem | undefined;

  constructor(parts: ReflectorParts) {
    this.#parts = parts;
    this.#discovery = new Discovery(parts.client);
  }

  /** Until `signal` aborts. Throws only for our own errors, and then at once. */
  async run(signal: AbortSignal): Promise<void> {
    for (const resource of BUILT_IN) this.#start(resource, signal);
    const failed = new Promise<never>((_, reject) => (this.#fail = reject));
    try {
      await Promise.race([this.#discover(signal), failed]);
    } finally {
      for (const { stop } of this.#members.values()) stop.abort();
      await Promise.allSettled([...this.#members.values()].map(({ task }) => task));
    }
  }

  #fail: (error: unknown) => void = () => undefined;

  /** Nothing is missing that could change what policy means. */
  get isComplete(): boolean {
    if (!this.#hasLooked || this.#unknown.length > 0) return false;
    return [...this.#members.values()].every(({ reflector }) => {
      const mayBeMissing = !reflector.resource.isNeeded && reflector.problem !== undefined;
      return reflector.isListed || mayBeMissing;
    });
  }

  issues(): FileIssue[] {
    const problems = [...this.#members.values()].flatMap(({ reflector }) => {
      const { problem } = reflector;
      if (problem === undefined) return [];
      return [{ sinceMs: problem.sinceMs, issue: this.#issueOf(reflector, problem) }];
    });
    const stale = this.#unknown.map((name) =>
      issue(`api ${name}`, 'the API server cannot say just now which resources this group has'),
    );
    const unread = this.#unread.map((name) => {
      const message = 'served in a version that is not read here: its objects are not enforced';
      return issue(`api ${name}`, message);
    });
    if (this.#problem !== undefined) {
      const own = this.#printProblem('api', this.#problem);
      problems.push({ sinceMs: this.#problem.sinceMs, issue: own });
    }
    // The oldest of the same kind stands for all, so that it stays the same while others join it.
    const oldestFirst = problems.toSorted((a, b) => a.sinceMs - b.sinceMs);
    return oncePerText([...stale, ...unread, ...oldestFirst.map((each) => each.issue)]);
  }

  #start(resource: ApiResource, signal: AbortSignal): void {
    const reflector = new Reflector(resource, this.#parts, () => this.#parts.outbox.touch());
    const stop = new AbortController();
    const task = reflector.run(AbortSignal.any([signal, stop.signal]));
    task.catch((error: unknown) => this.#fail(error));
    this.#members.set(pathOf(resource), { reflector, stop, task, missed: 0 });
  }

  async #discover(signal: AbortSignal): Promise<void> {
    const { timing, limits } = this.#parts;
    const backOff = new BackOff(limits, timing);
    while (!signal.aborted) {
      const startedMs = timing.now();
      const error = await this.#look(signal);
      if (signal.aborted) return;
      if (error === undefined) backOff.reset();
      // A server that is started again refuses at once. One that was waited for in vain is worth a word.
      const hasWaited = timing.now() - startedMs >= limits.answerMs;
      const isNews =
        error === undefined ||
        hasWaited ||
        isWorthTelling(error, backOff.failures, !this.#hasLooked);
      if (isNews) this.#note(error, hasWaited ? startedMs : timing.now());
      const pauseMs = limits.discoveryMs * (0.75 + timing.random() / 2);
      await timing.sleep(
        error === undefined && this.#unknown.length === 0
          ? pauseMs
          : backOff.next(error?.detail.retryAfterMs),
        signal,
      );
    }
  }

  async #look(signal: AbortSignal): Promise<ApiError | undefined> {
    try {
      const { resources, unknown, unread } = await this.#discovery.look(signal);
      for (const resource of resources) {
        const member = this.#members.get(pathOf(resource));
        if (member === undefined) this.#start(resource, signal);
        else member.missed = 0;
      }
      if (unknown.length === 0) await this.#removeMissing(new Set(resources.map(pathOf)));
      const before = JSON.stringify([this.#hasLooked, this.#unknown, this.#unread]);
      this.#hasLooked = true;
      this.#unknown = unknown;
      this.#unread = unread;
      const isNews = JSON.stringify([true, unknown, unread]) !== before;
      if (isNews) this.#parts.outbox.touch();
      return undefined;
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }

  async #removeMissing(found: ReadonlySet<string>): Promise<void> {
    for (const [path, member] of this.#members) {
      if (member.reflector.resource.isBuiltIn || found.has(path)) continue;
      member.missed += 1;
      if (member.missed < MAX_MISSED) continue;
      this.#members.delete(path);
      this.#parts.outbox.touch();
      member.stop.abort();
      await member.task;
      await member.reflector.withdraw();
    }
  }

  #note(error: ApiError | undefined, sinceMs: number): void {
    const before = this.#problem;
    this.#problem = error && { error, sinceMs: before?.sinceMs ?? sinceMs };
    if (before?.error.message !== error?.message) this.#parts.outbox.touch();
  }

  #issueOf({ resource, isListed }: Reflector, problem: Problem): FileIssue {
    const { status } = problem.error.detail;
    if (status === 403) {
      const { group, plural } = resource;
      const rule = `{apiGroups: ["${group}"], resources: ["${plural}"], verbs: ["list", "watch"]}`;
      const effect =
        resource.isNeeded && !isListed ? 'nothing is applied until it is readable; ' : '';
      const message = `not readable, ${effect}the RBAC rule ${rule} is missing: ${problem.error.message}`;
      return issue(printResource(resource), message);
    }
    return this.#printProblem(printResource(resource), problem);
  }

  /** Without an answer it is the server's problem, whatever was asked for. */
  #printProblem(what: string, { error, sinceMs }: Problem): FileIssue {
    const isServer = isUnanswered(error.detail);
    const since = new Date(sinceMs).toISOString();
    const message = `${error.message}; since ${since} what was known stays in force`;
    return issue(isServer ? `api ${this.#parts.client.server}` : what, message);
  }
}

function isUnanswered({ status }: ApiErrorDetail): boolean {
  return status === undefined;
}

function issue(file: string, message: string): FileIssue {
  return { file, line: undefined, column: undefined, severity: 'error', message };
}

/** A server that is gone fails all reflectors alike. */
function oncePerText(issues: readonly FileIssue[]): FileIssue[] {
  const byText = new Map<string, FileIssue>();
  for (const each of issues) {
    const text = `${each.file} ${each.message.replace(/; since .*$/, '')}`;
    if (!byText.has(text)) byText.set(text, each);
  }
  return [...byText.values()];
}

/**
 * One resource of the API, followed for as long as it takes. Comes in: lists and watch lines; goes out: events to the outbox. Nothing is
 * deleted on a guess: only by a DELETED event, or because a list that was read to its end does not have it.
 *
 *   no version --> streaming list (one watch), or pages --> version --> watch <--> bookmarks, changes
 *        ^------------- 410, server behind us, a watch that stays silent --------------'
 */
import { goneError, readPage, readWatchEvent } from './answers.ts';
import type { Page, WatchEvent } from './answers.ts';
import { ApiError, brokenAnswer, isWorthTelling, refusedBy } from './api-error.ts';
import { TooLarge, readLines, readText } from './body.ts';
import type { BodyLimits } from './body.ts';
import type { Answer, ApiClient, Query } from './client.ts';
import { KnownObjects } from './known-objects.ts';
import type { Taken } from './known-objects.ts';
import type { Outbox } from './outbox.ts';
import { pathOf } from './resources.ts';
import type { ApiResource } from './resources.ts';
import { BackOff } from './timing.ts';
import type { KubeLimits, Timing } from './timing.ts';
import { isBefore } from './versions.ts';

export interface ReflectorParts {
  readonly client: ApiClient;
  readonly outbox: Outbox;
  readonly timing: Timing;
  readonly limits: KubeLimits;
}

/** What keeps a resource from being followed. */
export interface Problem {
  readonly error: ApiError;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** Answers of servers that do not know streaming lists. */
const NOT_STREAMING: readonly unknown[] = [400, 405, 406, 415, 422, 501];

/** Watches in a row that break before they bring anything: then everything is listed again. */
const MAX_SILENT = 3;

/** Streaming lists in a row that begin and do not end: then pages are asked for, for good. */
const MAX_UNFINISHED = 2;

/** How much larger or smaller pages get when they have to. */
const PAGE_FACTOR = 4;

/** After a time between these the server ends a watch. */
const WATCH_SECONDS = [300, 600] as const;

export class Reflector {
  readonly resource: ApiResource;
  readonly #parts: ReflectorParts;
  readonly #onChange: () => void;
  readonly #known: KnownObjects;
  readonly #backOff: BackOff;
  /** To continue from; `undefined` = a list is due. */
  #version: string | undefined;
  #isListed = false;
  #problem: Problem | undefined;
  #canStream = true;
  #unfinished = 0;
  #silent = 0;
  /** Something failed: it may be another server that answers next. */
  #isDoubtful = false;
  #pageSize: number;

  /** `onChange`: the list was completed, or the problem is another one. */
  constructor(resource: ApiResource, parts: ReflectorParts, onChange: () => void) {
    this.resource = resource;
    this.#parts = parts;
    this.#onChange = onChange;
    this.#known = new KnownObjects(resource);
    this.#backOff = new BackOff(parts.limits, parts.timing);
    this.#pageSize = parts.limits.pageSize;
  }

  /** Everything that was there has been handed over, at least once. */
  get isListed(): boolean {
    return this.#isListed;
  }

  get problem(): Problem | undefined {
    return this.#problem;
  }

  /** Until `signal` aborts. Throws only for our own errors. */
  async run(signal: AbortSignal): Promise<void> {
    const { timing, limits } = this.#parts;
    while (!signal.aborted) {
      const startedMs = timing.now();
      const hadVersion = this.#version !== undefined;
      const failure = await this.#attempt(signal);
      if (signal.aborted) return;
      const isHealthy = timing.now() - startedMs >= limits.healthyMs;
      // A server that is back and no longer knows our version can give a list: not an error, and not to be waited for.
      const isForgetful = hadVersion && failure?.code === 'ERR_WATCH_GONE';
      if (isHealthy || isForgetful) this.#backOff.reset();
      if (failure !== undefined) this.#noteFailure(failure);
      if (failure === undefined && isHealthy) continue;
      await timing.sleep(this.#backOff.next(failure?.detail.retryAfterMs), signal);
    }
  }

  /** The resource is gone: so are its objects. */
  async withdraw(): Promise<void> {
    for (const key of this.#known.keys()) await this.#send(this.#known.deleteKey(key));
  }

  async #attempt(signal: AbortSignal): Promise<ApiError | undefined> {
    try {
      if (this.#silent >= MAX_SILENT) this.#version = undefined;
      if (this.#version === undefined) this.#silent = 0;
      if (this.#isDoubtful && this.#version !== undefined)
        await this.#compare(this.#version, signal);
      const isStreaming = this.#canStream && this.#unfinished < MAX_UNFINISHED;
      if (this.#version === undefined && !isStreaming) await this.#listPages(signal);
      await this.#watch(signal);
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === 'ERR_WATCH_GONE') this.#version = undefined;
      this.#isDoubtful = true;
      return error;
    }
  }

  #noteFailure(error: ApiError): void {
    if (!isWorthTelling(error, this.#backOff.failures, !this.#isListed)) return;
    const before = this.#problem;
    // Only says what the problem before has led to.
    if (before !== undefined && error.code === 'ERR_WATCH_GONE') return;
    this.#problem = { error, sinceMs: before?.sinceMs ?? this.#parts.timing.now() };
    if (before?.error.message !== error.message) this.#onChange();
  }

  #noteContact(): void {
    this.#silent = 0;
    this.#noteAnswer();
  }

  #noteAnswer(): void {
    this.#isDoubtful = false;
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    this.#onChange();
  }

  /** A server that is behind us, restored from a backup, would stay silent until it gets to where we are. */
  async #compare(version: string, signal: AbortSignal): Promise<void> {
    const page = await this.#page({ limit: '1' }, signal);
    if (isBefore(page.version, version)) this.#version = undefined;
  }

  async #listPages(signal: AbortSignal): Promise<void> {
    const seen = new Set<string>();
    let token: string | undefined;
    for (;;) {
      const page = await this.#nextPage(token, signal);
      for (const item of page.items) await this.#take('ADDED', item, seen);
      token = page.token;
      if (token === undefined) return this.#finishList(seen, page.version);
    }
  }

  /** A token that expires means that this list takes longer than the server remembers: the next one has fewer, larger pages. */
  async #nextPage(token: string | undefined, signal: AbortSignal): Promise<Page> {
    try {
      return await this.#page({ limit: String(this.#pageSize), continue: token }, signal);
    } catch (error) {
      const isExpired = error instanceof ApiError && error.code === 'ERR_WATCH_GONE';
      if (isExpired && token !== undefined) this.#pageSize *= PAGE_FACTOR;
      throw error;
    }
  }

  async #page(query: Query, signal: AbortSignal): Promise<Page> {
    const { client, limits } = this.#parts;
    const { fieldSelector } = this.resource;
    const { body } = await client.get(pathOf(this.resource), { ...query, fieldSelector }, signal);
    try {
      const bodyLimits = { idleMs: limits.answerMs, maxBytes: limits.maxPageBytes };
      return readPage(await readText(body, bodyLimits));
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      this.#pageSize = Math.max(1, Math.floor(this.#pageSize / PAGE_FACTOR));
      throw brokenAnswer(`a page of the list is too large: ${error.message}`, error);
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const isList = this.#version === undefined;
    const answer = await this.#openWatch(signal);
    if (answer === undefined) {
      await this.#listPages(signal);
      return this.#watch(signal);
    }
    if (isList) this.#unfinished += 1;
    else {
      this.#silent += 1;
      this.#noteAnswer();
    }
    try {
      await this.#readWatch(readLines(answer.body, this.#watchLimits()), isList);
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      throw brokenAnswer(`a watch event is too large: ${error.message}`, error);
    }
    if (this.#version === undefined) throw brokenAnswer('the list ended early');
    this.#noteContact();
  }

  /** `undefined` = it would have been a streaming list, and this server has none. */
  async #openWatch(signal: AbortSignal): Promise<Answer | undefined> {
    const [shortest, longest] = WATCH_SECONDS;
    const seconds = shortest + this.#parts.timing.random() * (longest - shortest);
    const start: Query =
      this.#version === undefined
        ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
        : { resourceVersion: this.#version };
    const query: Query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(Math.round(seconds)),
      fieldSelector: this.resource.fieldSelector,
      ...start,
    };
    try {
      return await this.#parts.client.get(pathOf(this.resource), query, signal);
    } catch (error) {
      const isOld = error instanceof ApiError && NOT_STREAMING.includes(error.detail.status);
      if (!isOld || this.#version !== undefined) throw error;
      this.#canStream = false;
      return undefined;
    }
  }

  /** The objects of a streaming list come at once, changes when they happen. */
  #watchLimits(): BodyLimits {
    const { answerMs, idleMs, maxLineBytes: maxBytes } = this.#parts.limits;
    const isListing = (): boolean => this.#version === undefined;
    return {
      maxBytes,
      get idleMs() {
        return isListing() ? answerMs : idleMs;
      },
    };
  }

  async #readWatch(lines: AsyncIterable<string>, isList: boolean): Promise<void> {
    const seen = isList ? new Set<string>() : undefined;
    for await (const line of lines) {
      const event = readWatchEvent(line);
      if (event.type === 'ERROR') throw refusedBy(statusOf(event), event.object, undefined);
      const isListing = this.#version === undefined;
      if (!isListing) this.#noteContact();
      if (event.type !== 'BOOKMARK') await this.#take(event.type, event.object, seen);
      if (isListing && !event.endsList) continue;
      if (isListing) await this.#finishList(seen ?? new Set(), event.version);
      else this.#advance(event.version);
    }
  }

  #advance(version: string): void {
    if (this.#version !== undefined && isBefore(version, this.#version)) {
      throw goneError(`the server went back from version ${this.#version} to ${version}`);
    }
    this.#version = version;
  }

  async #take(
    type: 'ADDED' | 'MODIFIED' | 'DELETED',
    object: unknown,
    seen: Set<string> | undefined,
  ): Promise<void> {
    const taken = type === 'DELETED' ? this.#known.delete(object) : this.#known.put(object);
    if (taken.key !== undefined) seen?.[type === 'DELETED' ? 'delete' : 'add'](taken.key);
    await this.#send(taken);
  }

  async #finishList(seen: ReadonlySet<string>, version: string): Promise<void> {
    for (const key of this.#known.keys()) {
      if (!seen.has(key)) await this.#send(this.#known.deleteKey(key));
    }
    this.#version = version;
    this.#unfinished = 0;
    this.#noteContact();
    if (this.#isListed) return;
    this.#isListed = true;
    this.#onChange();
  }

  async #send({ event }: Taken): Promise<void> {
    if (event !== undefined) await this.#parts.outbox.add(event);
  }
}

function statusOf({ object }: WatchEvent): number {
  const { code } = object;
  return typeof code === 'number' ? code : 0;
}

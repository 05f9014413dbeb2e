/**
 * Bytes of an answer, bounded in size and in silence. Comes in: a response; goes out: lines or the whole text. The clock runs only while we
 * wait for the server, so a slow reader is not mistaken for a dead connection, and holds the server back.
 */
import type { Readable } from 'node:stream';
import { ApiError, brokenAnswer } from './api-error.ts';

export interface BodyLimits {
  /** Milliseconds without a byte after which the other end counts as gone; read again for every chunk. */
  readonly idleMs: number;
  /** Longest line, or longest body read as a whole. */
  readonly maxBytes: number;
}

/** The body or a line of it is longer than allowed. */
export class TooLarge extends Error {}

const NEWLINE = 0x0a;

/** Lines without their ends; what follows the last newline is no line, it was cut off. */
export async function* readLines(
  body: Readable,
  limits: BodyLimits,
): AsyncGenerator<string, void, void> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksOf(body, limits)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      checkSize(length + end - start + parts.length * CHUNK_COST, limits.maxBytes);
      // Decoded as a whole line: a character may be spread over chunks.
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8');
      parts = [];
      length = 0;
      start = end + 1;
      if (line !== '') yield line;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
    length += chunk.length - start;
    checkSize(length + parts.length * CHUNK_COST, limits.maxBytes);
  }
  if (length > 0) throw brokenAnswer('the answer broke off inside a line');
}

/** Bytes of memory that a chunk takes besides its content, roughly. */
const CHUNK_COST = 64;

/** The whole text. */
export async function readText(body: Readable, limits: BodyLimits): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksOf(body, limits)) {
    parts.push(chunk);
    length += chunk.length;
    checkSize(length + parts.length * CHUNK_COST, limits.maxBytes);
  }
  return Buffer.concat(parts).toString('utf8');
}

function checkSize(length: number, maxBytes: number): void {
  if (length > maxBytes) throw new TooLarge(`more than ${maxBytes} bytes`);
}

async function* chunksOf(body: Readable, limits: BodyLimits): AsyncGenerator<Buffer, void, void> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const { idleMs } = limits;
      const timer = setTimeout(() => body.destroy(idleError(idleMs)), idleMs);
      const next = await nextOf(chunks).finally(() => clearTimeout(timer));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}

async function nextOf(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await chunks.next();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw brokenAnswer(`the answer broke off: ${(error as Error).message}`, error);
  }
}

function idleError(idleMs: number): ApiError {
  return brokenAnswer(`nothing came for ${idleMs / 1000} s`);
}

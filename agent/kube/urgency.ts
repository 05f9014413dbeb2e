/**
 * What must not wait behind other work: everything that says what is allowed, and the pods of this node. The rest is who is at the other end
 * of a connection, and there are thousands of it. Comes in: an event; goes out: which of two queues it belongs in.
 */
import type { RawEvent } from '../watch/event.ts';
import { isJsonObject } from './trim.ts';

/** Kinds that come in masses. Between resources the API promises no order anyway. */
const BULK: ReadonlySet<string> = new Set(['Pod', 'EndpointSlice', 'Service', 'Node']);

/** `node`: the name of this one. */
export function isUrgent(event: RawEvent, node: string): boolean {
  const [, kind = ''] = event.key.split('/', 2);
  if (!BULK.has(kind)) return true;
  if (kind !== 'Pod' || event.op === 'delete' || !isJsonObject(event.object)) return false;
  const { spec } = event.object;
  return isJsonObject(spec) && spec['nodeName'] === node;
}

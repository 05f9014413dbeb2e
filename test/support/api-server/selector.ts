/** Field selectors as the API server knows them: `metadata.name=x,spec.nodeName!=y`. An unknown field is refused, as there. */
import type { ApiObject } from './object-store.ts';
import type { ServedResource } from './resources.ts';

const COMMON = ['metadata.name', 'metadata.namespace'];

const OF_KIND: Readonly<Record<string, readonly string[]>> = {
  Pod: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
  ],
  Namespace: ['status.phase'],
  Node: ['spec.unschedulable'],
  Event: ['involvedObject.kind', 'involvedObject.name', 'involvedObject.namespace', 'reason'],
};

/** Throws a message for what is no selector here. */
export function parseFieldSelector(
  text: string,
  { kind }: ServedResource,
): (object: ApiObject) => boolean {
  const terms = text
    .split(',')
    .filter((term) => term !== '')
    .map((term) => parseTerm(term, [...COMMON, ...(OF_KIND[kind] ?? [])]));
  return (object) => terms.every((matches) => matches(object));
}

function parseTerm(term: string, known: readonly string[]): (object: ApiObject) => boolean {
  const [, field = '', operator = '', value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
  if (field === '') throw new Error(`invalid selector: '${term}'; can't understand it`);
  if (!known.includes(field)) throw new Error(`field label not supported: ${field}`);
  return (object) => (textAt(object, field) === value) === (operator !== '!=');
}

function textAt(object: ApiObject, field: string): string {
  let value: unknown = object;
  for (const name of field.split('.')) {
    value = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  }
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

/** Services, by name only: rules match their endpoints, not them. Source: specification section 1.13. */
import type { Service } from '../cluster.ts';
import type { Metadata } from './metadata.ts';

export function parseService({ namespace, name }: Metadata): Service {
  return { kind: 'Service', namespace, name };
}

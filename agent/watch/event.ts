/** What a source of objects (a directory, the Kubernetes API) says to the store. */
import type { Path } from '../../compiler/model/issue.ts';

/** Where an object stands, so that issues can name file and line. */
export interface Origin {
  /** File path as the user gave it, or the API resource. */
  readonly source: string;
  /** 1-based line of the value at `path` (or of its nearest existing ancestor); `undefined` where lines mean nothing. */
  lineOf(path: Path): number | undefined;
}

export type RawEvent =
  | {
      readonly op: 'put';
      /** `<apiVersion group>/<kind>/<namespace>/<name>`; empty namespace for cluster scope. */
      readonly key: string;
      readonly object: unknown;
      readonly origin: Origin;
    }
  | { readonly op: 'delete'; readonly key: string };

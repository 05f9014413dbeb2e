/** Manifests from a directory into an engine; the part that apply, compile and lint have in common. */
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import type { Dataplane } from '../dataplane/dataplane.ts';
import { FakeDataplane } from '../dataplane/fake.ts';
import { Engine } from '../engine/engine.ts';
import type { EngineConfig } from '../engine/engine.ts';
import { DirectorySource } from '../watch/directory.ts';
import type { ReportedIssue } from './report.ts';
import { fromFileIssue, fromFinding } from './report.ts';

export function engineConfig(node: string): EngineConfig {
  return { node, base: DEFAULT_BASE_CONFIG, parse: {} };
}

export interface Loaded {
  readonly engine: Engine;
  readonly issues: readonly ReportedIssue[];
  /** Objects read, accepted or not. */
  readonly objects: number;
}

/** Reads every manifest once. Without a dataplane nothing can be applied (compile, lint). */
export async function loadManifests(
  directory: string,
  node: string,
  dataplane: Dataplane = new FakeDataplane(),
): Promise<Loaded> {
  const engine = new Engine(engineConfig(node), dataplane);
  const batch = await new DirectorySource(directory).load();
  const findings = engine.take(batch.events);
  const issues = [...batch.issues.map(fromFileIssue), ...findings.map(fromFinding)];
  return { engine, issues, objects: batch.events.length };
}

/** Manifests from a directory into an engine; the part that apply, compile and lint have in common. */
import type { Config } from '../config/keys.ts';
import type { Dataplane } from '../dataplane/dataplane.ts';
import { FakeDataplane } from '../dataplane/fake.ts';
import { Engine } from '../engine/engine.ts';
import { DirectorySource } from '../watch/directory.ts';
import type { ReportedIssue } from './report.ts';
import { fromFileIssue, fromFinding } from './report.ts';
import { engineConfig } from './settings.ts';

export interface Loaded {
  readonly engine: Engine;
  readonly issues: readonly ReportedIssue[];
  /** Objects read, accepted or not. */
  readonly objects: number;
}

/** Reads every manifest once. Without a dataplane nothing can be applied (compile, lint). */
export async function loadManifests(
  config: Config,
  dataplane: Dataplane = new FakeDataplane(),
): Promise<Loaded> {
  const engine = new Engine(engineConfig(config), dataplane);
  const batch = await new DirectorySource(config.manifests).load();
  const findings = engine.take(batch.events);
  const issues = [...batch.issues.map(fromFileIssue), ...findings.map(fromFinding)];
  return { engine, issues, objects: batch.events.length };
}

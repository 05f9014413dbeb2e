/** What is looked at of the running agent. */
import type { Agent } from '../runner/agent.ts';

export type AgentView = Pick<Agent, 'engine' | 'state' | 'events' | 'stepMs'>;

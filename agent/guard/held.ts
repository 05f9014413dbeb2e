/** Nothing may be changed now. Not a failure: nothing is to be tried again until somebody decides. */
export class HeldError extends Error {
  /** `emergency`: opened by panic-open. `undone`: the change was undone, and is still what is asked for. `unguarded`: no guard can be armed. */
  readonly why: 'emergency' | 'undone' | 'unguarded';
  /** Milliseconds since the epoch: since when. */
  readonly sinceMs: number;

  constructor(why: HeldError['why'], message: string, sinceMs: number) {
    super(message);
    this.name = 'HeldError';
    this.why = why;
    this.sinceMs = sinceMs;
  }
}

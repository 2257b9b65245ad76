import { describe, expect, it } from 'vitest';
import { lastWhy } from './taping.svelte';

const marks = (...kinds: string[]) => kinds.map((kind) => ({ kind })) as Parameters<typeof lastWhy>[0];

describe('why nothing is recorded now', () => {
  it('is the last mark that none took back', () => {
    expect(lastWhy(marks('agent_joined', 'paused'))).toBe('paused');
    expect(lastWhy(marks('paused', 'unpaused'))).toBeNull();
    expect(lastWhy(marks('masked', 'stopped'))).toBe('stopped');
    expect(lastWhy(marks('masked', 'stopped', 'started', 'held'))).toBeNull();
    expect(lastWhy([])).toBeNull();
  });
});

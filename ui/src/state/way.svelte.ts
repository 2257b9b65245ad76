// What happened in a recording, as lines for reading and jumping: marks, stretches with their length, gaps.
import type { Recording } from '../api/types';
import { fmt, t, word } from '../i18n/index.svelte';
import { regionsOf } from '../lib/wave';
import { floor } from './floor.svelte';

export interface WayStep {
  at_ms: number;
  text: string;
  tone: 'rest' | 'hold' | 'wrap' | 'alarm';
}

export function wayOf(recording: Recording): WayStep[] {
  const steps: WayStep[] = [];
  for (const region of regionsOf(recording)) {
    const length = fmt.timer(region.to_ms - region.from_ms);
    if (region.kind === 'held') steps.push({ at_ms: region.from_ms, text: capital(t().regions.held(length)), tone: 'hold' });
    else if (region.kind === 'paused')
      steps.push({ at_ms: region.from_ms, text: capital(t().regions.paused(length)), tone: 'rest' });
    else if (region.kind === 'music')
      steps.push({ at_ms: region.from_ms, text: `${t().marks.music_started()}, ${length}`, tone: 'rest' });
    else
      steps.push({
        at_ms: region.from_ms,
        text: capital(t().records.gap(length, word(t().gaps, region.reason ?? ''))),
        tone: 'alarm',
      });
  }
  for (const mark of recording.marks) {
    if (mark.kind === 'agent_joined' || mark.kind === 'agent_left') {
      steps.push({ at_ms: mark.at_ms, text: t().marks[mark.kind](floor.nameOf(mark.label)), tone: 'wrap' });
    } else if (mark.kind === 'queued') {
      steps.push({ at_ms: mark.at_ms, text: t().marks.queued(mark.label ?? ''), tone: 'rest' });
    }
  }
  return steps.sort((a, b) => a.at_ms - b.at_ms);
}

function capital(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

// How each agent state and call state looks: colour, icon, word, always together (the words are in the dictionaries).
import AudioLines from '@lucide/svelte/icons/audio-lines';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import CircleDashed from '@lucide/svelte/icons/circle-dashed';
import ClipboardPen from '@lucide/svelte/icons/clipboard-pen';
import Coffee from '@lucide/svelte/icons/coffee';
import Hourglass from '@lucide/svelte/icons/hourglass';
import Pause from '@lucide/svelte/icons/pause';
import PhoneIncoming from '@lucide/svelte/icons/phone-incoming';
import PhoneMissed from '@lucide/svelte/icons/phone-missed';
import PhoneOutgoing from '@lucide/svelte/icons/phone-outgoing';
import PhoneOff from '@lucide/svelte/icons/phone-off';
import Target from '@lucide/svelte/icons/target';
import type { Component } from 'svelte';
import type { AgentState, CallState } from '../api/types';

export type Tone = 'ready' | 'ring' | 'talk' | 'hold' | 'wrap' | 'rest' | 'alarm';

/** What a call's recording does: takes it all, leaves something out, or cannot. */
export interface Tape {
  text: string;
  tone: 'on' | 'off' | 'alarm';
}

interface Look {
  tone: Tone;
  icon: Component;
  outline?: boolean;
}

export const AGENT_LOOKS: Record<AgentState, Look> = {
  ready: { tone: 'ready', icon: CircleCheck },
  reserved: { tone: 'ring', icon: Target, outline: true },
  ringing: { tone: 'ring', icon: PhoneIncoming },
  talking: { tone: 'talk', icon: AudioLines },
  holding: { tone: 'hold', icon: Pause },
  wrap_up: { tone: 'wrap', icon: ClipboardPen },
  break: { tone: 'rest', icon: Coffee },
  not_answering: { tone: 'alarm', icon: PhoneMissed },
  offline: { tone: 'rest', icon: CircleDashed, outline: true },
};

export const CALL_LOOKS: Record<CallState, Look> = {
  ringing: { tone: 'ring', icon: PhoneOutgoing },
  queued: { tone: 'ring', icon: Hourglass },
  offered: { tone: 'ring', icon: PhoneIncoming },
  talking: { tone: 'talk', icon: AudioLines },
  held: { tone: 'hold', icon: Pause },
  ended: { tone: 'rest', icon: PhoneOff },
};

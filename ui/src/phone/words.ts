// The words of the browser's phone: what the rest of the desk may know of it. No SIP, no media, no Svelte.
import type { Party } from '../api/types';

/**
 * ```text
 * ringing ──→ answering ──→ talking ──→ (gone)
 *    └───────────┴── declined, cancelled, failed ──→ (gone)
 * ```
 */
export type LinePhase = 'ringing' | 'answering' | 'talking';

/** One call on the phone, as it is this moment. */
export interface Line {
  id: string;
  /** The call it belongs to, when the server said so. */
  call_id: string | null;
  phase: LinePhase;
  /** When the phase began, by this machine's clock. */
  since: number;
  caller: Party;
  /** Taken up again after the page was reloaded or another tab had the phone: answered by itself, without ringing. */
  is_resumed: boolean;
  /** The server rings us because we asked for a call. */
  is_asked_for: boolean;
  is_held: boolean;
  is_muted: boolean;
  /** A hold, or its end, is on its way to the server. */
  is_changing: boolean;
  audio: Audio;
}

export type Audio = 'none' | 'connecting' | 'flowing' | 'broken';

/** How the phone stands with the server. */
export type Registration = 'connecting' | 'registered' | 'lost' | 'refused';

/** What went wrong with one call, for the person to know. */
export type LineTrouble = 'hold_refused' | 'answer_failed' | 'audio_failed';

/** Why there is no microphone. */
export type MicrophoneTrouble = 'insecure' | 'denied' | 'missing' | 'busy';

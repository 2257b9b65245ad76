// The one player of the page: sound, place, speed, and which side is heard. Loads audio and peaks; draws nothing.
import { audioUrl, getPeaks } from '../api/endpoints';
import type { Peaks, Recording } from '../api/types';
import { prefs } from './prefs.svelte';

export type Side = 'both' | 'left' | 'right';
export const SPEEDS = [1, 1.25, 1.5, 2] as const;
/** Both sides at once are a little quieter, so that two voices together do not clip. */
const BOTH_GAIN = 0.8;

class Player {
  recording = $state.raw<Recording | null>(null);
  peaks = $state.raw<Peaks | null>(null);
  is_playing = $state(false);
  at_ms = $state(0);
  side = $state<Side>('both');
  audio_error = $state(false);
  peaks_error = $state.raw<unknown>(null);
  #audio: HTMLAudioElement | null = null;
  #context: AudioContext | null = null;
  #left: GainNode | null = null;
  #right: GainNode | null = null;
  #frame = 0;

  /** Opens a recording, paused at its beginning (or at `at_ms`). The same one again goes on where it is. */
  open(recording: Recording, at_ms: number | null = null): void {
    if (this.recording?.id === recording.id) {
      const became_ready = this.recording.state !== 'ready' && recording.state === 'ready';
      this.recording = recording;
      if (became_ready) void this.#loadPeaks(recording.id);
      if (at_ms !== null) this.seek(at_ms);
      return;
    }
    this.close();
    this.recording = recording;
    this.at_ms = at_ms ?? 0;
    if (recording.state === 'ready') void this.#loadPeaks(recording.id);
  }

  close(): void {
    this.pause();
    this.#audio?.removeAttribute('src');
    this.recording = null;
    this.peaks = null;
    this.peaks_error = null;
    this.audio_error = false;
    this.at_ms = 0;
  }

  async #loadPeaks(id: string): Promise<void> {
    try {
      const peaks = await getPeaks(id);
      if (this.recording?.id === id) this.peaks = peaks;
    } catch (error) {
      if (this.recording?.id === id) this.peaks_error = error;
    }
  }

  toggle(): void {
    if (this.is_playing) this.pause();
    else void this.play();
  }

  async play(): Promise<void> {
    const recording = this.recording;
    if (recording?.state !== 'ready') return;
    const audio = this.#ready();
    const url = audioUrl(recording.id);
    if (!audio.src.endsWith(url)) {
      audio.src = url;
      audio.currentTime = this.at_ms / 1000;
    }
    audio.playbackRate = prefs.speed;
    if (this.at_ms >= recording.duration_ms - 50) this.seek(0);
    this.audio_error = false;
    try {
      await this.#context?.resume();
      await audio.play();
    } catch (error) {
      // Pressed pause before it began: no trouble.
      if (!(error instanceof DOMException && error.name === 'AbortError')) this.audio_error = true;
    }
  }

  pause(): void {
    this.#audio?.pause();
  }

  seek(ms: number): void {
    const end = this.recording?.duration_ms ?? 0;
    this.at_ms = Math.max(0, Math.min(end, ms));
    if (this.#audio?.src) this.#audio.currentTime = this.at_ms / 1000;
  }

  step(ms: number): void {
    this.seek(this.at_ms + ms);
  }

  setSpeed(speed: number): void {
    prefs.set({ speed });
    if (this.#audio) this.#audio.playbackRate = speed;
  }

  setSide(side: Side): void {
    this.side = side;
    if (!this.#context || !this.#left || !this.#right) return;
    const at = this.#context.currentTime;
    const gain = (on: boolean) => (on ? (side === 'both' ? BOTH_GAIN : 1) : 0);
    this.#left.gain.setTargetAtTime(gain(side !== 'right'), at, 0.01);
    this.#right.gain.setTargetAtTime(gain(side !== 'left'), at, 0.01);
  }

  /** To the next moment worth hearing; after the last one, to the first. */
  nextMark(): void {
    const marks = this.recording?.marks ?? [];
    const next = marks.find((mark) => mark.at_ms > this.at_ms + 250) ?? marks[0];
    if (next) this.seek(next.at_ms);
  }

  /** The audio element and, behind it, the two channels as separate taps, each of which reaches both ears. */
  #ready(): HTMLAudioElement {
    if (this.#audio) return this.#audio;
    const audio = new Audio();
    audio.preload = 'auto';
    audio.preservesPitch = true;
    audio.onplay = () => {
      this.is_playing = true;
      this.#follow();
    };
    audio.onpause = () => (this.is_playing = false);
    audio.onended = () => {
      this.is_playing = false;
      this.at_ms = this.recording?.duration_ms ?? 0;
    };
    audio.onerror = () => {
      if (audio.getAttribute('src')) this.audio_error = true;
      this.is_playing = false;
    };
    const context = new AudioContext();
    const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    const merger = new ChannelMergerNode(context, { numberOfInputs: 2 });
    context.createMediaElementSource(audio).connect(splitter);
    const tap = (channel: number): GainNode => {
      const gain = new GainNode(context, { gain: BOTH_GAIN });
      splitter.connect(gain, channel);
      gain.connect(merger, 0, 0);
      gain.connect(merger, 0, 1);
      return gain;
    };
    this.#left = tap(0);
    this.#right = tap(1);
    merger.connect(context.destination);
    this.#audio = audio;
    this.#context = context;
    this.setSide(this.side);
    return audio;
  }

  /** The place follows the sound, once a frame while it plays. */
  #follow(): void {
    cancelAnimationFrame(this.#frame);
    const step = () => {
      if (!this.is_playing || !this.#audio) return;
      this.at_ms = this.#audio.currentTime * 1000;
      this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }
}

export const player = new Player();

// The one websocket: opens it, resumes after the last `seq`, drops what was seen, waits longer after each failure.
// Knows no screens; `state/live` starts it and hears what happens. Sockets and timers come in, so that tests can hold them.
import type { Event, StreamReady } from './types';

/** Close codes of INTERFACES: too slow, session revoked, `seq` expired. */
const TOO_SLOW = 4001;
const REVOKED = 4002;
const EXPIRED = 4003;

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 8_000;
/** A stream silent for this long after `stream.ready` has no more of the past to tell. */
const CAUGHT_UP_AFTER_MS = 400;

export interface LiveHandlers {
  /** The stream is open. `resumed` is false when it starts from now: load the present, nothing of the past will come. */
  opened(resumed: boolean): void;
  event(event: Event, replayed: boolean): void;
  /** The past is over: `replayed` events came since the link was lost. */
  caughtUp(replayed: number): void;
  lost(): void;
  signedOut(): void;
  /** The stream cannot be resumed; it reopens from now. */
  expired(): void;
  /** The socket could not be opened at all; the session may be gone. */
  refused(): void;
}

export interface LiveSocket {
  onmessage: ((message: { data: unknown }) => void) | null;
  onclose: ((close: { code: number }) => void) | null;
  close(): void;
}

export interface LivePlatform {
  open(path: string): LiveSocket;
  after(ms: number, act: () => void): () => void;
  random(): number;
}

export class Live {
  /** The last `seq` delivered; null before the first frame. */
  seq: number | null = null;
  #socket: LiveSocket | null = null;
  #isReady = false;
  #failures = 0;
  #replayUntil: number | null = null;
  #replayed = 0;
  #stopRetry: () => void = () => undefined;
  #stopQuiet: () => void = () => undefined;

  constructor(
    private readonly handlers: LiveHandlers,
    private readonly platform: LivePlatform,
  ) {}

  /** Opens the stream, after `seq` when given. Call once; afterwards it keeps itself open until `stop`. */
  start(seq: number | null = null): void {
    this.stop();
    this.seq = seq;
    this.#failures = 0;
    this.#connect();
  }

  stop(): void {
    this.#stopRetry();
    this.#stopQuiet();
    this.#drop();
  }

  /** Opens again at once: the network came back, or a probe found the socket dead. */
  reopen(): void {
    this.#stopRetry();
    this.#drop();
    this.#connect();
  }

  #drop(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #connect(): void {
    this.#isReady = false;
    const resume = this.seq;
    const socket = this.platform.open(resume === null ? '/api/v1/live' : `/api/v1/live?after=${resume}`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#frame(data, resume);
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #frame(data: unknown, resume: number | null): void {
    const frame = parse(data);
    if (!frame) return;
    if (frame.type === 'stream.ready') {
      this.#ready(frame.seq, frame.newest ?? frame.seq, resume);
      return;
    }
    // Sent again after a resume: it was delivered already.
    if (this.seq !== null && frame.seq <= this.seq) return;
    this.seq = frame.seq;
    const isReplayed = this.#replayUntil !== null;
    if (isReplayed) this.#replayed += 1;
    this.handlers.event(frame, isReplayed);
    if (this.#replayUntil === null) return;
    if (frame.seq >= this.#replayUntil) this.#endReplay();
    else this.#awaitQuiet();
  }

  #ready(seq: number, newest: number, resume: number | null): void {
    this.#isReady = true;
    this.#failures = 0;
    this.#replayed = 0;
    this.#replayUntil = null;
    this.handlers.opened(resume !== null);
    if (resume === null) {
      this.seq = seq;
      return;
    }
    this.#replayUntil = newest;
    if (newest <= resume) this.#endReplay();
    else this.#awaitQuiet();
  }

  /** Some of the past may not be ours to see, so the newest `seq` may never come: quiet ends the replay too. */
  #awaitQuiet(): void {
    this.#stopQuiet();
    this.#stopQuiet = this.platform.after(CAUGHT_UP_AFTER_MS, () => this.#endReplay());
  }

  #endReplay(): void {
    this.#stopQuiet();
    this.#replayUntil = null;
    this.handlers.caughtUp(this.#replayed);
  }

  #closed(code: number): void {
    this.#socket = null;
    this.#stopQuiet();
    if (code === REVOKED) {
      this.handlers.signedOut();
      return;
    }
    if (code === EXPIRED) {
      this.seq = null;
      this.handlers.expired();
    } else if (this.#isReady) {
      this.handlers.lost();
    } else {
      this.handlers.lost();
      this.handlers.refused();
    }
    this.#isReady = false;
    const atOnce = code === TOO_SLOW || code === EXPIRED;
    this.#stopRetry = this.platform.after(atOnce ? 0 : this.#retryMs(), () => this.#connect());
  }

  /** Doubles with each failure; a random half keeps a thousand desks from returning in the same moment. */
  #retryMs(): number {
    const ms = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    return ms * (0.5 + this.platform.random() / 2);
  }
}

function parse(data: unknown): Event | StreamReady | null {
  if (typeof data !== 'string') return null;
  try {
    const frame: unknown = JSON.parse(data);
    const isFrame =
      typeof frame === 'object' && frame !== null && 'type' in frame && 'seq' in frame && typeof frame.seq === 'number';
    return isFrame ? (frame as Event | StreamReady) : null;
  } catch {
    return null;
  }
}

/** The browser's own socket and timers. */
export const browserPlatform: LivePlatform = {
  open(path) {
    const url = new URL(path, location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return new WebSocket(url) as unknown as LiveSocket;
  },
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

// The browser's phone: registers over the server's websocket, rings, and hands out its calls as `Line`s. JsSIP does the SIP
// and the browser the sound; nothing else in the desk knows of either. Loaded only when somebody chose this phone.
import JsSIP from 'jssip';
import type { IncomingRTCSessionEvent, RTCSessionEvent, UA } from 'jssip/lib/UA';
import type { PhoneAccess } from '../api/types';
import { socketUrl } from './address';
import { LiveLine } from './liveline';
import type { Line, LineTrouble, Registration } from './words';

/** Short, so that a phone that is gone is soon known to be gone. The server may say another time. */
const REGISTER_SECONDS = 120;
const RECONNECT_MIN_S = 1;
const RECONNECT_MAX_S = 10;
/** Ringing ends when the server says so; this only cleans up when it never does. */
const RING_SECONDS = 300;
/** A registration that is not answered so long went down a dead connection. */
const DEAD_MS = 4_000;
/** Calls at once. One more is told that we are busy. */
const MOST_LINES = 4;

export interface PhoneEvents {
  registration(now: Registration): void;
  lines(lines: readonly Line[]): void;
  /** A call is over. `was_talking`: after an answer. */
  gone(line: Line, was_talking: boolean): void;
  trouble(line: Line, trouble: LineTrouble): void;
  soundBlocked(): void;
}

const nothing = () => undefined;
const NOBODY: PhoneEvents = {
  registration: nothing,
  lines: nothing,
  gone: nothing,
  trouble: nothing,
  soundBlocked: nothing,
};

export class Softphone {
  #ua: UA;
  #lines = new Map<string, LiveLine>();
  #speaker = '';
  #dead: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private access: PhoneAccess,
    private events: PhoneEvents,
  ) {
    this.#ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(socketUrl(access.ws_url))],
      uri: access.uri,
      authorization_user: access.username,
      password: access.password,
      register: true,
      register_expires: REGISTER_SECONDS,
      connection_recovery_min_interval: RECONNECT_MIN_S,
      connection_recovery_max_interval: RECONNECT_MAX_S,
      no_answer_timeout: RING_SECONDS,
      // The sound itself tells whether the other side is there (ICE consent); a timer would end calls that a lost
      // websocket left alone.
      session_timers: false,
      user_agent: 'Perezvon desk',
    });
    this.#ua.on('connecting', () => this.events.registration('connecting'));
    this.#ua.on('disconnected', () => this.#lost());
    this.#ua.on('registered', () => this.#registered());
    // Renewals are answered without an event of their own; a refusal has one.
    this.#ua.on('registrationFailed', ({ response }) => this.#failed(response));
    this.#ua.on('newRTCSession', (event: RTCSessionEvent) => {
      if ('from' in event.request && (event.originator as string) === 'remote') this.#invited(event as IncomingRTCSessionEvent);
    });
  }

  get is_registered(): boolean {
    return this.#ua.isConnected() && this.#ua.isRegistered();
  }

  start(): void {
    this.#ua.start();
  }

  /** Goes on with fresh credentials, before the old ones expire or after they were refused. */
  renew(access: PhoneAccess): void {
    this.access = access;
    this.#ua.set('authorization_user', access.username);
    this.#ua.set('password', access.password);
    if (this.#ua.isConnected()) this.#ua.register();
  }

  /** The network changed, or was away: asks the server whether it is still there, and connects anew if it is not. */
  check(): void {
    if (!this.#ua.isConnected()) {
      connectNow(this.#ua);
      return;
    }
    this.#ua.register();
    clearTimeout(this.#dead);
    const seen = this.#ua.registrator();
    this.#dead = setTimeout(() => isWaiting(seen) && reconnect(this.#ua), DEAD_MS);
  }

  lines(): readonly Line[] {
    return [...this.#lines.values()].map((line) => line.seen);
  }

  prepare(id: string, is_answering: boolean): void {
    this.#lines.get(id)?.prepare(is_answering);
  }
  answer(id: string, track: MediaStreamTrack): void {
    const line = this.#lines.get(id);
    if (!line) return;
    // The same call once more: the one we had is only a shell now.
    for (const old of this.#lines.values()) {
      if (old !== line && line.offer.is_resumed && old.offer.call_id === line.offer.call_id) this.#abandon(old);
    }
    line.answer(track, this.access.ice_servers, this.#speaker);
  }
  end(id: string): void {
    this.#lines.get(id)?.end();
  }
  hold(id: string, on: boolean): boolean {
    return this.#lines.get(id)?.hold(on) ?? false;
  }
  mute(id: string, on: boolean): void {
    this.#lines.get(id)?.mute(on);
  }
  tones(id: string, digits: string): boolean {
    return this.#lines.get(id)?.tones(digits) ?? false;
  }
  microphone(track: MediaStreamTrack): void {
    for (const line of this.#lines.values()) void line.microphone(track);
  }
  speaker(device: string): void {
    this.#speaker = device;
    for (const line of this.#lines.values()) void line.speakInto(device);
  }
  play(): void {
    for (const line of this.#lines.values()) line.play();
  }

  /** Hangs up, unregisters and closes. */
  stop(): void {
    clearTimeout(this.#dead);
    this.events = NOBODY;
    this.#ua.stop();
    this.#lines.clear();
  }

  /** Leaves without a word, as a closed tab does: the server keeps the call for the tab that takes over. */
  abandon(): void {
    clearTimeout(this.#dead);
    this.events = NOBODY;
    for (const line of this.#lines.values()) line.abandon();
    this.#lines.clear();
    disconnect(this.#ua);
  }

  #registered(): void {
    clearTimeout(this.#dead);
    this.events.registration('registered');
    for (const line of this.#lines.values()) line.reconnected();
  }

  #lost(): void {
    clearTimeout(this.#dead);
    this.events.registration('lost');
  }

  #failed(response: { status_code: number } | null): void {
    // Without an answer the connection is at fault, and it is being made anew.
    if (response) this.events.registration('refused');
  }

  #invited({ session, request }: IncomingRTCSessionEvent): void {
    if (this.#lines.size >= MOST_LINES) {
      session.terminate({ status_code: 486 });
      return;
    }
    const line = new LiveLine(
      session,
      request,
      {
        changed: () => this.#tell(),
        gone: (was_talking) => {
          const seen = line.seen;
          this.#lines.delete(line.id);
          this.#tell();
          this.events.gone(seen, was_talking);
        },
        trouble: (trouble) => this.events.trouble(line.seen, trouble),
        soundBlocked: () => this.events.soundBlocked(),
      },
      () => this.#ua.isConnected(),
    );
    this.#lines.set(line.id, line);
    this.#tell();
  }

  #abandon(line: LiveLine): void {
    line.abandon();
    this.#lines.delete(line.id);
  }

  #tell(): void {
    this.events.lines(this.lines());
  }
}

/** JsSIP's transport, of which its types tell nothing. */
interface Transport {
  connect(): void;
  disconnect(): void;
}
const transportOf = (ua: UA) => (ua as unknown as { transport: Transport }).transport;
const isWaiting = (registrator: unknown) => (registrator as { _registering: boolean })._registering;
/** Now, not when the back-off says so. */
const connectNow = (ua: UA) => transportOf(ua).connect();
const disconnect = (ua: UA) => transportOf(ua).disconnect();
function reconnect(ua: UA): void {
  disconnect(ua);
  connectNow(ua);
}

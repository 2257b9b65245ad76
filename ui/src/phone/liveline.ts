// One call on the wire: a JsSIP session, its sound, and what is done with it. Made by `softphone.ts`, seen by others as `Line`.
// Here is all that we know better than JsSIP: a hold that is refused, or a connection that breaks meanwhile, ends no talk.
import type { RTCSession, RTCSessionEventMap } from 'jssip/lib/RTCSession';
import type { Invitation, Offer } from './invite';
import { readInvite } from './invite';
import { offerOurCodecs, sameAnswer } from './sdp';
import type { Line, LineTrouble } from './words';

/** JsSIP ends the session for these; the sound goes on, and when it does not, ICE tells (`RTP Timeout`). */
const NO_REASON_TO_HANG_UP = ['WebRTC Error', 'Connection Error', 'Request Timeout'];
/** RFC 4733: long enough for every gateway, short enough to type. */
const TONE_MS = 100;
const TONE_GAP_MS = 70;
/** Sound that is gone so long asks the network for another way (an ICE restart). */
const BROKEN_MS = 1_500;

export interface LiveLineEvents {
  changed(): void;
  /** Over. `was_talking`: after an answer. */
  gone(was_talking: boolean): void;
  trouble(trouble: LineTrouble): void;
  /** The browser keeps the sound shut until the person touches the page. */
  soundBlocked(): void;
}

const nothing = () => undefined;
const NOBODY: LiveLineEvents = { changed: nothing, gone: nothing, trouble: nothing, soundBlocked: nothing };

/** What JsSIP keeps to itself and a hold that came to nothing must put back; the version is pinned. */
interface Inside {
  _localHold: boolean;
  _setLocalMediaStatus(): void;
}

export class LiveLine {
  readonly id: string;
  readonly offer: Offer;
  #phase: Line['phase'] = 'ringing';
  #since = Date.now();
  #audio_state: Line['audio'] = 'none';
  #is_changing = false;
  #was_held = false;
  #track: MediaStreamTrack | null = null;
  #speaker: HTMLAudioElement | null = null;
  #restart: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly session: RTCSession,
    request: Invitation,
    private events: LiveLineEvents,
    private readonly is_connected: () => boolean,
  ) {
    this.id = session.id;
    this.offer = readInvite(request);
    this.#on('accepted', () => this.#talk());
    this.#on('confirmed', () => {
      this.#talk();
      // It was on hold when the page was left, so it still is.
      if (this.offer.is_held) this.hold(true);
    });
    this.#on('ended', () => this.#gone());
    this.#on('failed', () => this.#gone());
    this.#on('hold', () => this.events.changed());
    this.#on('unhold', () => this.events.changed());
    this.#on('muted', () => this.events.changed());
    this.#on('unmuted', () => this.events.changed());
    // The server finds us by our first packets, so one candidate is as good as all.
    this.#on('icecandidate', ({ ready }) => ready());
    this.#on('sdp', (event) => {
      if ((event.originator as string) === 'local' && event.type === 'offer') event.sdp = offerOurCodecs(event.sdp);
    });
    this.#on('peerconnection', ({ peerconnection }) => this.#listen(peerconnection));
    this.#keepTalking();
  }

  get seen(): Line {
    const { call_id, caller, is_resumed, is_asked_for } = this.offer;
    return {
      ...{ id: this.id, call_id, caller, is_resumed, is_asked_for },
      ...{ phase: this.#phase, since: this.#since, audio: this.#audio_state, is_changing: this.#is_changing },
      is_held: this.session.isOnHold().local,
      is_muted: this.session.isMuted().audio === true,
    };
  }

  /** The microphone is being opened, so nothing else answers meanwhile; or it could not be, and the call rings on. */
  prepare(is_answering: boolean): void {
    this.#enter(is_answering ? 'answering' : 'ringing');
  }

  answer(track: MediaStreamTrack, ice_servers: RTCIceServer[], speaker: string): void {
    if (this.session.isEnded()) return;
    this.#audio_state = 'connecting';
    this.#track = track.clone();
    this.#track.enabled = !this.offer.is_held;
    this.#speaker = new Audio();
    this.#speaker.autoplay = true;
    void this.speakInto(speaker);
    try {
      this.session.answer({ mediaStream: new MediaStream([this.#track]), pcConfig: { iceServers: ice_servers } });
    } catch {
      this.events.trouble('answer_failed');
    }
    this.#enter('answering');
  }

  /** Says no to a call that rings (603), or ends one that was answered. */
  end(): void {
    if (this.session.isEnded()) return;
    if (this.#phase === 'talking') this.session.terminate();
    else this.session.terminate({ status_code: 603 });
  }

  /** Whether the server was asked. It cannot be while the connection is gone or another change is on its way. */
  hold(on: boolean): boolean {
    if (!this.is_connected() || this.#is_changing) return false;
    this.#was_held = this.session.isOnHold().local;
    const done = () => this.#settle();
    this.#is_changing = on ? this.session.hold({}, done) : this.session.unhold({}, done);
    this.events.changed();
    return this.#is_changing;
  }

  mute(on: boolean): void {
    if (on) this.session.mute({ audio: true });
    else this.session.unmute({ audio: true });
  }

  /** Sends digits as RFC 4733 events, after those still on their way. */
  tones(digits: string): boolean {
    const sender = this.#sender()?.dtmf;
    if (!sender?.canInsertDTMF) return false;
    sender.insertDTMF(sender.toneBuffer + digits, TONE_MS, TONE_GAP_MS);
    return true;
  }

  /** Goes on with another microphone. */
  async microphone(track: MediaStreamTrack): Promise<void> {
    const [sender, old] = [this.#sender(), this.#track];
    if (!sender) return;
    const next = track.clone();
    next.enabled = old?.enabled ?? true;
    await sender.replaceTrack(next);
    this.#track = next;
    old?.stop();
  }

  async speakInto(device: string): Promise<void> {
    if (!this.#speaker || !('setSinkId' in this.#speaker)) return;
    // The device may be gone: the sound stays where it is.
    await this.#speaker.setSinkId(device).catch(() => undefined);
  }

  /** Lets the sound out after the person has touched the page. */
  play(): void {
    void this.#speaker?.play().catch(() => this.events.soundBlocked());
  }

  /** The connection is back: looks for another way to the server if the sound has not found one. */
  reconnected(): void {
    if (this.#audio_state === 'broken') this.#findAnotherWay();
  }

  /** Leaves without a word: another tab takes the call over. */
  abandon(): void {
    clearTimeout(this.#restart);
    this.events = NOBODY;
    // There is none before an answer, whatever the types say.
    (this.session.connection as RTCPeerConnection | null)?.close();
    this.#silence();
  }

  #on<T extends keyof RTCSessionEventMap>(type: T, listener: RTCSessionEventMap[T]): void {
    this.session.on(type, listener);
  }

  #enter(phase: Line['phase']): void {
    if (phase !== this.#phase) this.#since = Date.now();
    this.#phase = phase;
    this.events.changed();
  }

  #sender(): RTCRtpSender | undefined {
    return this.#phase === 'ringing' ? undefined : this.session.connection.getSenders()[0];
  }

  #talk(): void {
    this.#enter('talking');
  }

  #gone(): void {
    clearTimeout(this.#restart);
    const was_talking = this.#phase === 'talking';
    this.#silence();
    this.events.gone(was_talking);
  }

  #silence(): void {
    this.#track?.stop();
    if (this.#speaker) this.#speaker.srcObject = null;
  }

  #listen(connection: RTCPeerConnection): void {
    connection.addEventListener('track', ({ track, streams }) => {
      if (!this.#speaker) return;
      this.#speaker.srcObject = streams[0] ?? new MediaStream([track]);
      this.play();
    });
    connection.addEventListener('iceconnectionstatechange', () => this.#sounds(connection.iceConnectionState));
  }

  #sounds(state: RTCIceConnectionState): void {
    clearTimeout(this.#restart);
    if (state === 'connected' || state === 'completed') this.#audio_state = 'flowing';
    if (state === 'disconnected' || state === 'failed') {
      this.#audio_state = 'broken';
      this.#restart = setTimeout(() => this.#findAnotherWay(), BROKEN_MS);
    }
    this.events.changed();
  }

  #findAnotherWay(): void {
    if (!this.is_connected() || !this.session.isEstablished()) return;
    this.#was_held = this.session.isOnHold().local;
    this.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
  }

  #settle(): void {
    this.#is_changing = false;
    this.events.changed();
  }

  /** JsSIP hangs up when a re-INVITE of ours comes to nothing; the talk is worth more than the hold. */
  #keepTalking(): void {
    const terminate = this.session.terminate.bind(this.session);
    this.session.terminate = (options) => {
      const is_ours = typeof options?.cause === 'string' && NO_REASON_TO_HANG_UP.includes(options.cause);
      if (is_ours && this.#phase === 'talking') void this.#putBack();
      else terminate(options);
    };
  }

  async #putBack(): Promise<void> {
    const connection = this.session.connection;
    const { currentRemoteDescription: theirs, currentLocalDescription: ours } = connection;
    if (connection.signalingState === 'have-local-offer' && theirs && ours) {
      const sdp = sameAnswer(theirs.sdp, ours.sdp);
      await connection.setRemoteDescription({ type: 'answer', sdp }).catch(() => undefined);
    }
    const inside = this.session as unknown as Inside;
    const was_hold = this.#is_changing;
    inside._localHold = this.#was_held;
    inside._setLocalMediaStatus();
    this.#settle();
    if (was_hold) this.events.trouble('hold_refused');
  }
}

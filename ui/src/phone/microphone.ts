// The one microphone of the page: opened when somebody must hear us, closed when nobody does, so that the browser's sign of
// a live microphone tells the truth. Each call gets a copy of its track, because hold and mute silence only their own call.
import type { MicrophoneTrouble } from './words';

export class NoMicrophone extends Error {
  constructor(readonly trouble: MicrophoneTrouble) {
    super(trouble);
    this.name = 'NoMicrophone';
  }
}

const SOUND: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** Whether this page may have a microphone at all: browsers give none to plain http, save for the machine itself. */
export function isPossible(): boolean {
  return isSecureContext && 'mediaDevices' in navigator && 'RTCPeerConnection' in window;
}

/**
 * `granted`, `denied`, or `prompt`: the person will be asked. `changed` is called when the person has changed it in the
 * browser's own settings.
 */
export async function permission(changed: () => void): Promise<PermissionState> {
  try {
    const status = await navigator.permissions.query({ name: 'microphone' });
    status.onchange = changed;
    return status.state;
  } catch {
    // A browser that does not tell: it will ask.
    return 'prompt';
  }
}

export class Microphone {
  #stream: MediaStream | null = null;
  #opening: Promise<MediaStreamTrack> | null = null;
  #device = '';

  /** `unplugged`: the device went away while it was open. */
  constructor(private readonly unplugged: () => void) {}

  get track(): MediaStreamTrack | null {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  /** Opens the device, or the machine's own choice when it is not there. Throws `NoMicrophone`. */
  open(device: string): Promise<MediaStreamTrack> {
    const track = this.track;
    if (track?.readyState === 'live' && this.#device === device) return Promise.resolve(track);
    if (this.#opening && this.#device === device) return this.#opening;
    this.#device = device;
    this.#opening = this.#open(device).finally(() => (this.#opening = null));
    return this.#opening;
  }

  close(): void {
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#stream = null;
  }

  async #open(device: string): Promise<MediaStreamTrack> {
    if (!isPossible()) throw new NoMicrophone('insecure');
    const stream = await ask(device);
    this.close();
    this.#stream = stream;
    const track = stream.getAudioTracks()[0];
    if (!track) throw new NoMicrophone('missing');
    track.onended = () => this.unplugged();
    return track;
  }
}

async function ask(device: string): Promise<MediaStream> {
  const of = (deviceId?: ConstrainDOMString) =>
    navigator.mediaDevices.getUserMedia({ audio: deviceId ? { ...SOUND, deviceId } : SOUND });
  try {
    return await of(device ? { exact: device } : undefined);
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    // The chosen headset is at home today: take what there is.
    if (device && (name === 'OverconstrainedError' || name === 'NotFoundError')) return ask('');
    if (name === 'NotAllowedError' || name === 'SecurityError') throw new NoMicrophone('denied');
    if (name === 'NotFoundError' || name === 'OverconstrainedError') throw new NoMicrophone('missing');
    throw new NoMicrophone('busy');
  }
}

// The agent's phone and the agent's calls together: what the keys and buttons of the strip do, be the phone in this page or
// on the desk.
import { t } from '../i18n/index.svelte';
import type { Line, LineTrouble } from '../phone/words';
import type { Contact } from './contacts';
import { holdCall, resumeCall } from '../api/endpoints';
import { desk } from './desk.svelte';
import { errorText } from './errors';
import { pairUp } from './pairs';
import { phone } from './phone.svelte';
import { prefs } from './prefs.svelte';
import { supervision } from './supervision.svelte';
import { session } from './session.svelte';
import { toasts } from './toasts.svelte';

class Talk {
  is_keypad_open = $state(false);
  /** What was decided about a call before its ring reached this page. */
  decided = $state.raw<{ call_id: string; what: 'answer' | 'decline' } | null>(null);
  /** The call whose hold the server was asked to change. */
  asked_hold = $state<string | null>(null);
  /** What the keypad has sent in this call. */
  digits = $state('');
  /** A call that we only listen to is none of the desk's. */
  #pairs = $derived(
    pairUp(supervision.line ? phone.lines.filter(({ id }) => id !== supervision.line?.id) : phone.lines, desk.contacts),
  );
  /** The one in the strip, when it is on this page's phone. */
  readonly line: Line | null = $derived(
    desk.foremost ? (this.#pairs.lines.get(desk.foremost.call_id) ?? null) : (this.#pairs.strays[0] ?? null),
  );
  /** A call of which only the phone knows. */
  readonly stray: Line | null = $derived(this.#pairs.strays[0] ?? null);

  /** Whether this person takes calls in the page, or means to. */
  get is_in_page(): boolean {
    const me = session.me;
    return me?.extension != null && prefs.phoneOf(me.login) === 'browser';
  }

  lineOf(contact: Contact): Line | null {
    return this.#pairs.lines.get(contact.call_id) ?? null;
  }

  start(): void {
    if (!this.is_in_page) return;
    phone.start({
      gone: (line, was_talking) => this.#gone(line, was_talking),
      trouble: (trouble) => this.#say(trouble),
    });
  }
  stop(): void {
    phone.stop();
    this.is_keypad_open = false;
  }
  choosePlace(place: 'browser' | 'desk'): void {
    const login = session.me?.login;
    if (!login) return;
    prefs.choosePhone(login, place);
    if (place === 'browser') this.start();
    else this.stop();
  }

  /** The call that F2 takes: the one in the strip, or the one that rings beside it. */
  get ringing(): Line | null {
    if (this.line?.phase === 'ringing') return this.line;
    const other = desk.contacts.find((contact) => this.lineOf(contact)?.phase === 'ringing');
    return (other && this.lineOf(other)) ?? this.#pairs.strays.find((line) => line.phase === 'ringing') ?? null;
  }

  /** Answers; a talk that goes on is put on hold first. */
  answer(line: Line | null = this.ringing): void {
    if (!line) this.#decide(desk.foremost, 'answer');
    if (line?.phase !== 'ringing') return;
    this.#holdOthers(line);
    void phone.answer(line);
  }

  /** Declines what rings in the strip, or ends what is talked. Without a line of our own the server does it. */
  end(contact: Contact | null = desk.foremost): void {
    const line = contact ? this.lineOf(contact) : this.stray;
    if (line) {
      phone.end(line);
      if (contact && line.phase === 'talking' && phone.is_registered) return desk.markEnding(contact.call_id);
      if (phone.is_registered) return;
    }
    if (!line) this.#decide(contact, 'decline');
    if (contact && (contact.phase === 'talking' || contact.phase === 'held' || contact.phase === 'dialing'))
      void desk.hangUp(contact.call_id);
  }

  toggleHold(line: Line | null = this.line): void {
    const { foremost } = desk;
    if (!line && foremost && !this.is_in_page && (foremost.phase === 'talking' || foremost.phase === 'held'))
      void this.#holdByServer(foremost);
    if (line?.phase !== 'talking' || line.is_changing) return;
    if (line.is_held) this.#holdOthers(line);
    if (!phone.hold(line, !line.is_held)) this.#say('hold_refused');
  }

  /** A phone elsewhere: the server holds for it. */
  async #holdByServer({ call_id, phase }: Contact): Promise<void> {
    if (this.asked_hold) return;
    this.asked_hold = call_id;
    try {
      await (phase === 'held' ? resumeCall(call_id) : holdCall(call_id));
    } catch (error) {
      toasts.show('error', t().softphone.troubles.hold_refused, { text: errorText(error) });
    } finally {
      this.asked_hold = null;
    }
  }

  toggleMute(): void {
    const line = this.line ?? supervision.line;
    if (line?.phase === 'talking') phone.mute(line, !line.is_muted);
  }

  toggleKeypad(): void {
    this.is_keypad_open = !this.is_keypad_open && this.line?.phase === 'talking';
  }
  tone(digit: string): void {
    if (this.line && phone.tones(this.line, digit)) this.digits = `${this.digits}${digit}`.slice(-64);
  }

  /**
   * Takes what was decided before it rang here: a call that we placed from this page rings our own phone first, and the
   * card of a call may be faster than its ring.
   */
  takeDecided(): void {
    for (const contact of desk.contacts) {
      const line = this.lineOf(contact);
      const is_placed = line?.is_asked_for === true && desk.dialed.has(contact.call_id);
      if (line?.phase !== 'ringing') continue;
      const what = this.decided?.call_id === contact.call_id ? this.decided.what : is_placed ? 'answer' : null;
      if (what === 'answer') this.answer(line);
      if (what === 'decline') phone.end(line);
    }
    const is_ringing = desk.contacts.some(({ call_id, phase }) => call_id === this.decided?.call_id && phase === 'ringing');
    if (this.decided && !is_ringing) this.decided = null;
  }

  #decide(contact: Contact | null, what: 'answer' | 'decline'): void {
    if (contact?.phase === 'ringing' && this.is_in_page && phone.is_registered) this.decided = { call_id: contact.call_id, what };
  }

  #holdOthers(line: Line): void {
    for (const other of phone.lines) {
      if (other.id !== line.id && other.phase === 'talking' && !other.is_held) phone.hold(other, true);
    }
  }

  #gone(line: Line, was_talking: boolean): void {
    if (!phone.lines.some((one) => one.phase === 'talking')) {
      this.is_keypad_open = false;
      this.digits = '';
    }
    if (!was_talking && line.phase === 'answering') this.#say('answer_failed');
  }

  #say(trouble: LineTrouble | 'microphone'): void {
    toasts.show('error', t().softphone.troubles[trouble]);
  }
}

export const talk = new Talk();

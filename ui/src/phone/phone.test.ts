import { describe, expect, test, vi } from 'vitest';
import type { Contact, Phase } from '../state/contacts';
import { contactOf } from '../state/contacts';
import { pairUp } from '../state/pairs';
import { plainName } from './devices';
import { Holder } from './holder';
import { readInvite } from './invite';
import { levelOf } from './level';
import { offerOurCodecs, sameAnswer } from './sdp';
import { socketUrl } from './address';
import type { Line } from './words';

function invite(headers: Record<string, string>, from: { display_name?: string; uri: { user?: string } } = { uri: {} }) {
  const find = (name: string) => Object.entries(headers).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  return readInvite({ hasHeader: (name) => find(name) !== undefined, getHeader: find, from });
}

describe('an INVITE', () => {
  test('names its call and its caller', () => {
    const offer = invite({ 'X-Perezvon-Call': 'c1' }, { display_name: 'Ольга', uri: { user: '+79215550187' } });
    expect(offer).toEqual({
      call_id: 'c1',
      caller: { number: '+79215550187', display: 'Ольга' },
      is_resumed: false,
      is_held: false,
      is_asked_for: false,
    });
  });

  test('of somebody who hides has no number', () => {
    expect(invite({}, { uri: { user: 'anonymous' } }).caller).toEqual({ number: null, display: null });
  });

  test('is taken up again only when our server says which call it is', () => {
    expect(invite({ 'X-Perezvon-Resume': 'c2' })).toMatchObject({ call_id: 'c2', is_resumed: true });
    expect(invite({ 'X-Perezvon-Resume': 'c2', 'X-Perezvon-Held': 'true' }).is_held).toBe(true);
    expect(invite({ 'X-Perezvon-Held': 'true' }).is_held).toBe(false);
    const asked = invite({ 'Alert-Info': '<http://localhost>;info=alert-autoanswer', 'Call-Info': '<sip:a>;answer-after=0' });
    expect(asked).toMatchObject({ call_id: null, is_resumed: false, is_asked_for: true });
    expect(invite({ 'Call-Info': '<sip:a>;answer-after=10' }).is_asked_for).toBe(false);
  });
});

const OFFER = [
  'v=0',
  'a=group:BUNDLE 0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
  'c=IN IP4 0.0.0.0',
  'a=rtpmap:111 opus/48000/2',
  'a=rtcp-fb:111 transport-cc',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  'a=rtpmap:9 G722/8000',
  'a=rtpmap:0 PCMU/8000',
  'a=rtpmap:8 PCMA/8000',
  'a=rtpmap:13 CN/8000',
  'a=rtpmap:110 telephone-event/48000',
  'a=rtpmap:126 telephone-event/8000',
  'a=setup:actpass',
  '',
].join('\r\n');

describe('our offers', () => {
  test('carry Opus, then G.711, and the keypad; nothing else of a codec stays', () => {
    const sdp = offerOurCodecs(OFFER);
    expect(sdp).toContain('m=audio 9 UDP/TLS/RTP/SAVPF 111 8 0 110 126\r\n');
    expect(sdp).not.toMatch(/:(63|9|13) /);
    expect(sdp).toContain('a=fmtp:111 minptime=10;useinbandfec=1\r\n');
    expect(sdp.split('\r\n').length).toBe(OFFER.split('\r\n').length - 4);
  });

  test('stay as they are when there is no codec of ours in them', () => {
    const strange = OFFER.replace(/opus|PCMU|PCMA/g, 'L16');
    expect(offerOurCodecs(strange)).toBe(strange);
    expect(offerOurCodecs('nonsense')).toBe('nonsense');
  });

  test('that are refused end with what the other side said before', () => {
    expect(sameAnswer('a=setup:actpass\r\n', 'a=setup:active\r\n')).toBe('a=setup:passive\r\n');
    expect(sameAnswer('a=setup:actpass\r\n', 'a=setup:passive\r\n')).toBe('a=setup:active\r\n');
    expect(sameAnswer('a=setup:passive\r\n', 'a=setup:actpass\r\n')).toBe('a=setup:passive\r\n');
  });
});

describe('calls on the phone and contacts of the desk', () => {
  const line = (id: string, phase: Line['phase'], call_id: string | null = null): Line => ({
    ...{ id, phase, call_id, since: 0, caller: { number: null, display: null }, is_resumed: false, is_asked_for: false },
    ...{ is_held: false, is_muted: false, is_changing: false, audio: 'none' },
  });
  const contact = (call_id: string, phase: Phase): Contact => contactOf(call_id, phase, 0);

  test('belong together when the server marks them', () => {
    const pairs = pairUp(
      [line('b', 'ringing', 'c2'), line('a', 'talking', 'c1')],
      [contact('c1', 'talking'), contact('c2', 'ringing')],
    );
    expect([...pairs.lines].map(([call, { id }]) => [call, id])).toEqual([
      ['c2', 'b'],
      ['c1', 'a'],
    ]);
    expect(pairs.strays).toEqual([]);
  });

  test('without a mark go to what rings, never to a talk on another phone', () => {
    expect(pairUp([line('a', 'ringing')], [contact('c1', 'talking')]).strays.map(({ id }) => id)).toEqual(['a']);
    expect(pairUp([line('a', 'ringing')], [contact('c1', 'talking'), contact('c2', 'ringing')]).lines.get('c2')?.id).toBe('a');
    expect(pairUp([line('a', 'ringing')], [contact('c1', 'dialing')]).lines.get('c1')?.id).toBe('a');
  });

  test('that the desk does not know are strays', () => {
    expect(pairUp([line('a', 'ringing', 'c9')], [contact('c1', 'ringing')]).strays.map(({ id }) => id)).toEqual(['a']);
    expect(pairUp([line('a', 'talking', 'c1')], [contact('c1', 'gone')]).strays).toHaveLength(1);
  });

  test('one contact has one line', () => {
    const pairs = pairUp([line('a', 'ringing'), line('b', 'ringing')], [contact('c1', 'ringing')]);
    expect(pairs.lines.get('c1')?.id).toBe('a');
    expect(pairs.strays.map(({ id }) => id)).toEqual(['b']);
  });
});

/** Web Locks of one browser with many tabs, as far as the holder uses them. */
class Locks {
  #holder: { reject: (error: unknown) => void } | null = null;
  #queue: (() => void)[] = [];

  request = ((_: string, options: LockOptions, act: (lock: Lock | null) => unknown) => {
    if (options.ifAvailable && this.#holder) return Promise.resolve(act(null));
    if (options.steal) this.#holder?.reject(new DOMException('stolen', 'AbortError'));
    return new Promise<unknown>((resolve, reject) => {
      const take = () => {
        const mine = { reject };
        this.#holder = mine;
        void Promise.resolve(act({ name: 'phone', mode: 'exclusive' })).then(() => {
          resolve(undefined);
          if (this.#holder !== mine) return;
          this.#holder = null;
          this.#queue.shift()?.();
        });
      };
      if (!this.#holder || options.steal) return take();
      this.#queue.push(take);
      options.signal?.addEventListener('abort', () => {
        this.#queue = this.#queue.filter((one) => one !== take);
        reject(new DOMException('called off', 'AbortError'));
      });
    });
  }) as unknown as LockManager['request'];
}

describe('one tab has the phone', () => {
  const tab = (locks: Locks) => {
    const events = { got: vi.fn(), elsewhere: vi.fn() };
    return { ...events, holder: new Holder(events, locks) };
  };
  const settle = () => new Promise((done) => setTimeout(done));

  test('the first takes it, the second is told, and gets it when the first lets go', async () => {
    const locks = new Locks();
    const [first, second] = [tab(locks), tab(locks)];
    first.holder.start();
    second.holder.start();
    await settle();
    expect([first.got.mock.calls.length, second.got.mock.calls.length, second.elsewhere.mock.calls.length]).toEqual([1, 0, 1]);
    first.holder.stop();
    await settle();
    expect(second.holder.has).toBe(true);
    expect(first.elsewhere).not.toHaveBeenCalled();
  });

  test('the second may take it over, and the first gets it back when the second closes', async () => {
    const locks = new Locks();
    const [first, second] = [tab(locks), tab(locks)];
    first.holder.start();
    second.holder.start();
    await settle();
    second.holder.takeOver();
    await settle();
    expect([second.holder.has, first.holder.has, first.elsewhere.mock.calls.length]).toEqual([true, false, 1]);
    second.holder.stop();
    await settle();
    expect(first.holder.has).toBe(true);
  });

  test('who stops waiting never gets it', async () => {
    const locks = new Locks();
    const [first, second] = [tab(locks), tab(locks)];
    first.holder.start();
    second.holder.start();
    await settle();
    second.holder.stop();
    first.holder.stop();
    await settle();
    expect([first.holder.has, second.holder.has, second.got.mock.calls.length]).toEqual([false, false, 0]);
  });
});

test('the meter shows nothing for silence, all for full scale, and half for -30 dB', () => {
  expect(levelOf(new Float32Array(64))).toBe(0);
  expect(levelOf(new Float32Array(64).fill(1))).toBe(1);
  expect(levelOf(new Float32Array(64).fill(10 ** (-30 / 20)))).toBeCloseTo(0.5);
});

test('the websocket is reached as the page is', () => {
  expect(socketUrl('/sip', 'http://desk.example:8080/calls')).toBe('ws://desk.example:8080/sip');
  expect(socketUrl('ws://desk.example/sip', 'https://desk.example/')).toBe('wss://desk.example/sip');
  expect(socketUrl('wss://sip.example/sip', 'https://desk.example/')).toBe('wss://sip.example/sip');
});

test("a device's name is said without the vendor's numbers", () => {
  expect(plainName('Jabra Evolve2 30 (0b0e:0301)')).toBe('Jabra Evolve2 30');
  expect(plainName('Микрофон (USB)')).toBe('Микрофон (USB)');
});

import { beforeEach, describe, expect, test } from 'vitest';
import type { LiveHandlers, LivePlatform, LiveSocket } from './live';
import { Live } from './live';

class FakePlatform implements LivePlatform {
  paths: string[] = [];
  sockets: (LiveSocket & { is_closed: boolean })[] = [];
  timers: { ms: number; act: () => void; is_off: boolean }[] = [];

  open(path: string): LiveSocket {
    const socket = {
      is_closed: false,
      onmessage: null,
      onclose: null,
      close() {
        this.is_closed = true;
      },
    };
    this.paths.push(path);
    this.sockets.push(socket);
    return socket;
  }

  after(ms: number, act: () => void): () => void {
    const timer = { ms, act, is_off: false };
    this.timers.push(timer);
    return () => (timer.is_off = true);
  }

  random(): number {
    return 1;
  }

  runTimers(): number[] {
    const due = this.timers.filter((timer) => !timer.is_off);
    this.timers = [];
    for (const timer of due) timer.act();
    return due.map((timer) => timer.ms);
  }

  get last() {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  say(frame: object): void {
    this.last.onmessage?.({ data: JSON.stringify(frame) });
  }

  closeWith(code: number): void {
    this.last.onclose?.({ code });
  }
}

const event = (seq: number) => ({
  seq,
  at: '2026-11-23T11:00:00.000Z',
  type: 'call.ended',
  call_id: null,
  agent: null,
  data: {},
});

describe('the live stream', () => {
  let platform: FakePlatform;
  let heard: string[];
  let live: Live;

  beforeEach(() => {
    platform = new FakePlatform();
    heard = [];
    const handlers: LiveHandlers = {
      opened: (resumed) => heard.push(`opened ${resumed}`),
      event: (e, replayed) => heard.push(`event ${e.seq} ${replayed}`),
      caughtUp: (n) => heard.push(`caught up ${n}`),
      lost: () => heard.push('lost'),
      signedOut: () => heard.push('signed out'),
      expired: () => heard.push('expired'),
      refused: () => heard.push('refused'),
    };
    live = new Live(handlers, platform);
  });

  test('starts from now and remembers where it is', () => {
    live.start();
    expect(platform.paths).toEqual(['/api/v1/live']);
    platform.say({ type: 'stream.ready', seq: 40 });
    platform.say(event(41));
    expect(live.seq).toBe(41);
    expect(heard).toEqual(['opened false', 'event 41 false']);
  });

  test('delivers no event twice', () => {
    live.start();
    platform.say({ type: 'stream.ready', seq: 40 });
    platform.say(event(41));
    platform.say(event(41));
    platform.say(event(40));
    platform.say(event(43));
    expect(heard.filter((line) => line.startsWith('event'))).toEqual(['event 41 false', 'event 43 false']);
  });

  test('resumes after the last event and says when it has caught up', () => {
    live.start();
    platform.say({ type: 'stream.ready', seq: 40 });
    platform.say(event(41));
    platform.closeWith(1006);
    platform.runTimers();
    expect(platform.paths.at(-1)).toBe('/api/v1/live?after=41');
    platform.say({ type: 'stream.ready', seq: 41, newest: 45 });
    platform.say(event(43));
    platform.say(event(45));
    platform.say(event(46));
    expect(heard.slice(2)).toEqual(['lost', 'opened true', 'event 43 true', 'event 45 true', 'caught up 2', 'event 46 false']);
  });

  test('quiet ends the catching up when the newest event is not ours to see', () => {
    live.start(10);
    platform.say({ type: 'stream.ready', seq: 45 });
    platform.say(event(12));
    platform.runTimers();
    expect(heard).toEqual(['opened true', 'event 12 true', 'caught up 1']);
  });

  test('too slow: comes back at once and goes on where it was', () => {
    live.start();
    platform.say({ type: 'stream.ready', seq: 40 });
    platform.closeWith(4001);
    expect(platform.runTimers()).toEqual([0]);
    expect(platform.paths.at(-1)).toBe('/api/v1/live?after=40');
  });

  test('a revoked session asks for a sign-in and does not knock again', () => {
    live.start();
    platform.say({ type: 'stream.ready', seq: 40 });
    platform.closeWith(4002);
    platform.runTimers();
    expect(heard).toEqual(['opened false', 'signed out']);
    expect(platform.paths).toHaveLength(1);
  });

  test('an expired seq starts afresh', () => {
    live.start(3);
    platform.closeWith(4003);
    platform.runTimers();
    expect(heard).toEqual(['expired']);
    expect(platform.paths.at(-1)).toBe('/api/v1/live');
  });

  test('each failure waits longer, up to eight seconds', () => {
    live.start();
    const waits: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      platform.closeWith(1006);
      waits.push(...platform.runTimers());
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
    expect(heard.filter((line) => line === 'refused')).toHaveLength(8);
  });

  test('frames that are not ours to understand are skipped', () => {
    live.start();
    platform.last.onmessage?.({ data: 'not json' });
    platform.last.onmessage?.({ data: new ArrayBuffer(4) });
    platform.last.onmessage?.({ data: '{"type":"stream.ready"}' });
    expect(heard).toEqual([]);
  });

  test('after stop nothing is heard and nothing reopens', () => {
    live.start();
    platform.say({ type: 'stream.ready', seq: 40 });
    live.stop();
    platform.say(event(41));
    platform.closeWith(1006);
    platform.runTimers();
    expect(heard).toEqual(['opened false']);
    expect(platform.last.is_closed).toBe(true);
  });
});

// The state behind the mock server and the few moves it knows: a call rings, is answered, ends. Every change is an event
// with a growing `seq`, as the real server's log would have it.
import { leg, makeClients, makeHistory, party, queues as QUEUES, users as USERS, uuid } from './data.mjs';

const stamp = (ms = Date.now()) => new Date(ms).toISOString();

export class World {
  publish = () => undefined;
  /** The browser's phone, when there is one: rings and ends with the calls. */
  sip = null;

  constructor() {
    this.users = USERS;
    this.reset();
  }

  reset({ calm = true } = {}) {
    const now = Date.now();
    this.stop();
    this.sip?.reset();
    this.seq = 1000;
    this.oldest_seq = 1000;
    this.log = [];
    this.open = new Map();
    /** What was wrong with the sound, by call and role. */
    this.troubles = new Map();
    /** Who listens to which call, by login. */
    this.supervisors = new Map();
    this.clients = makeClients(now);
    const { calls, recordings } = makeHistory(now, this.clients);
    this.calls = calls;
    this.recordings = recordings;
    this.agents = new Map();
    for (const user of this.users.filter((one) => one.extension && one.role === 'agent'))
      this.agents.set(user.login, this.#agent(user, now));
    this.#setTheScene(now);
    if (!calm) this.live();
  }

  #agent(user, now) {
    return {
      ...{ login: user.login, name: user.name, team: user.team, extension: user.extension },
      ...{ state: 'ready', reason: null, since: stamp(now - 252_000), until: null, call_id: null },
      queues: QUEUES.filter((queue) => queue.members.includes(user.login)).map((queue) => queue.name),
      registered: true,
    };
  }

  /** A believable quarter past two: some talk, one is at lunch, two callers wait. */
  #setTheScene(now) {
    const set = (login, change) => Object.assign(this.agents.get(login), change);
    const talk = (login, client, ago, queue) => {
      const call = this.#newCall({ client: this.clients[client], queue, at: now - ago - 14_000 });
      this.open.set(call.id, call);
      this.#join(call, login, now - ago);
      set(login, { state: 'talking', since: stamp(now - ago), call_id: call.id });
      return call;
    };
    talk('boris', 1, 364_000, 'Продажи');
    talk('galina', 5, 107_000, 'Продажи');
    const held = talk('kirill', 9, 215_000, 'Поддержка');
    held.state = 'held';
    set('kirill', { state: 'holding', since: stamp(now - 52_000) });
    set('denis', { since: stamp(now - 140_000) });
    set('elena', { state: 'wrap_up', since: stamp(now - 4_000), until: stamp(now + 3_600_000) });
    set('zakhar', { state: 'break', reason: 'lunch', since: stamp(now - 692_000) });
    set('timur', { state: 'not_answering', reason: 'no_answer', since: stamp(now - 48_000) });
    set('lidia', { state: 'offline', registered: false, since: stamp(now - 9 * 3_600_000) });
    this.enqueue({ client: 11, queue: 'Поддержка', waited_ms: 72_000 });
    this.enqueue({ client: 8, queue: 'Продажи', waited_ms: 41_000 });
  }

  emit(type, data, { call_id = null, agent = null, queue = null } = {}) {
    this.seq += 1 + Math.floor(Math.random() * 3);
    const event = { seq: this.seq, at: stamp(), type, call_id, agent, data: structuredClone(data) };
    Object.defineProperty(event, 'queue', { value: queue });
    this.log.push(event);
    this.publish(event);
    return event;
  }

  sees(user, event) {
    if (user.role !== 'agent') return true;
    if (event.type === 'call.supervised') return false;
    const legs = event.data.legs ?? [];
    return (
      event.agent === user.login ||
      event.data.login === user.login ||
      legs.some((one) => one.agent === user.login && one.state !== 'ended')
    );
  }

  me(user) {
    const led = QUEUES.filter((queue) => queue.supervisors.includes(user.login)).map((queue) => queue.name);
    const own = QUEUES.filter((queue) => queue.members.includes(user.login)).map((queue) => queue.name);
    return { ...user, language: 'ru', timezone: 'Europe/Moscow', supervises: led, queues: own };
  }
  call(id) {
    return this.open.get(id) ?? this.calls.find((call) => call.id === id);
  }
  recording(id) {
    return this.recordings.find((recording) => recording.id === id);
  }
  client(id) {
    return this.clients.find((client) => client.id === id);
  }
  lastRinging() {
    return [...this.open.values()].filter((call) => call.state === 'offered' || call.state === 'ringing').at(-1)?.id;
  }
  lastOpen() {
    return [...this.open.keys()].at(-1);
  }

  callsFor(me, { active, agent, card_id: card, queue }) {
    const list =
      active === 'true' ? [...this.open.values()] : active === 'false' ? this.calls : [...this.calls, ...this.open.values()];
    // As the server counts: a call that was only offered to an agent is theirs too.
    const isOf = (call, login) => call.agent === login || call.legs.some((one) => one.agent === login);
    const mine = (call) => me.role !== 'agent' || isOf(call, me.login);
    const fits = (call) => (!agent || isOf(call, agent)) && (!card || call.card_id === card) && (!queue || call.queue === queue);
    return list.filter((call) => mine(call) && fits(call)).sort((a, b) => b.started_at.localeCompare(a.started_at));
  }

  recordingsFor(me, { agent, card_id: card, queue }) {
    const joined = this.recordings.map((recording) => ({ ...recording, call: this.call(recording.call_id) ?? null }));
    const mine = ({ call }) => me.role !== 'agent' || call?.agent === me.login;
    const fits = ({ call }) =>
      (!agent || call?.agent === agent) && (!card || call?.card_id === card) && (!queue || call?.queue === queue);
    return joined.filter((one) => mine(one) && fits(one)).sort((a, b) => b.started_at.localeCompare(a.started_at));
  }

  timeline(card_id) {
    return this.calls
      .filter((call) => call.card_id === card_id)
      .sort((a, b) => b.started_at.localeCompare(a.started_at))
      .map((call) => ({
        id: `t-${call.id}`,
        kind: 'call',
        at: call.started_at,
        call,
        recording: this.recording(call.recording_id) ?? null,
      }));
  }

  queueViews(me) {
    const seen = QUEUES.filter((queue) => me.role !== 'agent' || queue.members.includes(me.login));
    return seen.map((queue) => {
      const waiting = [...this.open.values()].filter(
        (call) => call.queue === queue.name && (call.state === 'queued' || call.state === 'offered'),
      );
      const first = Math.min(...waiting.map((call) => Date.parse(call.started_at)));
      const members = queue.members.map((login) => this.agents.get(login)).filter(Boolean);
      return {
        ...queue,
        strategy: 'longest-idle',
        waiting: waiting.length,
        longest_wait_ms: waiting.length ? Date.now() - first : null,
        ready: members.filter((agent) => agent.state === 'ready' && agent.registered).length,
        talking: members.filter((agent) => agent.state === 'talking' || agent.state === 'holding').length,
      };
    });
  }

  searchClients(text) {
    const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const digits = text.replace(/\D/g, '').replace(/^8/, '7');
    const hay = (client) =>
      [client.name, client.company ?? '', ...client.emails.map((one) => one.email)].join(' ').toLocaleLowerCase();
    const fits = (client) =>
      words.every((one) => hay(client).includes(one)) ||
      (digits.length >= 3 && client.numbers.some((one) => one.e164.includes(digits)));
    return this.clients.filter(fits).sort((a, b) => b.updated_at.localeCompare(a.updated_at));
  }

  createClient(body) {
    const at = stamp();
    const empty = {
      company: null,
      numbers: [],
      emails: [],
      source: null,
      owner: null,
      tags: [],
      fields: {},
      language: null,
      is_stub: false,
    };
    const client = { id: uuid(), ...empty, ...body, created_at: at, updated_at: at };
    this.clients.unshift(client);
    return client;
  }

  patchClient(id, patch) {
    const client = this.client(id);
    if (!client) return null;
    const { fields, ...rest } = patch;
    Object.assign(client, rest, { updated_at: stamp(), is_stub: false });
    for (const [key, value] of Object.entries(fields ?? {})) {
      if (value === null) delete client.fields[key];
      else client.fields[key] = value;
    }
    return client;
  }

  brief(client) {
    const { id, name, company, owner, tags, fields } = client;
    return { id, name, company, owner, url: `/clients/${id}`, tags, fields };
  }

  lookUp(phone) {
    const digits = phone.replace(/\D/g, '').replace(/^8(?=\d{10}$)/, '7');
    const e164 = digits ? `+${digits}` : null;
    const hits = this.clients.filter((client) => client.numbers.some((one) => one.e164 === e164));
    const candidates = hits.map((client, n) => ({ card: this.brief(client), rank: n + 1, reason: this.#why(client, n) }));
    const match = !e164 ? 'withheld' : hits.length === 1 ? 'known' : hits.length ? 'ambiguous' : 'unknown';
    const reason = {
      known: 'По мобильному, 14 звонков',
      ambiguous: 'Общий номер ООО «Полярис», трое с ним звонили',
      unknown: 'Номера нет ни в одной карточке',
      withheld: 'Номер скрыт звонящим',
    }[match];
    return { e164, extension: null, match, reason, card: match === 'known' ? candidates[0].card : null, candidates };
  }

  #why(client, n) {
    return n === 0 ? `${client.fields.position ?? 'снабжение'}, звонит чаще других` : 'общий рабочий номер';
  }

  #newCall({ client, number, queue = 'Продажи', at = Date.now(), kind = 'inbound', display = null }) {
    const from = client ? party(client, display) : { number: number ?? null, display };
    return {
      ...{ id: uuid(), kind, state: 'ringing', from, to: '+74951234567', trunk: 'carrier', queue, agent: null },
      ...{ card_id: client?.id ?? null, source: 'site', started_at: stamp(at), answered_at: null, ended_at: null },
      ...{ cause: null, ended_by: null, recording_id: null, consult_of: null, merged_into: null },
      legs: [leg('caller', 'answered', { party: from, trunk: 'carrier', started_at: stamp(at), answered_at: stamp(at) })],
    };
  }

  #join(call, login, at) {
    call.state = 'talking';
    call.agent = login;
    call.answered_at = stamp(at);
    call.legs.push(leg('agent', 'answered', { agent: login, started_at: stamp(at - 6_000), answered_at: stamp(at) }));
  }

  #change(login, change) {
    const agent = this.agents.get(login);
    if (!agent) return null;
    Object.assign(agent, { reason: null, until: null, call_id: null, since: stamp() }, change);
    this.emit('agent.state_changed', agent, { agent: login });
    return agent;
  }

  force(login, change) {
    return this.#change(login, change);
  }

  setState(login, state, reason) {
    const agent = this.agents.get(login);
    if (['talking', 'holding', 'ringing'].includes(agent.state)) return agent;
    return this.#change(login, { state, reason });
  }

  enqueue({ client = 3, queue = 'Продажи', waited_ms = 0 } = {}) {
    const call = this.#newCall({ client: this.clients[client], queue, at: Date.now() - waited_ms });
    call.state = 'queued';
    this.open.set(call.id, call);
    this.emit('call.started', call, { call_id: call.id, queue });
    this.emit('call.queued', call, { call_id: call.id, queue });
    return call;
  }

  /** Rings at one agent, with the pop first. `variant`: known, ambiguous, unknown, withheld, late. */
  ring({
    agent = 'anna',
    variant = 'known',
    client = 0,
    queue = 'Продажи',
    waited_ms = 38_000,
    number,
    display = null,
    call_id,
  } = {}) {
    const card = variant === 'known' || variant === 'late' ? this.clients[client] : null;
    const numbers = { ambiguous: '+78152550240', unknown: number ?? '+79125550731', withheld: null };
    const known = { client: card, queue, display, at: Date.now() - waited_ms };
    const call = (call_id && this.open.get(call_id)) ?? this.#newCall(card ? known : { ...known, number: numbers[variant] });
    this.open.set(call.id, call);
    const looked = call.from.number ? this.lookUp(call.from.number) : this.lookUp('');
    const pop = {
      pop_id: uuid(),
      caller: call.from,
      called: call.to,
      queue,
      match: card ? 'known' : looked.match,
      reason: card ? 'По мобильному, 14 звонков' : looked.reason,
      card: card ? this.brief(card) : null,
      candidates: card ? [] : looked.candidates,
      late: variant === 'late',
    };
    if (variant === 'unknown') pop.card = this.#stub(call.from.number, call);
    if (variant === 'late') {
      pop.card = null;
      call.card_id = null;
    }
    call.state = 'offered';
    const mine = leg('agent', 'ringing', { agent, started_at: stamp() });
    call.legs.push(mine);
    this.emit('pop.shown', pop, { call_id: call.id, agent, queue });
    this.emit('call.offered', call, { call_id: call.id, agent, queue });
    this.#change(agent, { state: 'ringing', call_id: call.id });
    void this.sip?.ring(agent, call);
    return { call_id: call.id, pop_id: pop.pop_id, card_id: pop.card?.id ?? card?.id ?? null };
  }

  #stub(number, call) {
    const client = this.createClient({
      name: number,
      numbers: [{ e164: number, kind: 'mobile', extension: null, is_shared: false }],
      source: 'advert',
      is_stub: true,
    });
    call.card_id = client.id;
    return this.brief(client);
  }

  popOf(call_id, agent) {
    return (
      this.log.filter((event) => event.type === 'pop.shown' && event.call_id === call_id && event.agent === agent).at(-1)?.data ??
      null
    );
  }

  retract({ call_id, agent, reason }) {
    const pop = this.popOf(call_id, agent);
    if (pop) this.emit('pop.retracted', { pop_id: pop.pop_id, reason }, { call_id, agent });
  }

  answer(call_id, by) {
    const call = this.open.get(call_id);
    const ringing = call.legs.filter((one) => one.state === 'ringing');
    const login = by ?? ringing[0]?.agent;
    for (const one of ringing) {
      if (one.agent === login || !one.agent) Object.assign(one, { state: 'answered', answered_at: stamp() });
      else {
        Object.assign(one, { state: 'ended', ended_at: stamp() });
        this.retract({ call_id, agent: one.agent, reason: 'answered_elsewhere' });
        this.sip?.end(call_id, 'SIP;cause=200;text="Call completed elsewhere"');
        this.#change(one.agent, { state: 'ready' });
      }
    }
    if (!call.legs.some((one) => one.agent === login)) this.#join(call, login, Date.now());
    Object.assign(call, { state: 'talking', agent: login, answered_at: stamp() });
    const recording = this.#record(call);
    this.emit('call.answered', call, { call_id, agent: login, queue: call.queue });
    this.emit('recording.started', recording, { call_id, agent: login });
    this.#change(login, { state: 'talking', call_id });
    return call;
  }

  #record(call) {
    const recording = {
      ...{
        id: uuid(),
        call_id: call.id,
        state: 'recording',
        started_at: stamp(),
        duration_ms: 0,
        sample_rate: 8000,
        channels: 2,
        bytes: 44,
      },
      marks: [{ at_ms: 0, kind: 'agent_joined', label: call.agent }],
      ...{ gaps: [], trouble: null },
    };
    this.recordings.push(recording);
    call.recording_id = recording.id;
    return recording;
  }

  end(call_id, { cause, ended_by = 'caller', wrap_up = true, talked_ms } = {}) {
    const call = this.open.get(call_id);
    if (!call) return null;
    const was = call.state;
    const is_talk = was === 'talking' || was === 'held';
    for (const one of call.legs) {
      if (one.state === 'ringing' && one.agent) {
        this.retract({ call_id, agent: one.agent, reason: 'abandoned' });
        this.#change(one.agent, { state: 'ready' });
      }
      Object.assign(one, { state: 'ended', ended_at: stamp() });
    }
    this.sip?.end(call_id);
    this.open.delete(call_id);
    this.calls.push(call);
    if (talked_ms) call.answered_at = stamp(Date.now() - talked_ms);
    Object.assign(call, { state: 'ended', ended_at: stamp(), ended_by, cause: cause ?? (is_talk ? 'normal' : 'abandoned') });
    this.emit('call.ended', call, { call_id, agent: call.agent, queue: call.queue });
    const recording = this.recording(call.recording_id);
    if (recording?.state === 'recording') {
      const duration_ms = talked_ms ?? Math.max(1_000, Date.now() - Date.parse(recording.started_at));
      Object.assign(recording, { state: 'ready', duration_ms, bytes: 44 + duration_ms * 32 });
      this.emit('recording.ready', recording, { call_id, agent: call.agent });
    }
    if (is_talk && call.agent) {
      const seconds = QUEUES.find((queue) => queue.name === call.queue)?.wrap_up_seconds ?? 0;
      const other = [...this.open.values()].find((one) => one.agent === call.agent && one.answered_at);
      if (other) this.#change(call.agent, { state: other.state === 'held' ? 'holding' : 'talking', call_id: other.id });
      else if (wrap_up && seconds) this.#wrapUp(call.agent, seconds);
      else this.#change(call.agent, { state: 'ready' });
    }
    return call;
  }

  #wrapUp(login, seconds) {
    const until = Date.now() + seconds * 1000;
    this.#change(login, { state: 'wrap_up', until: stamp(until) });
    this.#later(seconds * 1000, () => {
      const agent = this.agents.get(login);
      if (agent.state === 'wrap_up' && Date.parse(agent.until) <= Date.now() + 50) this.#change(login, { state: 'ready' });
    });
  }

  originate(login, to) {
    const agent = this.agents.get(login);
    const is_internal = this.users.some((user) => user.extension === to);
    const looked = this.lookUp(is_internal ? '' : to);
    const call = this.#newCall({ number: null, kind: is_internal ? 'internal' : 'outbound', queue: null });
    Object.assign(call, {
      from: { number: agent.extension, display: agent.name },
      to: looked.e164 ?? to,
      agent: login,
      card_id: looked.card?.id ?? null,
      source: null,
    });
    call.legs = [leg(is_internal ? 'caller' : 'agent', 'ringing', { agent: login, started_at: stamp() })];
    this.open.set(call.id, call);
    this.emit('call.started', call, { call_id: call.id, agent: login });
    this.#change(login, { state: 'ringing', call_id: call.id });
    void this.sip?.ring(login, call, { auto_answer: true });
    return call;
  }

  /** The agent says no in their phone: the call goes back to its queue. */
  decline(call_id, login) {
    const call = this.open.get(call_id);
    const mine = call?.legs.find((one) => one.agent === login && one.state === 'ringing');
    if (!mine) return;
    Object.assign(mine, { state: 'ended', ended_at: stamp() });
    this.retract({ call_id, agent: login, reason: 'declined' });
    this.#change(login, { state: 'ready' });
    if (call.kind !== 'inbound') this.end(call_id, { cause: 'declined', ended_by: 'agent' });
    else {
      call.state = 'queued';
      this.emit('call.queued', call, { call_id, queue: call.queue });
    }
  }

  hold(call_id, login, is_held) {
    const call = this.open.get(call_id);
    if (!call || call.state === (is_held ? 'held' : 'talking')) return;
    call.state = is_held ? 'held' : 'talking';
    this.emit(is_held ? 'call.held' : 'call.resumed', call, { call_id, agent: login, queue: call.queue });
    this.#change(login, { state: is_held ? 'holding' : 'talking', call_id });
  }

  /** What `recording {action}` does; false when it cannot be done now. */
  tape(call_id, action) {
    const recording = this.recording(this.open.get(call_id)?.recording_id);
    const SHUTS = { pause: 'paused', mask: 'masked', stop: 'stopped' };
    const OPENS = { resume: ['paused', 'unpaused'], unmask: ['masked', 'unmasked'], start: ['stopped', 'started'] };
    if (!recording || recording.state !== 'recording') return false;
    const mark = (kind) => recording.marks.push({ at_ms: Date.now() - Date.parse(recording.started_at), kind, label: null });
    const tell = (type) => this.emit(type, recording, { call_id, agent: this.open.get(call_id).agent });
    if (SHUTS[action]) {
      if (recording.shut && !(action === 'stop' && recording.shut !== 'stopped')) return false;
      const was_open = !recording.shut;
      Object.defineProperty(recording, 'shut', { value: SHUTS[action], writable: true, configurable: true });
      if (was_open) tell('recording.paused');
      mark(SHUTS[action]);
      return true;
    }
    const [of, kind] = OPENS[action] ?? [];
    if (recording.shut !== of) return false;
    recording.shut = null;
    mark(kind);
    tell('recording.resumed');
    return true;
  }

  /** A supervisor comes in, or changes the mode; their page rings and answers by itself. */
  supervise(call_id, login, mode) {
    const was = this.supervisors.get(login);
    this.supervisors.set(login, { call_id, mode });
    const is_ringing = !was && this.sip?.pageOf(login) !== undefined;
    if (is_ringing) void this.sip.ring(login, this.open.get(call_id), { auto_answer: true, supervises: true });
    else this.tellSupervision(login);
  }
  tellSupervision(login) {
    const { call_id, mode } = this.supervisors.get(login) ?? {};
    const call = this.open.get(call_id);
    if (call) this.emit('call.supervised', { supervisor: login, agent: call.agent, mode }, { call_id, agent: login });
  }
  /** They leave; false when they were not in it. */
  leave(call_id, login) {
    if (this.supervisors.get(login)?.call_id !== call_id) return false;
    this.supervisors.delete(login);
    this.sip?.dismiss(call_id, login);
    const agent = this.open.get(call_id)?.agent ?? null;
    this.emit('call.supervised', { supervisor: login, agent, mode: null }, { call_id, agent: login });
    return true;
  }

  /** A browser in the call falls silent, or comes back after `gap_ms`. */
  absent({ call_id, agent, gap_ms = null }) {
    const id = call_id ?? [...this.open.values()].find((call) => call.agent === agent)?.id;
    const leg = this.open.get(id).legs.find((one) => one.agent === agent)?.id ?? uuid();
    return this.emit(gap_ms === null ? 'call.leg_lost' : 'call.leg_returned', { leg, agent, gap_ms }, { call_id: id, agent });
  }

  /** A phone of this agent came or went. */
  registered(login, is_registered) {
    const agent = this.agents.get(login);
    if (!agent || agent.registered === is_registered) return;
    agent.registered = is_registered;
    this.emit('agent.state_changed', agent, { agent: login });
  }

  /** A floor that moves by itself, for work on the desk without a test. */
  live() {
    let ring_at = 6;
    let tick = 0;
    this.timer = setInterval(() => {
      tick += 1;
      const mine = this.agents.get('anna');
      if (mine.state === 'ready' && tick >= ring_at) {
        const variants = ['known', 'ambiguous', 'unknown', 'withheld', 'known'];
        const { call_id } = this.ring({
          variant: variants[tick % variants.length],
          client: tick % 9,
          waited_ms: 2_000 + (tick % 7) * 6_000,
        });
        this.#later(7_000, () => this.open.has(call_id) && this.answer(call_id));
        this.#later(30_000, () => this.end(call_id));
        ring_at = tick + 50;
      }
    }, 1000);
  }

  #later(ms, act) {
    this.timers ??= new Set();
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, ms);
    this.timers.add(timer);
  }

  stop() {
    clearInterval(this.timer);
    for (const timer of this.timers ?? []) clearTimeout(timer);
    this.timers?.clear();
  }
}

// The floor as this person may see it: agents, queues and open calls. Loaded once, moved by events, and read again
// every few seconds, because an agent's stream tells nothing of colleagues and no stream counts a queue.
import { SvelteMap } from 'svelte/reactivity';
import { getAgents, getCalls, getQueues } from '../api/endpoints';
import type { AbsenceEvent, Agent, Call, Event, Queue } from '../api/types';
import { clock } from './clock.svelte';
import { session } from './session.svelte';

/** Somebody whose browser fell silent in a call without leaving it. */
export interface Away {
  agent: string | null;
  /** In server milliseconds. */
  since: number;
}
/** As long as the server keeps the place. */
const AWAY_MS = 20_000;
/** How long it is said that they are back. */
const BACK_MS = 6_000;
const POLL_MS = 5_000;
const POLL_HIDDEN_MS = 30_000;
const MOST_OPEN_CALLS = 1_000;

class Floor {
  readonly agents = new SvelteMap<string, Agent>();
  readonly calls = new SvelteMap<string, Call>();
  /** Who is away from a call, by call. */
  readonly away = new SvelteMap<string, Away>();
  /** Who has just come back into a call, and after how long, by call. */
  readonly back = new SvelteMap<string, { agent: string | null; gap_ms: number }>();
  queues = $state.raw<readonly Queue[]>([]);
  /** When the queues were read, in server milliseconds; null before the first answer. */
  read_at = $state<number | null>(null);
  error = $state.raw<unknown>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** This person as an agent; null for those who take no calls. */
  get mine(): Agent | null {
    const login = session.me?.login;
    return login ? (this.agents.get(login) ?? null) : null;
  }

  nameOf(login: string | null): string {
    if (!login) return '';
    return this.agents.get(login)?.name ?? (session.me?.login === login ? session.me.name : login);
  }

  /** Reads everything; answers the open calls, of which the desk takes over its own. */
  async load(): Promise<Call[]> {
    const [agents, queues, open] = await Promise.all([
      getAgents(),
      getQueues(),
      getCalls({ active: true, limit: MOST_OPEN_CALLS }),
    ]);
    this.#takeAgents(agents);
    this.#takeQueues(queues);
    this.calls.clear();
    this.away.clear();
    for (const call of open.items) this.calls.set(call.id, call);
    this.error = null;
    return open.items;
  }

  start(): void {
    clearTimeout(this.#timer);
    const poll = async () => {
      await this.refresh();
      this.#timer = setTimeout(() => void poll(), document.hidden ? POLL_HIDDEN_MS : POLL_MS);
    };
    this.#timer = setTimeout(() => void poll(), POLL_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.agents.clear();
    this.calls.clear();
    this.away.clear();
    this.back.clear();
    this.queues = [];
    this.read_at = null;
  }

  async refresh(): Promise<void> {
    try {
      const [agents, queues] = await Promise.all([getAgents(), getQueues()]);
      this.#takeAgents(agents);
      this.#takeQueues(queues);
      this.error = null;
    } catch (error) {
      // The numbers stay with their age; the link's own bar says what is wrong.
      this.error = error;
    }
  }

  apply(event: Event): void {
    switch (event.type) {
      case 'agent.state_changed':
        this.put(event.data);
        break;
      case 'call.leg_lost':
      case 'call.leg_returned':
        if (event.call_id) this.#absent(event.call_id, event);
        break;
      case 'call.started':
      case 'call.queued':
      case 'call.offered':
      case 'call.answered':
      case 'call.held':
      case 'call.resumed':
      case 'call.transferred':
      case 'call.merged':
      case 'call.parked':
      case 'call.ended':
        this.#putCall(event.data);
        break;
      default:
    }
  }

  #absent(call_id: string, { type, at, data }: AbsenceEvent): void {
    if (type === 'call.leg_lost') {
      const away = { agent: data.agent, since: Date.parse(at) };
      this.away.set(call_id, away);
      setTimeout(() => this.away.get(call_id) === away && this.away.delete(call_id), AWAY_MS);
    } else {
      const back = { agent: data.agent, gap_ms: data.gap_ms ?? 0 };
      this.away.delete(call_id);
      this.back.set(call_id, back);
      setTimeout(() => this.back.get(call_id) === back && this.back.delete(call_id), BACK_MS);
    }
  }

  put(agent: Agent): void {
    this.agents.set(agent.login, agent);
  }

  #putCall(call: Call): void {
    if (call.state === 'ended') {
      this.calls.delete(call.id);
      this.away.delete(call.id);
    } else if (this.calls.size < MOST_OPEN_CALLS || this.calls.has(call.id)) this.calls.set(call.id, call);
  }

  #takeAgents(agents: readonly Agent[]): void {
    const logins = new Set(agents.map((agent) => agent.login));
    for (const login of [...this.agents.keys()]) if (!logins.has(login)) this.agents.delete(login);
    for (const agent of agents) {
      const known = this.agents.get(agent.login);
      if (!known || JSON.stringify(known) !== JSON.stringify(agent)) this.agents.set(agent.login, agent);
    }
  }

  #takeQueues(queues: readonly Queue[]): void {
    this.queues = queues;
    this.read_at = clock.exact();
  }
}

export const floor = new Floor();

/** How long the first in this queue has waited by now. */
export function longestWait(queue: Queue, read_at: number | null, now: number): number | null {
  if (queue.longest_wait_ms === null || read_at === null) return null;
  return queue.longest_wait_ms + Math.max(0, now - read_at);
}

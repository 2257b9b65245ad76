// Every endpoint the desk uses, one line each. Screens and states call these; nothing else builds a URL.
import { randomId } from '../lib/uuid';
import { request, urlOf } from './http';
import type {
  Agent,
  Call,
  Client,
  ClientPatch,
  Event,
  LegQuality,
  Lookup,
  Me,
  Page,
  Peaks,
  PhoneAccess,
  Queue,
  Recording,
  RecordingAction,
  SupervisionMode,
  TimelineEntry,
  WantedState,
} from './types';

type Aborted = { signal?: AbortSignal };

export const signIn = (login: string, password: string) => request<undefined>('POST', '/session', { body: { login, password } });
export const signOut = () => request<undefined>('DELETE', '/session');
export const getMe = () => request<Me>('GET', '/me');
export const setMyState = (state: WantedState, reason?: string) =>
  request<Agent>('PUT', '/me/state', { body: { state, reason } });
/** Lends this page the credentials of a phone of its own. */
export const lendPhone = () => request<PhoneAccess>('POST', '/me/phone');
export const setAgentState = (login: string, state: WantedState, reason?: string) =>
  request<Agent>('PUT', `/agents/${encodeURIComponent(login)}/state`, { body: { state, reason } });

export const getAgents = () => all<Agent>('/agents');
export const getQueues = () => all<Queue>('/queues');

export interface CallFilter {
  active?: boolean;
  agent?: string;
  queue?: string;
  card_id?: string;
  cursor?: string | null;
  limit?: number;
}
export const getCalls = (filter: CallFilter = {}, { signal }: Aborted = {}) =>
  request<Page<Call>>('GET', '/calls', { query: { ...filter }, ...(signal && { signal }) });
export const getQuality = (id: string) => request<{ legs: LegQuality[] }>('GET', `/calls/${id}/quality`);
export const getCall = (id: string) => request<Call>('GET', `/calls/${id}`);
/** Rings the asking person's phone first, then dials. */
export const startCall = (to: string) => request<Call>('POST', '/calls', { body: { to }, idempotency_key: randomId() });
/** Hold and resume for phones that are not in this page. */
export const holdCall = (id: string) => request<Call>('POST', `/calls/${id}/hold`);
export const resumeCall = (id: string) => request<Call>('POST', `/calls/${id}/resume`);
export const steerRecording = (id: string, action: RecordingAction) =>
  request<Call>('POST', `/calls/${id}/recording`, { body: { action } });
/** Our phone rings and answers by itself; again with another mode changes it. */
export const superviseCall = (id: string, mode: SupervisionMode) =>
  request<Call>('POST', `/calls/${id}/supervise`, { body: { mode } });
export const leaveCall = (id: string) => request<Call>('DELETE', `/calls/${id}/supervise`);
export const hangUp = (id: string) => request<undefined>('POST', `/calls/${id}/hangup`);

export interface RecordingFilter {
  cursor?: string | null;
  limit?: number;
  agent?: string;
  queue?: string;
  card_id?: string;
}
export const getRecordings = (filter: RecordingFilter = {}, { signal }: Aborted = {}) =>
  request<Page<Recording>>('GET', '/recordings', { query: { ...filter }, ...(signal && { signal }) });
export const getRecording = (id: string) => request<Recording>('GET', `/recordings/${id}`);
export const getPeaks = (id: string) => request<Peaks>('GET', `/recordings/${id}/peaks`);
export const audioUrl = (id: string) => urlOf(`/recordings/${id}/audio`);

export interface ClientFilter {
  search?: string;
  cursor?: string | null;
  limit?: number;
}
export const getClients = (filter: ClientFilter = {}, { signal }: Aborted = {}) =>
  request<Page<Client>>('GET', '/clients', { query: { ...filter }, ...(signal && { signal }) });
export const getClient = (id: string) => request<Client>('GET', `/clients/${id}`);
export const createClient = (client: ClientPatch & { name: string }) =>
  request<Client>('POST', '/clients', { body: client, idempotency_key: randomId() });
export const patchClient = (id: string, patch: ClientPatch) => request<Client>('PATCH', `/clients/${id}`, { body: patch });
export const getTimeline = (id: string, cursor: string | null = null, limit = 50) =>
  request<Page<TimelineEntry>>('GET', `/clients/${id}/timeline`, { query: { cursor, limit } });
export const lookUp = (phone: string) => request<Lookup>('GET', '/clients/lookup', { query: { phone } });

export const getEvents = (after: number, limit = 500) => request<Page<Event>>('GET', '/events', { query: { after, limit } });

/** Short lists that the server may send whole or as one page. */
async function all<T>(path: string): Promise<T[]> {
  const answer = await request<Page<T> | T[]>('GET', path);
  return Array.isArray(answer) ? answer : answer.items;
}

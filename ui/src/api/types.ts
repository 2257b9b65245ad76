// What the server says and takes, as TypeScript: the mirror of src/types/view.rs, src/events/mod.rs and src/engine/handle.rs.
// Times are RFC 3339 UTC text, ids are UUIDv7 text. Nothing here has behaviour.

export type Time = string;
export type Role = 'agent' | 'supervisor' | 'support' | 'admin';
export type AgentState =
  'offline' | 'ready' | 'reserved' | 'ringing' | 'talking' | 'holding' | 'wrap_up' | 'break' | 'not_answering';
/** The states a person may ask for. */
export type WantedState = 'ready' | 'break' | 'offline';

export interface Me {
  login: string;
  name: string;
  role: Role;
  team: string | null;
  extension: string | null;
  language: 'ru' | 'en';
  timezone: string;
  /** Queues this person supervises. */
  supervises: string[];
  /** Queues this person takes calls from. */
  queues: string[];
}

export interface Party {
  number: string | null;
  display: string | null;
}

export type CallKind = 'inbound' | 'outbound' | 'internal';
export type CallState = 'ringing' | 'queued' | 'offered' | 'talking' | 'held' | 'ended';
export type EndedBy = 'caller' | 'agent' | 'system' | 'trunk';
export type EndCause =
  | 'normal'
  | 'abandoned'
  | 'busy'
  | 'declined'
  | 'no_answer'
  | 'unreachable'
  | 'no_route'
  | 'not_found'
  | 'forbidden'
  | 'queue_unavailable'
  | 'no_common_codec'
  | 'trunk_failed'
  | 'rtp_timeout'
  | 'too_long'
  | 'overload'
  | 'hung_up_by_api'
  | 'server_restart'
  | 'shutdown'
  | 'merged';

export interface Leg {
  id: string;
  role: 'caller' | 'agent' | 'external';
  state: 'ringing' | 'answered' | 'ended';
  party: Party;
  agent: string | null;
  trunk: string | null;
  started_at: Time;
  answered_at: Time | null;
  ended_at: Time | null;
}

export interface Call {
  id: string;
  kind: CallKind;
  state: CallState;
  from: Party;
  to: string;
  trunk: string | null;
  queue: string | null;
  agent: string | null;
  card_id: string | null;
  source: string | null;
  started_at: Time;
  answered_at: Time | null;
  ended_at: Time | null;
  cause: EndCause | null;
  ended_by: EndedBy | null;
  recording_id: string | null;
  legs: Leg[];
  consult_of: string | null;
  merged_into: string | null;
}

/** Why one side of a leg was silent. */
export type AudioTrouble =
  'nothing_came' | 'private_address' | 'from_another_address' | 'unusable' | 'nothing_sent' | 'not_delivered';

/** One column a figure, all of one length; point i is `step_seconds` long. */
export interface QualitySeconds {
  step_seconds: number;
  /** Packets a second. */
  received: number[];
  loss_percent: number[];
  /** What the far end lost of ours, where it said so. */
  remote_loss_percent: (number | null)[];
  concealed_percent: (number | null)[];
  jitter_ms: number[];
  round_trip_ms: (number | null)[];
  /** 1 to 4.5; null where nothing came: hold, silence. */
  mos: (number | null)[];
}

/** How one leg was heard, and heard us. Known when its media has closed. */
export interface LegQuality {
  leg: string;
  codec: string | null;
  lived_ms: number;
  packets_received: number;
  packets_lost: number;
  loss_percent: number;
  jitter_ms: number;
  max_jitter_ms: number;
  packets_sent: number;
  remote_packets_lost: number | null;
  remote_jitter_ms: number | null;
  round_trip_ms: number | null;
  mos: number | null;
  remote_mos: number | null;
  trouble: AudioTrouble | null;
  concealed_percent?: number | null;
  /** When its media opened: the beginning of the first point. */
  started_at?: Time | null;
  seconds?: QualitySeconds | null;
}

export interface Agent {
  login: string;
  name: string;
  team: string | null;
  extension: string | null;
  state: AgentState;
  reason: string | null;
  since: Time;
  until: Time | null;
  call_id: string | null;
  queues: string[];
  registered: boolean;
}

export interface Queue {
  name: string;
  strategy: string;
  waiting: number;
  longest_wait_ms: number | null;
  members: string[];
  supervisors: string[];
  ready: number;
  talking: number;
  ring_seconds: number;
  wrap_up_seconds: number;
}

/** A field of a card: whatever the set-up keeps there. Drawn as text only. */
export type FieldValue = string | number | boolean | null | FieldValue[] | { [key: string]: FieldValue };
export type Fields = Record<string, FieldValue>;

export interface CardBrief {
  id: string;
  name: string;
  company: string | null;
  owner: string | null;
  url: string;
  tags: string[];
  fields: Fields;
}

export interface Candidate {
  card: CardBrief;
  rank: number;
  reason: string;
}

export type Match = 'known' | 'ambiguous' | 'unknown' | 'withheld';

export interface Pop {
  pop_id: string;
  caller: Party;
  called: string;
  queue: string | null;
  match: Match;
  reason: string;
  card: CardBrief | null;
  candidates: Candidate[];
  late: boolean;
}

export type RetractReason =
  'answered_elsewhere' | 'abandoned' | 'no_answer' | 'declined' | 'unreachable' | 'withdrawn' | 'server_restart';

/** `kind` is `main`, `mobile`, `work`, `home`, `fax` or `other`. */
export interface ClientNumber {
  e164: string;
  kind: string;
  extension: string | null;
  /** A switchboard or family line that several cards may carry. */
  is_shared: boolean;
}

export interface ClientEmail {
  email: string;
  kind: string;
}

/** A client's card, whole. */
export interface Client {
  id: string;
  name: string;
  company: string | null;
  numbers: ClientNumber[];
  emails: ClientEmail[];
  source: string | null;
  owner: string | null;
  tags: string[];
  fields: Fields;
  language: string | null;
  /** Made for an unknown caller and not filled in by a person yet. */
  is_stub: boolean;
  created_at: Time;
  updated_at: Time;
}

/** What a person may change of a card: each key replaces the whole value; in `fields` a null removes that field. */
export interface ClientPatch {
  name?: string;
  company?: string | null;
  numbers?: ClientNumber[];
  emails?: ClientEmail[];
  source?: string | null;
  owner?: string | null;
  tags?: string[];
  fields?: Fields;
  language?: string | null;
}

export interface Lookup {
  e164: string | null;
  extension: string | null;
  match: Match;
  reason: string;
  card: CardBrief | null;
  candidates: Candidate[];
}

export type MarkKind =
  | 'queued'
  | 'music_started'
  | 'music_stopped'
  | 'agent_joined'
  | 'agent_left'
  | 'held'
  | 'resumed'
  | 'paused'
  | 'unpaused'
  | 'masked'
  | 'unmasked'
  | 'stopped'
  | 'started';

export interface Mark {
  at_ms: number;
  kind: MarkKind;
  label: string | null;
}

export interface Gap {
  from_ms: number;
  to_ms: number;
  reason: string;
}

export interface Recording {
  id: string;
  call_id: string;
  state: 'recording' | 'ready' | 'failed';
  started_at: Time;
  duration_ms: number;
  sample_rate: number;
  channels: number;
  bytes: number;
  marks: Mark[];
  gaps: Gap[];
  trouble: string | null;
  /** Sent by lists that join it; absent in events. */
  call?: Call | null;
}

/** Loudest sample of each slice, 0 to 255: left is the client, right is our side. */
export interface Peaks {
  per_second: number;
  left: number[];
  right: number[];
}

/** `kind` is `call` for now; its call and recording are as they are now. */
export interface TimelineEntry {
  id: string;
  kind: string;
  at: Time;
  call: Call | null;
  recording: Recording | null;
}

/** What `POST me/phone` lends to a page: short-lived credentials of its own. */
export interface PhoneAccess {
  /** Where SIP is spoken; maybe only a path. */
  ws_url: string;
  uri: string;
  username: string;
  password: string;
  expires_at: Time;
  ice_servers: { urls: string | string[]; username?: string; credential?: string }[];
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

interface Envelope<T extends string, D> {
  seq: number;
  at: Time;
  type: T;
  call_id: string | null;
  agent: string | null;
  data: D;
}

export type CallEvent = Envelope<
  | 'call.started'
  | 'call.queued'
  | 'call.offered'
  | 'call.answered'
  | 'call.held'
  | 'call.resumed'
  | 'call.transferred'
  | 'call.merged'
  | 'call.parked'
  | 'call.ended',
  Call
>;
/** A leg that is in the call and not there: a page that was reloaded, another network. */
export interface Absence {
  leg: string;
  /** Whose browser it is. */
  agent: string | null;
  /** How long it was away; null while it is. */
  gap_ms: number | null;
}
export type AbsenceEvent = Envelope<'call.leg_lost' | 'call.leg_returned', Absence>;

/** `whisper`: only the agent hears the supervisor; `barge`: both do. */
export type SupervisionMode = 'listen' | 'whisper' | 'barge';
export interface Supervision {
  supervisor: string;
  /** Whose side of the call is supervised. */
  agent: string | null;
  /** Null: the supervisor is out. */
  mode: SupervisionMode | null;
}
export type SupervisionEvent = Envelope<'call.supervised', Supervision>;

export type RecordingAction = 'stop' | 'start' | 'pause' | 'resume' | 'mask' | 'unmask';

export type AgentEvent = Envelope<'agent.state_changed', Agent>;
export type PopShown = Envelope<'pop.shown', Pop>;
export type PopRetracted = Envelope<'pop.retracted', { pop_id: string; reason: RetractReason }>;
export type RecordingEvent = Envelope<
  'recording.started' | 'recording.paused' | 'recording.resumed' | 'recording.ready' | 'recording.failed',
  Recording
>;
/** One entry of the server's diary. A `switch` over `type` ends in `assertNever`. */
export type Event = CallEvent | AbsenceEvent | SupervisionEvent | AgentEvent | PopShown | PopRetracted | RecordingEvent;
export type EventType = Event['type'];

/** The first frame of the websocket: where the stream begins, and the newest entry there is already. */
export interface StreamReady {
  type: 'stream.ready';
  seq: number;
  newest?: number;
}

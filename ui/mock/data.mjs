// The made-up company behind the mock server: people, queues, cards, calls. The same every time it starts.
// All names and numbers are invented; the numbers come from ranges that carriers keep for examples.

/** A seeded generator (mulberry32), so that pictures and tests do not change from run to run. */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

let next_id = 1;
export function uuid() {
  const hex = (next_id++).toString(16).padStart(12, '0');
  return `0193a000-0000-7000-8000-${hex}`;
}

export const PASSWORD = 'demo';

const USERS = [
  ['anna', 'Анна Иванова', 'agent', 'sales', '101'],
  ['boris', 'Борис Кравцов', 'agent', 'sales', '102'],
  ['galina', 'Галина Сомова', 'agent', 'sales', '103'],
  ['denis', 'Денис Левченко', 'agent', 'sales', '104'],
  ['elena', 'Елена Фадеева', 'agent', 'support', '105'],
  ['zakhar', 'Захар Миронов', 'agent', 'sales', '106'],
  ['irina', 'Ирина Власова', 'agent', 'support', '107'],
  ['kirill', 'Кирилл Дуров', 'agent', 'support', '108'],
  ['lidia', 'Лидия Шестакова', 'agent', 'sales', '109'],
  ['timur', 'Тимур Гареев', 'agent', 'support', '114'],
  ['olga', 'Ольга Петрова', 'supervisor', 'sales', '201'],
  ['ivan', 'Иван Громов', 'support', null, '301'],
  ['admin', 'Администратор', 'admin', null, null],
];

export const users = USERS.map(([login, name, role, team, extension]) => ({
  login,
  name,
  role,
  team,
  extension: extension ?? null,
}));

export const queues = [
  {
    name: 'Продажи',
    members: ['anna', 'boris', 'galina', 'denis', 'zakhar', 'lidia'],
    supervisors: ['olga'],
    ring_seconds: 20,
    wrap_up_seconds: 20,
  },
  {
    name: 'Поддержка',
    members: ['elena', 'irina', 'kirill', 'timur'],
    supervisors: ['olga'],
    ring_seconds: 20,
    wrap_up_seconds: 10,
  },
  { name: 'VIP', members: ['anna', 'boris'], supervisors: ['olga'], ring_seconds: 15, wrap_up_seconds: 30 },
];

const first = [
  'Инна Котова',
  'Марина Зуева',
  'Артём Юдин',
  'Юрий Панин',
  'Нина Белых',
  'Лев Градов',
  'Павел Ершов',
  'Яна Осипова',
  'Игорь Седов',
  'Вера Кан',
  'Павел Нестеров',
  'Дарья Мельник',
  'Олег Рябов',
  'Зоя Кравчук',
  'Максим Орлов',
  'Роман Тихий',
  'Софья Ким',
  'Глеб Астахов',
  'Ульяна Рощина',
  'Степан Гущин',
  'James Whitfield',
  'Emma Larsson',
  'Oliver Brandt',
  'Grace Okafor',
  'Liam Doyle',
  'Priya Nair',
  'Hannah Weiss',
  'Marco Bellini',
];
const companies = [
  'ООО «Фрегат»',
  null,
  'ООО «Юдин и К»',
  null,
  'ЖК «Маяк»',
  'ООО «Северный порт»',
  null,
  'ИП Осипова',
  'ООО «Полярис»',
  'ООО «Полярис»',
  'АО «Невский завод»',
  null,
  'ИП Рябов',
  'ООО «Тёплый дом»',
  null,
  'ООО «Лаборатория 7»',
  null,
  'ООО «Вектор»',
  'Школа № 12',
  null,
  'Whitfield & Sons',
  'Larsson AB',
  'Brandt Logistik',
  null,
  'Doyle Foods',
  'Nair Textiles',
  null,
  'Bellini Srl',
];
const tags = [['Опт'], ['Розница'], ['Опт', 'Сервис'], ['VIP'], ['Новый'], [], ['Сервис'], ['Опт', 'VIP']];
const cities = ['Мурманск', 'Вологда', 'Санкт-Петербург', 'Пермь', 'Казань', 'Тверь', 'Архангельск', 'Москва'];

const stamp = (ms) => new Date(ms).toISOString();
const HOUR = 3_600_000;

export function makeClients(now) {
  const rand = random(7);
  const olga = {
    id: uuid(),
    name: 'Ольга Тимофеева',
    company: 'ООО «Полярис»',
    numbers: [
      { e164: '+79215550187', kind: 'mobile', extension: null, is_shared: false },
      { e164: '+78152550240', kind: 'work', extension: '14', is_shared: true },
    ],
    emails: [{ email: 'o.timofeeva@polyaris.example', kind: 'work' }],
    source: 'site',
    owner: 'anna',
    tags: ['VIP', 'Опт', 'Клиент с 2023'],
    fields: {
      position: 'начальник снабжения',
      city: 'Мурманск',
      contract: '№ 214 от 4 марта 2025',
      discount: 7,
      warehouse: 'ворота 2, с 9 до 13',
      note: 'Фильтры F7: склад принимает по четвергам, с 9 до 13, разгрузка только через ворота 2. Акт сверки просит на почту.',
    },
    language: 'ru',
    is_stub: false,
    created_at: stamp(now - 990 * 24 * HOUR),
    updated_at: stamp(now - 20 * HOUR),
  };
  const list = [olga];
  first.forEach((name, index) => {
    const is_foreign = /^[A-Z]/.test(name);
    const digits = String(1000 + index * 37).slice(-4);
    const shared = companies[index] === 'ООО «Полярис»';
    list.push({
      id: uuid(),
      name,
      company: companies[index] ?? null,
      numbers: [
        {
          e164: is_foreign ? `+4420794${String(60000 + index * 11)}` : `+7${911 + (index % 9)}555${digits}`,
          kind: 'mobile',
          extension: null,
          is_shared: false,
        },
        ...(shared ? [{ e164: '+78152550240', kind: 'work', extension: String(20 + index), is_shared: true }] : []),
      ],
      emails: index % 3 ? [{ email: `client${index}@mail.example`, kind: 'work' }] : [],
      source: index % 2 ? 'site' : 'advert',
      owner: users[index % 6].login,
      tags: tags[index % tags.length],
      fields: {
        city: is_foreign ? 'London' : cities[index % cities.length],
        ...(index % 4 ? {} : { contract: `№ ${300 + index}` }),
      },
      language: is_foreign ? 'en' : 'ru',
      is_stub: false,
      created_at: stamp(now - (200 + index * 9) * 24 * HOUR),
      updated_at: stamp(now - Math.floor(rand() * 600) * HOUR),
    });
  });
  return list;
}

export function party(client, display = null) {
  return { number: client?.numbers[0]?.e164 ?? null, display };
}

export function leg(role, state, extra = {}) {
  const empty = { party: { number: null, display: null }, agent: null, trunk: null, answered_at: null, ended_at: null };
  return { id: Math.floor(Math.random() * 2 ** 40).toString(16), role, state, ...empty, ...extra };
}

/** Past calls of the last days, newest last, with recordings where somebody spoke. */
export function makeHistory(now, clients) {
  const rand = random(41);
  const calls = [];
  const recordings = [];
  let at = now - 9 * 24 * HOUR;
  const agents = users.filter((user) => user.role === 'agent');
  while (at < now - 9 * 60_000) {
    at += Math.floor((3 + rand() * 34) * 60_000);
    if (at > now - 5 * 60_000) break;
    const hour = new Date(at).getHours();
    // Nights are quiet, but the demonstration may be shown at night: the last hours are always busy.
    if ((hour < 9 || hour >= 20) && at < now - 7 * HOUR) continue;
    const client = rand() < 0.04 ? clients[0] : clients[1 + Math.floor(rand() * (clients.length - 1))];
    const agent = client === clients[0] && rand() < 0.6 ? agents[0] : agents[Math.floor(rand() * agents.length)];
    const { call, recording } = pastCall(rand, at, client, agent);
    calls.push(call);
    if (recording) recordings.push(recording);
  }
  // The story that the mockups tell: she could not get through this morning.
  const missed = pastCall(() => 0.5, now - 191 * 60_000, clients[0], agents[0], {
    inbound: true,
    missed: 'abandoned',
    wait_ms: 72_000,
  });
  calls.push(missed.call);
  const spoke = pastCall(() => 0.42, now - 71 * HOUR, clients[0], agents[1], {
    inbound: true,
    wait_ms: 12_000,
    talk_ms: 402_000,
  });
  calls.push(spoke.call);
  recordings.push(spoke.recording);
  calls.sort((a, b) => a.started_at.localeCompare(b.started_at));
  recordings.sort((a, b) => a.started_at.localeCompare(b.started_at));
  return { calls, recordings };
}

export function pastCall(rand, at, client, agent, wish = {}) {
  const inbound = wish.inbound ?? rand() < 0.72;
  const causes = inbound ? ['abandoned', 'queue_unavailable'] : ['busy', 'no_answer', 'declined'];
  const missed = wish.missed ?? (rand() < 0.17 ? causes[Math.floor(rand() * causes.length)] : null);
  const queue = inbound ? (queues.find((one) => one.members.includes(agent.login)) ?? queues[0]).name : null;
  const wait_ms = wish.wait_ms ?? Math.floor(4_000 + rand() * 70_000);
  const talk_ms = missed ? 0 : (wish.talk_ms ?? Math.floor(22_000 + rand() * rand() * 640_000));
  const answered = missed ? null : at + wait_ms;
  const ended = (answered ?? at + wait_ms) + talk_ms;
  const id = uuid();
  const withheld = inbound && rand() < 0.04;
  const recording = missed
    ? null
    : pastRecording(rand, id, at + (inbound ? 2_000 : wait_ms), ended, agent.login, queue, inbound ? wait_ms - 2_000 : 0);
  const number = withheld ? null : client.numbers[0].e164;
  const call = {
    id,
    kind: inbound ? 'inbound' : 'outbound',
    state: 'ended',
    from: inbound ? { number, display: null } : { number: '+74951234567', display: agent.name },
    to: inbound ? '+74951234567' : client.numbers[0].e164,
    trunk: 'carrier',
    queue,
    agent: agent.login,
    card_id: withheld ? null : client.id,
    source: inbound ? 'site' : null,
    started_at: stamp(at),
    answered_at: answered ? stamp(answered) : null,
    ended_at: stamp(ended),
    cause: missed ?? 'normal',
    ended_by: missed === 'queue_unavailable' ? 'system' : rand() < 0.6 ? 'caller' : 'agent',
    recording_id: recording?.id ?? null,
    legs: [
      leg('caller', 'ended', {
        party: { number, display: null },
        trunk: 'carrier',
        started_at: stamp(at),
        answered_at: stamp(at),
        ended_at: stamp(ended),
      }),
      leg('agent', 'ended', {
        agent: agent.login,
        started_at: stamp(at + Math.max(0, wait_ms - 6_000)),
        answered_at: answered ? stamp(answered) : null,
        ended_at: stamp(ended),
      }),
    ],
    consult_of: null,
    merged_into: null,
  };
  return { call, recording };
}

function pastRecording(rand, call_id, from, to, agent, queue, wait_ms) {
  const duration_ms = to - from;
  const marks = [];
  if (wait_ms > 0) {
    marks.push({ at_ms: 0, kind: 'queued', label: queue }, { at_ms: 400, kind: 'music_started', label: null });
    marks.push({ at_ms: wait_ms, kind: 'music_stopped', label: null });
  }
  marks.push({ at_ms: Math.max(0, wait_ms), kind: 'agent_joined', label: agent });
  if (duration_ms - wait_ms > 150_000) {
    const held = wait_ms + (duration_ms - wait_ms) * 0.45;
    marks.push(
      { at_ms: Math.round(held), kind: 'held', label: agent },
      { at_ms: Math.round(held + 41_000), kind: 'resumed', label: agent },
    );
  }
  if (duration_ms - wait_ms > 300_000) {
    const paused = wait_ms + (duration_ms - wait_ms) * 0.68;
    marks.push(
      { at_ms: Math.round(paused), kind: 'paused', label: agent },
      { at_ms: Math.round(paused + 22_000), kind: 'unpaused', label: agent },
    );
  }
  const has_gap = rand() < 0.05;
  return {
    id: uuid(),
    call_id,
    state: 'ready',
    started_at: stamp(from),
    duration_ms,
    sample_rate: 8000,
    channels: 2,
    bytes: 44 + Math.round(duration_ms * 8) * 4,
    marks,
    gaps: has_gap
      ? [{ from_ms: Math.round(duration_ms * 0.3), to_ms: Math.round(duration_ms * 0.3) + 1800, reason: 'writer_behind' }]
      : [],
    trouble: has_gap ? 'Диск не успевал 1,8 с' : null,
  };
}

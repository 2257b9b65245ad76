// One place that speaks HTTP with the server: same origin, cookie session, JSON, errors as `ApiError`.
// Knows no screens and keeps no data; the files beside it name the endpoints.

const BASE = '/api/v1';
const TIMEOUT_MS = 15_000;

/** Why a request did not succeed. `code` is the server's, or `offline` and `timeout` when there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }

  get is_offline(): boolean {
    return this.status === 0;
  }
}

type Query = Record<string, string | number | boolean | null | undefined>;
interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  /** Makes a repeated POST harmless. */
  idempotency_key?: string;
}

/** Called when the server no longer knows the session (any 401 but the sign-in's own). */
let onSignedOut: () => void = () => undefined;
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

/** Called with the server's clock as each answer's `Date` header tells it. */
let onServerDate: (server_ms: number) => void = () => undefined;
export function whenServerDate(act: (server_ms: number) => void): void {
  onServerDate = act;
}

/** The language the server's words shall have; the desk's own, whatever the browser prefers. */
let language = 'ru';
export function speak(lang: string): void {
  language = lang;
}

export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  noteDate(response);
  if (response.ok) {
    if (response.status === 204) return undefined as T;
    return (await response.json()) as T;
  }
  const error = await errorOf(response);
  if (response.status === 401 && path !== '/session') onSignedOut();
  throw error;
}

async function send(method: string, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', 'accept-language': language };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.idempotency_key) headers['idempotency-key'] = options.idempotency_key;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  try {
    return await globalThis.fetch(urlOf(path, options.query), { method, headers, body, signal, credentials: 'same-origin' });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    const late = cause instanceof DOMException && cause.name === 'TimeoutError';
    throw new ApiError(0, late ? 'timeout' : 'offline', late ? 'the server does not answer' : 'the server is out of reach');
  }
}

export function urlOf(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(key, String(value));
  }
  const text = params.toString();
  return `${BASE}${path}${text ? `?${text}` : ''}`;
}

async function errorOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const error = isRecord(body) && isRecord(body['error']) ? body['error'] : {};
  const text = (key: string): string | null => (typeof error[key] === 'string' ? error[key] : null);
  return new ApiError(
    response.status,
    text('code') ?? `http_${response.status}`,
    text('message') ?? response.statusText,
    text('field'),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function noteDate(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(date)) onServerDate(date);
}

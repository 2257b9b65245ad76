// What to tell a person about a failed request: the server's own sentence where it has one, ours where it could not speak.
import { ApiError } from '../api/http';
import { t } from '../i18n/index.svelte';

export function errorText(error: unknown): string {
  const words = t().errors;
  if (!(error instanceof ApiError)) return words.internal;
  if (error.code === 'timeout') return words.timeout;
  if (error.is_offline) return words.offline;
  if (error.message && error.status < 600 && error.message !== error.code) return error.message;
  if (error.status === 403) return words.forbidden;
  if (error.status === 404) return words.not_found;
  if (error.status === 409) return words.conflict;
  if (error.status === 429) return words.too_many;
  return error.status === 503 ? words.unavailable : words.internal;
}

export function isRefused(error: unknown): boolean {
  return error instanceof ApiError && error.status === 403;
}

export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

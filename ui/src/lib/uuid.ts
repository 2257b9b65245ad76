/** A random id for idempotency keys. `crypto.randomUUID` is missing on plain http, where a LAN server may well live. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

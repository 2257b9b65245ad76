// Which microphones and speakers the machine has. Browsers name them only after the microphone was allowed once.

export interface Device {
  id: string;
  name: string;
}

export interface Devices {
  microphones: readonly Device[];
  speakers: readonly Device[];
}

export const NO_DEVICES: Devices = { microphones: [], speakers: [] };

export async function listDevices(): Promise<Devices> {
  if (!('mediaDevices' in navigator)) return NO_DEVICES;
  const all = await navigator.mediaDevices.enumerateDevices();
  // Chromium lists the machine's choice twice, once more as "default": that is our own first entry.
  const of = (kind: MediaDeviceKind) =>
    all
      .filter(
        (one) => one.kind === kind && one.deviceId !== '' && one.deviceId !== 'default' && one.deviceId !== 'communications',
      )
      .map((one) => ({ id: one.deviceId, name: plainName(one.label) }));
  return { microphones: of('audioinput'), speakers: of('audiooutput') };
}

/** Calls `changed` when something is plugged in or out, until the returned function is called. */
export function watchDevices(changed: () => void): () => void {
  if (!('mediaDevices' in navigator)) return () => undefined;
  navigator.mediaDevices.addEventListener('devicechange', changed);
  return () => navigator.mediaDevices.removeEventListener('devicechange', changed);
}

/** "Jabra Evolve2 (0b0e:0301)" → "Jabra Evolve2": the vendor's numbers help nobody. */
export function plainName(label: string): string {
  return label.replace(/\s*\([0-9a-f]{4}:[0-9a-f]{4}\)$/i, '').trim();
}

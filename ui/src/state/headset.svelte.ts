// The microphones and speakers of this machine, and which of them this person chose.
import type { Devices } from '../phone/devices';
import { NO_DEVICES, listDevices, watchDevices } from '../phone/devices';
import { prefs } from './prefs.svelte';

class Headset {
  devices = $state.raw<Devices>(NO_DEVICES);
  #is_watching = false;

  /** What the microphone is called; empty when the browser does not say. */
  get name(): string {
    const { microphones } = this.devices;
    return (microphones.find(({ id }) => id === prefs.microphone) ?? microphones[0])?.name ?? '';
  }

  /** Reads the list, and again whenever something is plugged in or out. */
  async look(): Promise<void> {
    if (!this.#is_watching) watchDevices(() => void this.look());
    this.#is_watching = true;
    this.devices = await listDevices();
  }
}

export const headset = new Headset();

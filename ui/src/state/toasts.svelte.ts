// Short messages at the bottom left: at most three, the same ones fold. What lasts is a bar, not a toast.

export type ToastKind = 'done' | 'info' | 'error' | 'missed';

export interface Toast {
  id: number;
  kind: ToastKind;
  title: string;
  text: string;
  times: number;
  action: { label: string; key?: string; act: () => void } | null;
}

const SHOWN_MS = 6_000;
const WITH_ACTION_MS = 30_000;
const MOST = 3;

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;
  #timers = new Map<number, ReturnType<typeof setTimeout>>();

  show(kind: ToastKind, title: string, { text = '', action = null }: { text?: string; action?: Toast['action'] } = {}): void {
    const same = this.list.find((toast) => toast.kind === kind && toast.title === title && toast.text === text);
    if (same) {
      same.times += 1;
      this.#expire(same.id, kind, action !== null);
      return;
    }
    const id = this.#next++;
    this.list.push({ id, kind, title, text, times: 1, action });
    if (this.list.length > MOST) this.drop(this.list[0]?.id ?? 0);
    this.#expire(id, kind, action !== null);
  }

  drop(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.list = this.list.filter((toast) => toast.id !== id);
  }

  /** Errors stay until they are put away. */
  #expire(id: number, kind: ToastKind, has_action: boolean): void {
    clearTimeout(this.#timers.get(id));
    if (kind === 'error') return;
    this.#timers.set(
      id,
      setTimeout(() => this.drop(id), has_action ? WITH_ACTION_MS : SHOWN_MS),
    );
  }
}

export const toasts = new Toasts();

// The keyboard: physical keys (`event.code`), so that Cyrillic and Latin layouts are the same. Screens register what they
// answer to while they are shown; the newest registration of a key wins.

export interface Binding {
  /** `KeyJ`, `Enter`, `F2`, `Digit1`… */
  code: string;
  ctrl?: boolean;
  shift?: boolean;
  alt?: boolean;
  /** Works also while a field is being typed in. */
  typing?: boolean;
  /** Only when this says so; else the key is left to what has the focus. */
  when?: (event: KeyboardEvent) => boolean;
  act: (event: KeyboardEvent) => void;
}

const SEQUENCE_MS = 1_500;

class Keys {
  #scopes: Binding[][] = [];
  #sequences = new Map<string, () => void>();
  #g_pressed_at = 0;

  /** Answers to `bindings` until the returned function is called. Inside `$effect`, return it. */
  register(bindings: Binding[]): () => void {
    this.#scopes.push(bindings);
    return () => {
      this.#scopes = this.#scopes.filter((scope) => scope !== bindings);
    };
  }

  /** G and then this key. */
  go(code: string, act: () => void): void {
    this.#sequences.set(code, act);
  }

  handle(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing) return;
    const is_typing = isTyping(event.target);
    const is_plain = !event.ctrlKey && !event.altKey && !event.metaKey;
    if (is_plain && !is_typing && !inDialog() && this.#sequence(event)) return;
    for (const scope of [...this.#scopes].reverse()) {
      const binding = scope.find((one) => fits(one, event) && (!is_typing || one.typing) && (one.when?.(event) ?? true));
      if (!binding) continue;
      // An open dialog owns the keyboard, save for what works anywhere.
      if (inDialog() && !binding.typing) return;
      event.preventDefault();
      binding.act(event);
      return;
    }
  }

  #sequence(event: KeyboardEvent): boolean {
    const now = event.timeStamp;
    if (event.code === 'KeyG' && !event.shiftKey && !event.repeat) {
      this.#g_pressed_at = now;
      return true;
    }
    const act = now - this.#g_pressed_at < SEQUENCE_MS && this.#g_pressed_at > 0 ? this.#sequences.get(event.code) : undefined;
    this.#g_pressed_at = 0;
    if (!act) return false;
    event.preventDefault();
    act();
    return true;
  }
}

function fits(binding: Binding, event: KeyboardEvent): boolean {
  const ctrl = event.ctrlKey || event.metaKey;
  return (
    binding.code === event.code &&
    (binding.ctrl ?? false) === ctrl &&
    (binding.alt ?? false) === event.altKey &&
    (binding.shift ?? false) === event.shiftKey
  );
}

export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'range', 'button', 'submit'].includes(target.type);
}

function inDialog(): boolean {
  return document.querySelector('dialog[open]') !== null;
}

export const keys = new Keys();

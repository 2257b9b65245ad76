// Where we are: the address bar as state. Plain links work: a click on <a href="/…"> is taken over, anything else is left alone.

export type Section = 'desk' | 'clients' | 'calls' | 'records' | 'floor' | 'kit' | 'nowhere';

export interface Route {
  section: Section;
  id: string | null;
}

const SECTIONS: Record<string, Section> = {
  '': 'desk',
  clients: 'clients',
  calls: 'calls',
  records: 'records',
  floor: 'floor',
  kit: 'kit',
};

export function parseRoute(path: string): Route {
  const [head = '', id = null, ...rest] = path.replace(/^\/+|\/+$/g, '').split('/');
  const section = rest.length ? 'nowhere' : (SECTIONS[head] ?? 'nowhere');
  return { section, id: id ? decodeURIComponent(id) : null };
}

class Router {
  path = $state(location.pathname);
  query = $state(new URLSearchParams(location.search));

  get route(): Route {
    return parseRoute(this.path);
  }

  go(to: string, { replace = false }: { replace?: boolean } = {}): void {
    const url = new URL(to, location.origin);
    const now = location.pathname + location.search;
    if (url.pathname + url.search === now) return;
    if (replace) history.replaceState(null, '', url);
    else history.pushState(null, '', url);
    this.#read();
  }

  start(): () => void {
    const onPop = () => this.#read();
    const onClick = (event: MouseEvent) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
        return;
      const link = event.target instanceof Element ? event.target.closest('a') : null;
      if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
      if (parseRoute(link.pathname).section === 'nowhere' || link.hash) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    };
    addEventListener('popstate', onPop);
    addEventListener('click', onClick);
    return () => {
      removeEventListener('popstate', onPop);
      removeEventListener('click', onClick);
    };
  }

  #read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }
}

export const router = new Router();

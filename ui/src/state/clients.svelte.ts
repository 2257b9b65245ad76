// The list of clients: the search that is typed, the pages it gives, a new card.
import { createClient, getClients } from '../api/endpoints';
import type { Client } from '../api/types';
import { directory } from './directory.svelte';
import { Paged } from './paged.svelte';
import { session } from './session.svelte';

const PAGE = 100;
const PAUSE_MS = 200;

class Clients {
  search = $state('');
  list = new Paged<Client>(async (cursor, signal) => {
    const page = await getClients({ search: this.search.trim(), cursor, limit: PAGE }, { signal });
    for (const client of page.items) directory.learn(client);
    return page;
  });
  #timer: ReturnType<typeof setTimeout> | undefined;

  type(text: string): void {
    this.search = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.list.load(true), PAUSE_MS);
  }

  /** Makes a card; an agent's new client is their own. */
  async create(name: string, company: string, phone: string): Promise<Client> {
    const me = session.me;
    const client = await createClient({
      name,
      company: company || null,
      numbers: phone ? [{ e164: phone, kind: 'mobile', extension: null, is_shared: false }] : [],
      owner: me?.role === 'agent' ? me.login : null,
    });
    directory.learn(client);
    this.list.add(client);
    return client;
  }
}

export const clients = new Clients();

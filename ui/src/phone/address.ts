// Where SIP is spoken. Pure.

/** The server's address of the websocket, maybe only its path, as this page reaches it. */
export function socketUrl(ws_url: string, page: string = location.href): string {
  const url = new URL(ws_url, page);
  if (url.protocol === 'http:') url.protocol = 'ws:';
  // The server behind a proxy may not know that it is reached by https, and a secure page may open no other socket.
  if (url.protocol === 'https:' || page.startsWith('https:')) url.protocol = 'wss:';
  return url.href;
}

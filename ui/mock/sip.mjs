// A small SIP side for the browser's phone: registrar and caller in one, over the websocket `/sip` (RFC 7118). It rings the
// page when the world says so and tells the world what the page does. The media is somebody else's: a test gives `far`, which
// makes and takes SDP with a real RTCPeerConnection; without it a made-up offer is sent, good enough to look at the desk.
import { createHash, randomBytes } from 'node:crypto';

const REALM = 'perezvon';
const KEPT_MS = 15_000;
const md5 = (text) => createHash('md5').update(text).digest('hex');
const token = () => randomBytes(6).toString('hex');

/** First line, headers by lower-case name (the last one wins, which is enough here), body. */
export function parse(text) {
  const [head, ...rest] = text.split('\r\n\r\n');
  const [first, ...lines] = head.split('\r\n');
  const headers = {};
  for (const line of lines)
    headers[line.slice(0, line.indexOf(':')).trim().toLowerCase()] = line.slice(line.indexOf(':') + 1).trim();
  const [method, uri] = first.startsWith('SIP/2.0') ? [null, null] : first.split(' ');
  return { first, method, uri, status: Number(method ? 0 : first.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}

function write(first, headers, body = '') {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [first, ...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
}

export class Sip {
  /** `{offer(call), answer(call, sdp), negotiate(call, sdp)}`, each may be async. */
  far = null;
  /** What came and went, for tests: `> INVITE`, `< 200 INVITE`. */
  heard = [];

  constructor(world) {
    this.world = world;
    this.loans = new Map();
    this.pages = new Map();
    this.calls = new Map();
  }

  reset() {
    for (const page of this.pages.values()) page.ws.close();
    for (const call of this.calls.values()) clearTimeout(call.kept);
    this.pages.clear();
    this.calls.clear();
    this.loans.clear();
    this.heard = [];
    this.far = null;
    this.refuses = false;
    this.hold_status = 0;
    this.expires_s = 3600;
  }
  refuses = false;
  hold_status = 0;
  expires_s = 3600;

  /** `POST me/phone`. */
  lend(user) {
    const [username, password] = [`web-${token()}`, token()];
    this.loans.set(username, { user, password });
    return {
      ws_url: '/sip',
      uri: `sip:${user.extension}@perezvon`,
      username,
      password,
      expires_at: new Date(Date.now() + this.expires_s * 1000).toISOString(),
      ice_servers: [],
    };
  }

  open(ws) {
    ws.on('message', (data) => void this.#heard(ws, parse(String(data))));
    ws.on('close', () => this.#closed(ws));
  }

  /** Cuts every page off, as a dead network does. */
  drop() {
    for (const page of [...this.pages.values()]) page.ws.terminate();
  }

  pageOf(login) {
    return this.pages.get(login);
  }

  /** The world rings this agent: the page gets an INVITE. */
  async ring(login, call, { auto_answer = false, resume = false, supervises = false } = {}) {
    const page = this.pages.get(login);
    if (!page) return;
    const dialog = { call_id: token(), tag: token(), cseq: 1, state: 'ringing', login, call: call.id, page, supervises };
    const key = supervises ? `${login} in ${call.id}` : call.id;
    this.calls.set(key, dialog);
    const body = this.far ? await this.far.offer(dialog.call_id) : madeUpOffer();
    if (this.calls.get(key) !== dialog) return;
    dialog.is_sent = true;
    const party = call.kind === 'inbound' ? call.from : { number: call.to, display: null };
    const headers = {
      'X-Perezvon-Call': call.id,
      ...(resume && { 'X-Perezvon-Resume': call.id, ...(call.state === 'held' && { 'X-Perezvon-Held': 'true' }) }),
      ...((auto_answer || resume) && {
        'Alert-Info': '<http://localhost>;info=alert-autoanswer',
        'Call-Info': '<sip:localhost>;answer-after=0',
      }),
      'Content-Type': 'application/sdp',
    };
    dialog.from = `${party.display ? `"${party.display.replace(/["\\]/g, '')}" ` : ''}<sip:${party.number ?? 'anonymous'}@perezvon>`;
    this.#request(dialog, 'INVITE', headers, body);
  }

  /** A supervisor is out of it. */
  dismiss(call_id, login) {
    this.end(`${login} in ${call_id}`);
  }

  /** The call is over, or was answered elsewhere. */
  end(call_id, reason) {
    const dialog = this.calls.get(call_id);
    if (!dialog) return;
    clearTimeout(dialog.kept);
    this.calls.delete(call_id);
    const headers = reason ? { Reason: reason } : {};
    if (dialog.state === 'talking') {
      dialog.cseq += 1;
      this.#request(dialog, 'BYE', headers);
    } else if (dialog.is_sent) this.#request(dialog, 'CANCEL', headers);
  }

  #request(dialog, method, headers = {}, body = '') {
    const { page } = dialog;
    dialog.branch = method === 'CANCEL' || (method === 'ACK' && dialog.state !== 'talking') ? dialog.branch : `z9hG4bK${token()}`;
    const text = write(
      `${method} ${page.contact} SIP/2.0`,
      {
        Via: `SIP/2.0/WS perezvon.invalid;branch=${dialog.branch}`,
        'Max-Forwards': 70,
        From: `${dialog.from};tag=${dialog.tag}`,
        To: `<sip:${page.user.extension}@perezvon>${dialog.to_tag && method !== 'CANCEL' ? `;tag=${dialog.to_tag}` : ''}`,
        'Call-ID': dialog.call_id,
        CSeq: `${dialog.cseq} ${method}`,
        Contact: '<sip:perezvon.invalid;transport=ws>',
        ...headers,
      },
      body,
    );
    this.heard.push(`> ${method}`);
    page.ws.send(text);
  }

  #reply(ws, request, status, phrase, headers = {}, body = '') {
    const { via, from, to, cseq } = request.headers;
    const tagged = /;tag=/.test(to) ? to : `${to};tag=${token()}`;
    ws.send(
      write(
        `SIP/2.0 ${status} ${phrase}`,
        { Via: via, From: from, To: tagged, 'Call-ID': request.headers['call-id'], CSeq: cseq, ...headers },
        body,
      ),
    );
  }

  async #heard(ws, message) {
    if (message.method) this.heard.push(`< ${message.method}`);
    else this.heard.push(`< ${message.status} ${message.headers.cseq.split(' ')[1]}`);
    if (message.method === 'REGISTER') return this.#register(ws, message);
    const dialog = [...this.calls.values()].find((one) => one.call_id === message.headers['call-id']);
    if (!message.method) return this.#answered(dialog, message);
    if (message.method === 'ACK') return undefined;
    if (!dialog) return this.#reply(ws, message, 481, 'Call/Transaction Does Not Exist');
    if (message.method === 'BYE') {
      this.calls.delete(dialog.supervises ? `${dialog.login} in ${dialog.call}` : dialog.call);
      this.#reply(ws, message, 200, 'OK');
      if (dialog.supervises) return this.world.leave(dialog.call, dialog.login);
      return this.world.end(dialog.call, { ended_by: 'agent' });
    }
    if (message.method === 'INVITE') return this.#reinvited(ws, dialog, message);
    return this.#reply(ws, message, 200, 'OK');
  }

  #register(ws, request) {
    const field = (name) => new RegExp(`${name}="?([^",]+)"?`).exec(request.headers.authorization ?? '')?.[1] ?? '';
    const loan = this.loans.get(field('username'));
    const nonce = field('nonce');
    const proof = () => {
      const [ha1, ha2] = [md5(`${field('username')}:${REALM}:${loan.password}`), md5(`REGISTER:${field('uri')}`)];
      return field('qop')
        ? md5(`${ha1}:${nonce}:${field('nc')}:${field('cnonce')}:${field('qop')}:${ha2}`)
        : md5(`${ha1}:${nonce}:${ha2}`);
    };
    if (this.refuses) return this.#reply(ws, request, 403, 'Forbidden');
    if (!loan || proof() !== field('response'))
      return this.#reply(ws, request, 401, 'Unauthorized', {
        'WWW-Authenticate': `Digest realm="${REALM}", nonce="${token()}", algorithm=MD5, qop="auth"`,
      });
    const contact = /<([^>]+)>/.exec(request.headers.contact)?.[1];
    const seconds = Number(/expires=(\d+)/.exec(request.headers.contact)?.[1] ?? request.headers.expires ?? 120);
    this.#reply(
      ws,
      request,
      200,
      'OK',
      seconds ? { Contact: `<${contact}>;expires=${seconds}`, Date: new Date().toUTCString() } : {},
    );
    const { login } = loan.user;
    if (!seconds) return this.#gone(login);
    const is_new = this.pages.get(login)?.contact !== contact;
    const page = { ws, contact, user: loan.user };
    this.pages.set(login, page);
    this.world.registered(login, true);
    for (const dialog of this.calls.values()) {
      if (dialog.login !== login) continue;
      clearTimeout(dialog.kept);
      // The same page by another connection goes on; another page gets the call anew.
      if (dialog.page.contact === contact) dialog.page = page;
      else if (dialog.state === 'talking') void this.ring(login, this.world.call(dialog.call), { resume: true });
    }
    return is_new;
  }

  #closed(ws) {
    for (const [login, page] of this.pages) if (page.ws === ws) this.#gone(login);
  }

  #gone(login) {
    this.pages.delete(login);
    this.world.registered(login, false);
    for (const dialog of this.calls.values()) {
      if (dialog.login !== login) continue;
      if (dialog.state === 'ringing') this.calls.delete(dialog.call);
      else dialog.kept = setTimeout(() => this.world.end(dialog.call, { ended_by: 'system' }), KEPT_MS);
    }
  }

  async #answered(dialog, response) {
    const [, method] = response.headers.cseq.split(' ');
    if (!dialog || method !== 'INVITE' || response.status < 200) return;
    dialog.to_tag = /;tag=([^;]+)/.exec(response.headers.to)?.[1];
    if (response.status >= 300) {
      this.#request(dialog, 'ACK');
      this.calls.delete(dialog.call);
      if (response.status === 603 || response.status === 486) this.world.decline(dialog.call, dialog.login);
      return;
    }
    const is_first = dialog.state !== 'talking';
    dialog.state = 'talking';
    this.#request(dialog, 'ACK');
    if (!is_first) return;
    await this.far?.answer(dialog.call_id, response.body);
    if (dialog.supervises) return this.world.tellSupervision(dialog.login);
    const call = this.world.call(dialog.call);
    if (call && call.state !== 'talking' && call.state !== 'held') this.world.answer(dialog.call, dialog.login);
  }

  async #reinvited(ws, dialog, request) {
    if (this.hold_status) return this.#reply(ws, request, this.hold_status, 'Request Pending');
    const body = this.far ? await this.far.negotiate(dialog.call_id, request.body) : madeUpAnswer(request.body);
    this.#reply(
      ws,
      request,
      200,
      'OK',
      { Contact: '<sip:perezvon.invalid;transport=ws>', 'Content-Type': 'application/sdp' },
      body,
    );
    const is_held = /^a=(sendonly|inactive)/m.test(request.body);
    return this.world.hold(dialog.call, dialog.login, is_held);
  }
}

const FINGERPRINT = Array.from({ length: 32 }, () => 'A5').join(':');
const media = (types, maps, direction, setup) =>
  [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=ice-lite',
    `m=audio 9 UDP/TLS/RTP/SAVPF ${types}`,
    'c=IN IP4 127.0.0.1',
    'a=mid:0',
    ...maps,
    'a=rtcp-mux',
    `a=${direction}`,
    'a=ice-ufrag:mock',
    'a=ice-pwd:mockmockmockmockmockmock',
    `a=fingerprint:sha-256 ${FINGERPRINT}`,
    `a=setup:${setup}`,
    'a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host',
    'a=end-of-candidates',
    '',
  ].join('\r\n');
const CODECS = ['a=rtpmap:111 opus/48000/2', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:126 telephone-event/8000'];
const madeUpOffer = () => media('111 8 126', CODECS, 'sendrecv', 'actpass');
function madeUpAnswer(offer) {
  const direction = /^a=sendonly/m.test(offer) ? 'recvonly' : /^a=inactive/m.test(offer) ? 'inactive' : 'sendrecv';
  return media('111 8 126', CODECS, direction, 'passive');
}

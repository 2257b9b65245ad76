// SDP, where JsSIP and the browser leave something to us. Pure text in, text out (RFC 8866, RFC 3264).
//
// Which codecs we offer: Opus, then G.711, and telephone-event for the keypad.
// Only offers of ours pass here. In an answer the server's own order stands, because it knows what the other side speaks.

const WANTED = ['opus', 'pcma', 'pcmu', 'telephone-event'];

/** The same offer with only our codecs, the best first. What is not understood comes back as it was. */
export function offerOurCodecs(sdp: string): string {
  const sections = sdp.split(/(?=^m=)/m);
  return sections.map((section) => (section.startsWith('m=audio') ? onlyOurs(section) : section)).join('');
}

function onlyOurs(section: string): string {
  const codecs = new Map<string, string>();
  for (const [, type = '', name = ''] of section.matchAll(/^a=rtpmap:(\d+) ([^/\s]+)/gm)) codecs.set(type, name.toLowerCase());
  const [head = '', ...lines] = section.split('\r\n');
  const [media = '', port = '', protocol = '', ...types] = head.split(' ');
  const rank = (type: string) => WANTED.indexOf(codecs.get(type) ?? '');
  const kept = types.filter((type) => rank(type) >= 0).sort((a, b) => rank(a) - rank(b));
  if (!kept.some((type) => codecs.get(type) !== 'telephone-event')) return section;
  const of = (line: string) => /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)/.exec(line)?.[1];
  const rest = lines.filter((line) => {
    const type = of(line);
    return type === undefined || kept.includes(type);
  });
  return [[media, port, protocol, ...kept].join(' '), ...rest].join('\r\n');
}

/**
 * What the other side last said of itself, as the answer it would give if our offer changed nothing. Ends an offer that was
 * refused and leaves the sound as it was; Chromium's own rollback tears the transport down.
 */
export function sameAnswer(remote: string, local: string): string {
  const ours = /^a=setup:(\w+)/m.exec(local)?.[1];
  // RFC 5763 §5: who answered `active` has its peer passive for good.
  const theirs = ours === 'passive' ? 'active' : 'passive';
  return remote.replace(/^a=setup:actpass/gm, `a=setup:${theirs}`);
}

//! Descriptions as programs of our day write them, made up after their manner: the addresses, keys and certificates are
//! nobody's.

pub(super) const FINGERPRINT: &str =
    "9A:0C:71:E5:3F:88:12:D4:6B:A7:5E:90:C3:2D:F1:48:07:BC:65:39:AE:D2:14:7F:83:5C:E0:96:2B:41:DA:0F";

/// An audio call of Chromium, every candidate gathered. With `FINGERPRINT` in its place.
pub(super) const CHROMIUM: &str = "v=0
o=- 7304985521804612397 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS 4c1d7e52-0d3a-4a55-8b3f-1f0e6d9a2b77
m=audio 52044 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.44
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:2310518824 1 udp 2122260223 192.0.2.44 52044 typ host generation 0 network-id 1
a=candidate:841733620 1 udp 2122194687 5f0c2e1a-6b7d-4c8e-9f10-a1b2c3d4e5f6.local 40117 typ host generation 0 network-id 2
a=ice-ufrag:wQ3k
a=ice-pwd:Jm7cV2nX0pLr5sTz8yAbDfGh
a=ice-options:trickle
a=fingerprint:sha-256 FINGERPRINT
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:4c1d7e52-0d3a-4a55-8b3f-1f0e6d9a2b77 b6a8d9c1-2e3f-4051-8293-a4b5c6d7e8f9
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1944102764 cname:u0Nf3QpZkXwLr7Bd
a=ssrc:1944102764 msid:4c1d7e52-0d3a-4a55-8b3f-1f0e6d9a2b77 b6a8d9c1-2e3f-4051-8293-a4b5c6d7e8f9
";

/// Firefox: fingerprint, ICE options and the bundle stand for the whole session, `c=` is unspecified.
pub(super) const FIREFOX: &str = "v=0
o=mozilla...THIS_IS_SDPARTA-99.0 4415820936571022841 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 FINGERPRINT
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 192.0.2.45 47110 typ host
a=sendrecv
a=end-of-candidates
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:0f4d21b6c8937ae5d2f10b6c7e8a9d34
a=ice-ufrag:5be20f7c
a=mid:0
a=msid:{0d9c6b1a-5e4f-4321-9876-fedcba012345} {7f6e5d4c-3b2a-4190-8f7e-6d5c4b3a2918}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:3016672190 cname:{1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f}
";

/// baresip with optional keys in the SDP.
pub(super) const BARESIP: &str = "v=0
o=- 3911820457 771205583 IN IP4 10.0.0.21
s=-
c=IN IP4 10.0.0.21
t=0 0
a=tool:baresip 3.1.0
m=audio 23108 RTP/SAVP 96 9 8 0 101
a=rtpmap:96 opus/48000/2
a=fmtp:96 stereo=1;sprop-stereo=1
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:23109
a=sendrecv
a=label:1
a=ptime:20
a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
a=ssrc:2874010443 cname:sip:101@10.0.0.21
";

/// A desktop softphone in the manner of Linphone: wideband speex first, video, a stream for text.
pub(super) const SOFTPHONE: &str = "v=0
o=101 2214 1187 IN IP4 10.0.0.22
s=Talk
c=IN IP4 10.0.0.22
t=0 0
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
m=audio 7078 RTP/AVP 96 97 98 0 8 18 101 99
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 speex/16000
a=fmtp:97 vbr=on
a=rtpmap:98 speex/8000
a=rtpmap:101 telephone-event/48000
a=rtpmap:99 telephone-event/8000
a=rtcp-fb:* trr-int 5000
m=video 9078 RTP/AVP 96 97
a=rtpmap:96 VP8/90000
a=rtpmap:97 H264/90000
a=rtcp-fb:* ccm tmmbr
m=text 11078 RTP/AVP 101
a=rtpmap:101 t140/1000
";

/// A fax machine behind an adapter changes over to T.38.
pub(super) const FAX: &str = "v=0
o=adapter 90 91 IN IP4 10.0.0.23
s=-
c=IN IP4 10.0.0.23
t=0 0
m=image 16390 udptl t38
a=T38FaxVersion:0
a=T38MaxBitRate:14400
";

/// With our line ends and our fingerprint.
pub(super) fn text(sample: &str) -> String {
    sample.replace("FINGERPRINT", FINGERPRINT).replace('\n', "\r\n")
}

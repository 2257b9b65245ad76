"""A WebRTC peer by aiortc, for the scenario tests: its own ICE, DTLS, SRTP and codecs. It says a tone and tells what it
hears; the test signals for it. One JSON command a line on standard input, one JSON answer a line on standard output."""

import asyncio
import fractions
import json
import math
import sys
import time
from array import array

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, AudioResampler

RATE = 8000
FRAME = RATE // 50


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, hz):
        super().__init__()
        self.step = 2 * math.pi * hz / RATE
        self.sent = 0
        self.began = None

    async def recv(self):
        self.began = self.began or time.monotonic()
        await asyncio.sleep(max(0.0, self.began + self.sent / RATE - time.monotonic()))
        samples = array("h", (int(8000 * math.sin(self.step * (self.sent + n))) for n in range(FRAME)))
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(samples.tobytes())
        frame.pts, frame.sample_rate, frame.time_base = self.sent, RATE, fractions.Fraction(1, RATE)
        self.sent += FRAME
        return frame


class Peer:
    def __init__(self, hz):
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(Tone(hz))
        self.heard = array("h")
        self.frames = 0
        self.connection.on("track", lambda track: asyncio.ensure_future(self.listen(track)))

    async def listen(self, track):
        # Whatever the codec, 8,000 samples a second of one channel.
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        try:
            while True:
                for frame in resampler.resample(await track.recv()):
                    self.heard.frombytes(bytes(frame.planes[0])[: frame.samples * 2])
                    self.frames += 1
                del self.heard[: -RATE]
        except Exception:
            return

    async def offer(self):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def answer(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def take(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def shares(self, tones):
        """Of the last fifth of a second: how loud it was, and which share of it each tone is."""
        last = self.heard[-RATE // 5 :]
        whole = sum(sample * sample for sample in last) / max(1, len(last))
        return {"loud": whole, "frames": self.frames, "shares": [power(last, hz) / max(1.0, whole) for hz in tones]}


def power(samples, hz):
    angle = 2 * math.pi * hz / RATE
    cos = sum(sample * math.cos(angle * n) for n, sample in enumerate(samples))
    sin = sum(sample * math.sin(angle * n) for n, sample in enumerate(samples))
    return 2 * (cos * cos + sin * sin) / max(1, len(samples)) ** 2


async def obey(peer, command):
    deed = command["deed"]
    if deed == "offer":
        return {"sdp": await peer.offer()}
    if deed == "answer":
        return {"sdp": await peer.answer(command["sdp"])}
    if deed == "take":
        return await peer.take(command["sdp"])
    if deed == "heard":
        return peer.shares(command["tones"])
    raise ValueError(deed)


async def main():
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    peer = Peer(float(sys.argv[1]))
    while line := await lines.readline():
        try:
            answer = {"ok": await obey(peer, json.loads(line))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    await peer.connection.close()


asyncio.run(main())

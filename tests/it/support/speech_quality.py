"""Prints how good speech still is: the MOS of PESQ (ITU-T P.862.1, narrow band) of a degraded recording against what was said.

    speech_quality.py SAID.wav HEARD.wav        both mono, 16 bit, 8,000 samples a second

What was heard may begin earlier or later and have silence around it: it is laid on what was said first. PESQ's own alignment
is for delays within a call, not for seconds.
"""

import sys
import wave

import numpy
import pesq

RATE = 8000


def samples(path):
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE), path
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(numpy.float64)


def laid_on(said, heard):
    """`heard`, shifted to where it is most like `said`, and as long."""
    size = 1 << (len(said) + len(heard)).bit_length()
    likeness = numpy.fft.irfft(numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(said, size)), size)
    shift = int(numpy.argmax(likeness))
    shift = shift if shift <= size // 2 else shift - size
    padded = numpy.concatenate([numpy.zeros(max(0, -shift)), heard[max(0, shift):], numpy.zeros(len(said))])
    return padded[: len(said)]


said, heard = samples(sys.argv[1]), samples(sys.argv[2])
print(pesq.pesq(RATE, said.astype(numpy.int16), laid_on(said, heard).astype(numpy.int16), "nb"))

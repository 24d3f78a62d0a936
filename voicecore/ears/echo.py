"""The assistant's own voice in the microphone: is this frame the echo of what is being played?

Clients with loudspeakers and no echo canceller send the reply back, late by an unknown time, at an
unknown level, coloured by the room. Subtracting it would need the room's impulse response to the
sample. Knowing whether a sound *is* the echo needs less: how loud the echo can be, in each of 24
frequency bands, at this moment. So everything here is the power of bands in windows of 32 ms, as in
the residual echo estimators of suppressors (Faller and Chen 2005, "Suppressing acoustic echo in a
spectral envelope space"): it needs no phase, so that loudspeaker distortion, clock drift and what a
client's canceller leaves of the echo do no harm.

1. *When*: the pattern of loud and soft over time and bands is compared with what was played 0 to
   600 ms before; the best correlation gives the delay. 100 ms of echo are enough.
2. *How loud*: in each band, the median of microphone over played power, reverberation included.
3. *Is it more than that*: a person is there when enough of the amplitude lies above the loudest
   that the echo can be. Voices leave gaps in time and frequency for each other, so this holds for
   a person no louder than the echo.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import EAR_HZ, MOUTH_HZ, Samples, to_float

Bands: TypeAlias = npt.NDArray[np.float64]
"""Of each band its power, or another figure: shape ``[BANDS]``, or ``[rows, BANDS]``."""

HOP_S = 0.01
"""Time between two rows of what was played; the delay is known to this."""

WINDOW_S = 0.032
"""Heard at once: 31 Hz between the bins, short enough for the gaps between syllables."""

BANDS = 24
"""Of equal width in mel, from `LOWEST_HZ` to `HIGHEST_HZ`: wide enough that room resonances
average out, narrow enough that two voices fall in different ones."""

LOWEST_HZ, HIGHEST_HZ = 100, 7_000

LONGEST_DELAY = 60
"""Hops: the network both ways, the client's buffers, the loudspeaker."""

TAIL = np.array([1, 1, *0.8 ** np.arange(25)])
"""What a hop played still adds to a frame, by its age in hops: full for 30 ms, so that the delay
need not be exact, then 60 dB less in 0.62 s, as in a room with much reverberation."""

HELD = 1_024
"""Rows kept, 10 s: a little of the past, and what was sent ahead of being played."""

UNKNOWN_NOISE = 1e-6
"""The floor of a microphone that was not heard yet, at most: one that is silent while its person is
begins with their first word, which is no noise."""

FAINT = 1e-7
"""Power, re full scale squared, under which a band of the reply cannot be heard back."""

MEMORY = np.exp(-0.02 / 2)
"""Of the correlation, from frame to frame: 2 s."""

MATCH = 0.6
"""Correlation from which the microphone hears the reply. Echo that stands out of the noise has 0.65
to 0.95; a person who begins soon after the reply may pass this for 200 ms, and falls to 0.2 to
0.5."""

NEW = 5
"""Matching frames (100 ms) until the gains are known well enough to look for more than echo."""

SURE_AFTER = 50
"""Matching frames (1 s) after which the gains stay in use when the match is lost, for instance
because a person speaks."""

DEAF_AFTER = 50
"""Frames (1 s) of a reply after which a microphone that never matched has little or no echo: what
it hears then bounds the gains."""

UNKNOWN_GAIN = 0.03
"""Power of echo over reply (-15 dB) that may be there before any match: louder echo would match."""

NOISE_MARGIN = 12.0
"""Above the noise floor's lowest tenth, by which a band is more than noise (11 dB)."""

HEADROOM_DB = 11.0
"""How far the echo exceeds its own median: the spread of speech in rooms, in bands of 32 ms."""

FIRST_STEP_DB, LAST_STEP_DB, STEPS = 2.0, 0.2, 10
"""Of the gains' median in one frame: large for the first 200 ms of a band, then 10 dB a second."""

MORE_THAN_ECHO = 0.25
"""Share of the amplitude above the echo from which somebody else is heard."""


def _edges(bin_hz: float) -> list[int]:
    """First bin of each band, and the end of the last."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    hz = 700 * (10 ** (np.linspace(low, high, BANDS + 1) / 2595) - 1)
    return [round(float(edge) / bin_hz) for edge in hz]


class _Analyser:
    """Power in bands of windows of `WINDOW_S`; the same for every rate."""

    def __init__(self, rate_hz: int) -> None:
        self.window = round(WINDOW_S * rate_hz)
        self._taper = np.hanning(self.window).astype(np.float32)
        self._taper /= self._taper.sum()
        self._edges = _edges(rate_hz / self.window)

    def __call__(self, windows: npt.NDArray[np.float32]) -> Bands:
        """Take ``[..., window]``, give ``[..., BANDS]``."""
        spectrum = np.fft.rfft(windows * self._taper)[..., : self._edges[-1]]
        power = spectrum.real**2 + spectrum.imag**2
        return np.asarray(np.add.reduceat(power, self._edges[:-1], axis=-1), np.float64)


class _Played:
    """What the client plays, as rows of bands by the hop in which they end."""

    def __init__(self) -> None:
        self._analyse = _Analyser(MOUTH_HZ)
        self._hop = round(HOP_S * MOUTH_HZ)
        self._power = np.zeros((HELD, BANDS))
        self._shape = np.zeros((HELD, BANDS))
        self._hop_of = np.full(HELD, -1)
        self._sound = np.zeros(0, np.float32)
        self._next = -1
        """The hop that the next complete row belongs to; -1 if what comes next begins a sound."""
        self.ends = -1
        """The hop after the last row."""

    def add(self, samples: Samples, start_s: float) -> None:
        kept = self._analyse.window - self._hop
        begun_s = (len(self._sound) - kept) / MOUTH_HZ
        if self._next < 0 or abs(start_s - begun_s - self._next * HOP_S) > HOP_S:
            self._next, self._sound = round(start_s / HOP_S), np.zeros(kept, np.float32)
        sound = np.concatenate((self._sound, to_float(samples)))
        count = (len(sound) - kept) // self._hop
        self._sound = sound[count * self._hop :]
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(sound, self._analyse.window)
            self._write(self._analyse(windows[:: self._hop][-HELD:]), self._next + count)
            self._next += count
            self.ends = self._next

    def _write(self, power: Bands, end: int) -> None:
        hops = np.arange(end - len(power), end)
        rows = hops % HELD
        self._hop_of[rows], self._power[rows] = hops, power
        self._shape[rows] = np.log10(np.maximum(power / FAINT, 1))

    def forget_after(self, hop: int) -> None:
        self._hop_of[self._hop_of > hop] = -1
        self._next, self.ends = -1, min(self.ends, hop)

    def before(self, hop: int, count: int) -> tuple[Bands, Bands]:
        """Give power and shape of ``count`` rows, the newest, of ``hop``, first."""
        hops = np.arange(hop, hop - count, -1)
        rows = hops % HELD
        there = (self._hop_of[rows] == hops)[:, np.newaxis]
        return self._power[rows] * there, self._shape[rows] * there


class _Delay:
    """How late the microphone hears what is played: the best of all correlations.

    One coefficient (Pearson's, over frames and bands, each band's mean removed) for each delay.
    """

    def __init__(self) -> None:
        self.hops = 0
        self.match = 0.0
        self._frames = 0.0
        self._heard, self._heard_squares = np.zeros(BANDS), 0.0
        self._played = np.zeros((LONGEST_DELAY, BANDS))
        self._played_squares, self._products = np.zeros((2, LONGEST_DELAY))

    def feed(self, heard: Bands, played: Bands) -> None:
        """Take a frame's shape ``[BANDS]``, and what was played ``[LONGEST_DELAY, BANDS]``."""
        self._frames = MEMORY * self._frames + 1
        self._heard = MEMORY * self._heard + heard
        self._heard_squares = MEMORY * self._heard_squares + float(heard @ heard)
        self._played = MEMORY * self._played + played
        self._played_squares = MEMORY * self._played_squares + (played * played).sum(axis=1)
        self._products = MEMORY * self._products + played @ heard
        matches = self._correlations()
        best = int(matches.argmax())
        # The same delay unless another is clearly better: neighbours are nearly equal.
        if abs(best - self.hops) <= 1 or matches[best] > matches[self.hops] + 0.03:
            self.hops = best
        self.match = float(matches[best])

    def _correlations(self) -> npt.NDArray[np.float64]:
        products = self._products - self._played @ self._heard / self._frames
        heard = self._heard_squares - self._heard @ self._heard / self._frames
        played = self._played_squares - (self._played**2).sum(axis=1) / self._frames
        # The one added keeps the first frames, in which all is silent, from matching by chance.
        return np.asarray(products / np.sqrt(np.maximum(heard * played, 0) + 1))


class _Gains:
    """How loud the echo is in each band: the median of heard over played, in dB."""

    def __init__(self) -> None:
        self._db = np.full(BANDS, np.nan)
        self._seen = np.zeros(BANDS)

    def learn(self, heard: Bands, played: Bands, noise: Bands, *, bound: bool) -> None:
        """Take a frame. A band within the noise never raises a gain.

        Args:
            heard: in the microphone.
            played: the reply, late as its echo, with its reverberation.
            noise: what is not louder than this is noise.
            bound: let noise be the first guess of a gain: the echo cannot be louder.
        """
        db = 10 * np.log10((heard + 1e-12) / (played + 1e-12))
        audible, loud, new = played > FAINT / 10, heard > noise, np.isnan(self._db)
        first = new & audible & (loud | bound)
        step = np.maximum(LAST_STEP_DB, FIRST_STEP_DB / (1 + self._seen / STEPS))
        self._db += step * (audible & loud & (db > self._db))
        self._db -= step * (audible & (db < self._db))
        self._db[first] = db[first] + 3  # echo that sets in rises
        self._seen += audible & loud

    def loudest(self, played: Bands) -> Bands:
        """Give the most that the echo of this can be."""
        known = self._db[~np.isnan(self._db)]
        db = np.where(np.isnan(self._db), known.max() if len(known) else 0.0, self._db)
        return np.asarray(played * 10 ** ((db + HEADROOM_DB) / 10))


class _Noise:
    """The microphone's noise floor in each band: about the lowest tenth of its power."""

    def __init__(self) -> None:
        self.power = np.full(BANDS, UNKNOWN_NOISE)
        self._frames = 0

    def feed(self, heard: Bands) -> None:
        self._frames += 1
        fall = 0.0 if self._frames < 10 else 0.9
        self.power = np.where(
            heard > self.power, self.power * 1.02, np.maximum(heard, self.power * fall)
        )
        np.maximum(self.power, 1e-11, out=self.power)


class Echo:
    """Says whether a frame of the microphone is explained by what the client plays.

    Tell it of every sound sent (`played`) and give it every frame (`explains`), also those without
    speech: it learns from them. While nothing was played lately a frame costs under a microsecond,
    else about 0.1 ms. What it learns of the room it keeps from one reply to the next.

    It is slow at the first reply of a conversation: a person who speaks within its first second may
    be taken for the echo until their voice and the reply have differed for 200 to 600 ms.
    """

    def __init__(self) -> None:
        self._analyse = _Analyser(EAR_HZ)
        self._played, self._delay, self._noise, self._gains = (
            _Played(),
            _Delay(),
            _Noise(),
            _Gains(),
        )
        self._before = np.zeros(round(EAR_HZ * 0.02), np.int16)
        self._now_s = 0.0
        self._replied = self._matched = 0  # frames

    def played(self, samples: Samples, start_s: float) -> None:
        """Take sound that the client plays, as it is sent.

        Args:
            samples: 48 kHz; any pieces of one sound give the same result.
            start_s: when its first sample is played at the earliest, on the clock of `explains`. A
                piece that begins where the last one ended, to 10 ms, goes on from there. Of what is
                more than about 9 s ahead the beginning is forgotten.
        """
        self._played.add(samples, start_s)

    def stopped(self, now_s: float) -> None:
        """The client has dropped what was to be played after ``now_s``."""
        self._played.forget_after(round(now_s / HOP_S))

    def explains(self, frame: Samples, now_s: float) -> bool:
        """Take 20 ms (320 samples at 16 kHz); ``now_s`` is when they arrived.

        True if it is echo, or nothing but noise, while a reply can be heard; else False. Frames
        should come in order and without gaps; that they arrive in bursts does not matter.
        """
        if not self._keep_time(now_s):
            self._before = np.zeros_like(frame)
        before, self._before = self._before, frame
        hop = round(self._now_s / HOP_S) - 1
        if hop > self._played.ends + LONGEST_DELAY + len(TAIL):
            return False
        window = np.concatenate((before, frame))[-self._analyse.window :]
        heard = self._analyse(to_float(window))
        self._noise.feed(heard)
        power, shape = self._played.before(hop + 1, LONGEST_DELAY + len(TAIL))
        return self._judge(heard, power, shape[1 : LONGEST_DELAY + 1])

    def _keep_time(self, now_s: float) -> bool:
        """Count frames, and follow the clock slowly: they arrive in bursts. False after a gap."""
        late_s = now_s - self._now_s - 0.02
        if abs(late_s) > 0.2:
            self._now_s = now_s
            return False
        self._now_s += 0.02 + min(max(late_s, -0.0005), 0.0005)
        return True

    def _judge(self, heard: Bands, power: Bands, shape: Bands) -> bool:
        noise = NOISE_MARGIN * self._noise.power
        over = np.log10(np.clip(heard / (noise / 4), 1, 1e4))
        self._delay.feed(over, shape)
        echo = TAIL @ power[self._delay.hops : self._delay.hops + len(TAIL)]
        if self._knows(heard, power, noise):
            loudest = self._gains.loudest(echo)
        else:
            loudest = UNKNOWN_GAIN * power[: LONGEST_DELAY + 10].max(axis=0)
        above = np.maximum(heard - noise, 0)
        voice = np.maximum(np.sqrt(above) - np.sqrt(loudest), 0).sum()
        explained = bool(
            above.sum() <= 4 * self._noise.power.sum()
            or voice < MORE_THAN_ECHO * np.sqrt(above).sum()
            or (self._delay.match > MATCH and self._matched <= NEW)
        )
        self._learn(heard, echo, noise)
        return explained

    def _knows(self, heard: Bands, power: Bands, noise: Bands) -> bool:
        """Whether the gains can be trusted."""
        matches = self._delay.match > MATCH
        self._replied += bool(power.any())
        self._matched += matches and int((heard > noise).sum()) > 4
        return matches or self._sure

    @property
    def _sure(self) -> bool:
        return self._matched >= SURE_AFTER or self._replied >= DEAF_AFTER

    def _learn(self, heard: Bands, echo: Bands, noise: Bands) -> None:
        if self._delay.match > MATCH or self._sure:
            self._gains.learn(heard, echo, noise, bound=self._replied >= DEAF_AFTER)
        else:
            self._gains = _Gains()  # what matched was not the echo

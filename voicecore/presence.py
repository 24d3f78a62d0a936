"""Who is connected: every live session of the host, and how to reach it.

All of it is synchronous. A session takes a seat when it begins and leaves it when it ends.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping

import attrs
import trio

from voicecore.config import ServerConfig
from voicecore.events import Event, Notification, Problem
from voicecore.mind.happenings import Announced, Happening
from voicecore.wire.protocol import Wire

SUPERSEDED = Problem(
    "SUPERSEDED",
    "This conversation goes on in a newer connection of the same client; this one is closed.",
)
MAX_KEPT_NEWS = 16
"""Notifications kept for a client that is away; the oldest go first."""
MAX_NAME_CHARS = 128
"""Of the name a client gives itself; the rest does not count."""
MAX_AWAY = 1_000
"""Clients that are away and have news waiting; those that left first are forgotten first."""


def client_key(protocol: str, parameters: Mapping[str, str], address: str) -> str:
    """The same for every connection of one client on one protocol.

    A client that gives no name is its address; nobody can take that for a name.

    Args:
        protocol: what it speaks.
        parameters: of the URL it asked for; ``client`` is its name.
        address: where it connects from.
    """
    name = parameters.get("client")
    who = f"address:{address}" if name is None else f"name:{name[:MAX_NAME_CHARS]}"
    return f"{protocol}:{who}"


@attrs.define(eq=False)
class Guest:
    """Who is connected, and whom they talk to."""

    wire: Wire
    character: str
    """Another may be chosen while connected."""
    key: str
    """Which client it is: see `client_key`."""


@attrs.frozen(eq=False)
class Seat:
    """One live session, as the others see it. Nothing here raises; only `stored` waits."""

    guest: Guest
    conversation: Callable[[], str | None]
    """The id of the conversation that is open."""
    opening: Callable[[], str | None]
    """The id of the one that is being opened, once it is known to be the client's own."""
    tell: Callable[[Event], None]
    """Send something to the client."""
    offer: Callable[[Happening], None]
    """Have the conversation take something."""
    dismiss: Callable[[Event], None]
    """Close the connection at once, with these last words."""
    stored: Callable[[], Awaitable[None]]
    """Wait until all that was said in it so far is stored (this does wait)."""

    @property
    def whose(self) -> tuple[str, str]:
        return self.guest.key, self.guest.character

    def announce(self, news: Notification) -> None:
        self.tell(news)
        self.offer(Announced(news.text))


class Presence:
    """The seats of one host."""

    def __init__(self) -> None:
        self._seats: list[Seat] = []
        self._leaving: list[Seat] = []
        self._connections: Counter[str] = Counter()
        self._left = trio.lowlevel.ParkingLot()
        self._kept: dict[str, deque[Notification]] = {}
        self.claims = trio.Lock()
        """Held while a conversation is found and counts as opening from then on, and while one that
        is not live is deleted: neither may happen in the midst of the other."""

    # --- connections, counted from the handshake on ---

    @property
    def count(self) -> int:
        return self._connections.total()

    def at(self, address: str) -> int:
        """How many connections this address has."""
        return self._connections[address]

    def full(self, server: ServerConfig, address: str) -> str:
        """Why there is no place for another connection of this address, or nothing."""
        if self.count >= server.max_sessions:
            return f"All {server.max_sessions} places are taken; try again soon."
        if self.at(address) >= server.max_sessions_per_address:
            return (
                f"{address} has {server.max_sessions_per_address} connections already; close one, "
                "or have the host's owner raise server.max_sessions_per_address."
            )
        return ""

    def connect(self, address: str) -> None:
        self._connections[address] += 1

    def disconnect(self, address: str) -> None:
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]
        self._left.unpark_all()

    async def empty(self) -> None:
        """Wait until nobody is connected."""
        while self._connections:
            await self._left.park()

    # --- seats ---

    def enter(self, seat: Seat) -> None:
        """Take a seat. Where only one may, the one who has it is told and sent away."""
        for other in [*self._seats]:
            if seat.guest.wire.exclusive and other.whose == seat.whose:
                self.step_down(other)
                other.dismiss(SUPERSEDED)
        self._seats.append(seat)
        for news in self._kept.pop(seat.guest.key, ()):
            seat.announce(news)

    def step_down(self, seat: Seat) -> None:
        """The session is ending; what was said in it may still be on its way to the store."""
        if seat in self._seats:
            self._seats.remove(seat)
            self._leaving.append(seat)

    def left(self, guest: Guest) -> None:
        """All of a session that has ended is stored."""
        self._leaving = [seat for seat in self._leaving if seat.guest is not guest]
        self._left.unpark_all()

    async def settled(self, seat: Seat) -> None:
        """Wait until the same client's ending sessions are stored, so that they can be resumed."""
        while any(other.guest.key == seat.guest.key for other in self._leaving):
            await self._left.park()

    def __iter__(self) -> Iterator[Seat]:
        return iter([*self._seats])

    def of_character(self, name: str) -> list[Seat]:
        return [seat for seat in self._seats if seat.guest.character == name]

    def of_client(self, client: str) -> list[Seat]:
        return [seat for seat in self._seats if seat.guest.key == client]

    def beside(self, seat: Seat) -> list[Seat]:
        """The other sessions of the same conversation."""
        mine = seat.conversation()  # None before one is open
        return [other for other in self.of_conversation(mine) if other is not seat]

    def is_live(self, session_id: str) -> bool:
        """Whether a conversation goes on, begins to, or is still being stored."""
        seats = [*self._seats, *self._leaving]
        return any(session_id in {seat.conversation(), seat.opening()} for seat in seats)

    def of_conversation(self, session_id: str | None) -> list[Seat]:
        if session_id is None:
            return []
        return [seat for seat in self._seats if seat.conversation() == session_id]

    # --- telling ---

    def tell_client(self, client: str, event: Event) -> None:
        for seat in self.of_client(client):
            seat.tell(event)

    def notify(self, client: str, news: Notification) -> None:
        """Tell a client, and have it spoken at its newest session; keep it if it is away."""
        seats = self.of_client(client)
        if seats:
            for seat in seats[:-1]:
                seat.tell(news)
            seats[-1].announce(news)
            return
        kept = self._kept.setdefault(client, deque(maxlen=MAX_KEPT_NEWS))
        kept.append(news)
        if len(self._kept) > MAX_AWAY:
            del self._kept[next(iter(self._kept))]

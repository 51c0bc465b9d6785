"""What a run tells while it goes on: five small events and the callback that receives them.

The algorithms know neither a progress bar nor a file; they call ``callback(event)`` between two steps.
A callback may raise :class:`KeyboardInterrupt` to stop the run: between two steps nothing is half done, so
the best picture and a checkpoint that can be resumed are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Step:
    """One iteration is done.

    Attributes
    ----------
    stage : str
        What is being optimised, for people: "style", "photorealism" or "affine field"; the name of a reconstruction.
    size : tuple of int
        (width, height) of this level of the schedule, in pixels.
    iteration, iterations : int
        How many of the whole run's iterations are done, and how many there are.
    losses : mapping of str to float
        The weighted terms of the loss and their sum, "total".
    elapsed, remaining : float
        Seconds since the run began, and an estimate of the seconds left.
    """

    stage: str
    size: tuple[int, int]
    iteration: int
    iterations: int
    losses: Mapping[str, float]
    elapsed: float
    remaining: float


@dataclass(frozen=True)
class Snapshot:
    """A picture of the run at an iteration for which a snapshot was asked.

    Attributes
    ----------
    iteration : int
        The iteration after which it was taken.
    image : ndarray of float32, shape (H, W, 3)
        sRGB in [0, 1], at the size of the level that was running.
    """

    iteration: int
    image: NDArray[np.float32]


@dataclass(frozen=True)
class Message:
    """Something that a user should know: a decision, a departure, a wait.

    Attributes
    ----------
    text : str
        One line.
    kind : str
        "note" (a decision), "warning" (something may not be as wished), "wait" (work without steps began) or "detail"
        (for those who look into a run: it stands in the record, but isn't shown).
    """

    text: str
    kind: str = "note"


@dataclass(frozen=True)
class Download:
    """A file is being fetched, and some of its bytes have arrived.

    Attributes
    ----------
    name : str
        What is fetched, for people: "vgg16".
    done : int
        Bytes so far.
    total : int or None
        Bytes of the whole file; None if that is not known.
    """

    name: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Rows:
    """Some rows of the result at its final size are done, or other things that are counted.

    Attributes
    ----------
    done, total : int
        Rows so far, and rows of the whole picture.
    doing : str
        What is done with them, for people.
    counted : str
        What is counted, for people.
    """

    done: int
    total: int
    doing: str = "applying"
    counted: str = "rows"


Event = Step | Snapshot | Message | Download | Rows
Callback = Callable[[Event], Any]


def ignore(event: Event) -> None:
    """Do nothing: the callback of those who ask for none."""

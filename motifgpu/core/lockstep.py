"""Tasks in step: what they ask of a device at one place in the code is asked once, for all of them.

Every image of a batch goes through the same code, each in a thread of its own, of which one runs at a time. A
task that asks for something waits; when all wait, those that are least far in the code get it, all who ask
for the same at once (`together`). So tasks that part, because one image has what others have not, meet again
behind. Arrays of a task are rows of stacks, see `motifgpu.core.rows`.

Outside `run` a question is asked for one task alone.
"""

from __future__ import annotations

import contextvars
import functools
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

_log = logging.getLogger("motifgpu")
_T = TypeVar("_T")
_Call = tuple[Any, ...]
_Answer = Callable[[Sequence[_Call]], Sequence[Any]]

_member: ContextVar[_Member | None] = ContextVar("motifgpu-lockstep", default=None)


class _Stopped(BaseException):
    """Ends a task whose result nobody waits for any more."""


class _Member:
    """A task, and what it waits for."""

    def __init__(self, task: Callable[[], Any]) -> None:
        self.task = task
        self.turn = threading.Semaphore(0)
        self.place: tuple[int, ...] = ()  # in the code, where it waits
        self.kind: Any = None  # of what it waits for
        self.call: _Call = ()
        self.waits = False
        self.group: list[_Member] = []  # whom it asks for, where it does
        self.answer: Any = None
        self.done = False
        self.failed: BaseException | None = None


class _Step:
    """Tasks of which one runs at a time."""

    def __init__(self, tasks: Sequence[Callable[[], Any]]) -> None:
        self.members = [_Member(task) for task in tasks]
        self.finished = threading.Semaphore(0)
        self.stopped = False

    def run(self, member: _Member) -> None:
        """Do a task, in its own thread."""
        member.turn.acquire()
        try:
            if not self.stopped:
                _member.set(member)
                _step.set(self)
                member.answer = member.task()
        except _Stopped:
            pass
        except BaseException as error:
            member.failed = error
        member.done = True
        self.pass_on()

    def pass_on(self) -> None:
        """Let one who has an answer go on, or else one ask for all who are least far."""
        living = [member for member in self.members if not member.done]
        ready = next((member for member in living if not member.waits), None)
        if ready is not None:
            ready.turn.release()
            return
        if not living:
            self.finished.release()
            return
        least = min(member.place for member in living)
        there = [member for member in living if member.place == least]
        first = there[0]
        first.group = [member for member in there if member.kind == first.kind]
        first.waits = False
        first.turn.release()

    def ask(self, member: _Member, answer: _Answer, call: _Call, kind: Any, frame: FrameType | None) -> Any:
        """Wait until others ask for the same, and return the answer."""
        if member.group:  # asked within an answer, of what is there
            return answer([call])[0]
        member.call, member.kind, member.place = call, kind, _place(frame)
        member.waits = True
        self.pass_on()
        member.turn.acquire()
        if self.stopped:
            raise _Stopped
        group = member.group
        if not group:  # another has asked
            result, member.answer = member.answer, None
            if isinstance(result, _Alone):
                return answer([call])[0]
            return result
        try:
            results = answer([one.call for one in group])
        except Exception as error:
            if len(group) == 1:
                raise
            _log.debug("asked one by one after %r", error)
            results = [_Alone()] * len(group)
        finally:
            member.group = []
        for one, result in zip(group, results, strict=True):
            one.answer, one.waits, one.call = result, False, ()
        result, member.answer = member.answer, None
        return answer([call])[0] if isinstance(result, _Alone) else result


class _Alone:
    """Stands for an answer that all together were not given."""


_step: ContextVar[_Step | None] = ContextVar("motifgpu-step", default=None)


def _place(frame: FrameType | None) -> tuple[int, ...]:
    """Return how far in the code a call is: where in each function it stands, the outermost first."""
    place = []
    while frame is not None and frame.f_code is not _Step.run.__code__:
        place.append(frame.f_lasti)
        frame = frame.f_back
    return tuple(reversed(place))


def run(tasks: Sequence[Callable[[], _T]]) -> list[_T]:
    """Do tasks in step.

    Parameters
    ----------
    tasks : sequence of callable
        Without arguments.

    Returns
    -------
    list
        What each returned.

    Raises
    ------
    Exception
        The first that a task did not catch, after all have ended.
    """
    step = _Step(tasks)
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(step.run, member), name="motifgpu-step")
        for member in step.members
    ]
    for thread in threads:
        thread.start()
    try:
        step.pass_on()
        step.finished.acquire()
    except BaseException:
        step.stopped = True
        for member in step.members:
            member.turn.release()
        raise
    finally:
        for thread in threads:
            thread.join()
    for member in step.members:
        if member.failed is not None:
            raise member.failed
    return [member.answer for member in step.members]


def in_step() -> bool:
    """Say whether this is a task of `run`."""
    return _member.get() is not None


def ask(answer: _Answer, call: _Call, kind: Any) -> Any:
    """Return the answer to a call, which others of the same kind at the same place get with it."""
    member, step = _member.get(), _step.get()
    if member is None or step is None:
        return answer([call])[0]
    return step.ask(member, answer, call, kind, sys._getframe(1))


def together(function: _Answer) -> Callable[..., Any]:
    """Return a function of what is asked for one task, from one that answers for several.

    Parameters
    ----------
    function : callable
        Takes the arguments of every task and returns an answer for each. Arguments that have a shape and a
        dtype are arrays, which are of one shape where they are on a device; of others the types are alike.
    """
    from motifgpu.core.rows import Row, kind_of

    def kind(x: Any) -> Any:
        """Pieces of an array that tasks share may be of any length."""
        return (Row, x.shape[1:], str(x.dtype)) if isinstance(x, Row) and x.piece else kind_of(x)

    @functools.wraps(function)
    def asked(*arguments: Any) -> Any:
        if not in_step():
            return function([arguments])[0]
        return ask(function, arguments, (function, *map(kind, arguments)))

    return asked

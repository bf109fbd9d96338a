"""Reading a batch: who waits, who could serve them when, and what each pair is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.assignment import store as assignment_store
from booking_tasks.assignment.eligibility import Criteria, exclusion_reason, ineligibility_reason
from booking_tasks.assignment.evaluation import criteria_of, weights_of
from booking_tasks.availability import store as ledger
from booking_tasks.batch import store as batch_store
from booking_tasks.batch.plan import SCORE_MOST, Batch
from booking_tasks.batch.problem import Claim, Ground, Kind, Span, apart, spread, stretches
from booking_tasks.batch.scoring import Acquaintances, Scene, by_subject, standings_of, turns_of
from booking_tasks.context import Context
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import ConsultationRequest, ServiceType

#: Pairs of a whole batch. Beyond it each request looks at fewer starts, and the batch is not complete.
PAIRS_MOST = 200_000
#: Starts of one kind of consultation that are read at most.
OPENINGS_MOST = 400_000
#: How much of the highest score is for having waited longest: it decides between what is otherwise equal.
WAITING_WORTH = SCORE_MOST // 1_000
#: Of the starts it looks at, a request with many others gets so many of its preferred consultant's.
PREFERRED_SHARE = 4

_NOBODY = UUID(int=0)
_INSTANT = timedelta(microseconds=1)
Reasons = Mapping[UUID, str | None]
Shape = tuple[UUID, frozenset[int], datetime, datetime, datetime | None]


@dataclass(frozen=True)
class BatchProblem:
    """A batch as it was read. What is said of each request stands at its place in `requests`.

    `seen`: when it had been changed last. `reasons`: why a consultant cannot serve it. `complete`: all its
    starts were looked at. `busy`: the places of consultants who are free only while its requester is not.
    """

    now: datetime
    requests: Sequence[ConsultationRequest]
    seen: Sequence[datetime | None]
    claims: Sequence[Claim]
    reasons: Sequence[Reasons]
    complete: Sequence[bool]
    busy: Sequence[frozenset[int]]
    asking: Mapping[UUID, frozenset[UUID]]
    loads: Mapping[UUID, int]
    scene: Scene
    ground: Ground
    batch: Batch


def read(db: Session, ctx: Context, ids: Sequence[UUID]) -> BatchProblem:
    """The batch of these requests; without those whose kind is no longer offered. Locks nothing."""
    found = batch_store.requests(db, ids) if ids else []
    kinds = batch_store.service_types(db, {one.consultation_service_type_id for one in found})
    requests = [one for one in found if kinds[one.consultation_service_type_id].is_active]
    reader = _Reader(db, ctx, requests)
    if requests:
        reader.meet(kinds)
        reader.open_up()
    return reader.look()


class _Reader:
    def __init__(self, db: Session, ctx: Context, requests: Sequence[ConsultationRequest]) -> None:
        self._db, self._occasion, self._now, self._requests = db, ctx, ctx.now, requests
        self._wishes = [criteria_of(one) for one in requests]
        own = zone(ctx.policies.default_time_zone)
        self._scene = Scene({}, {}, Acquaintances({}, {}), {}, {}, {}, own)
        self._ground = Ground([])
        self._places: dict[UUID, int] = {}
        self._terms: dict[UUID, Mapping[UUID, batch_store.Terms]] = {}
        self._loads: dict[UUID, int] = {}
        self._reasons: list[Reasons] = []
        self._claims: list[Claim] = []
        self._openings: dict[Shape, list[int]] = {}
        self._reach: dict[Shape, int] = {}
        self._read_until: dict[UUID, datetime] = {}
        self._busy: list[frozenset[int]] = [frozenset()] * len(requests)
        self._complete = [True] * len(requests)

    def look(self) -> BatchProblem:
        """Everything together; the pairs are scored here."""
        return BatchProblem(
            now=self._now,
            requests=self._requests,
            seen=[one.updated_at for one in self._requests],
            claims=self._claims,
            reasons=self._reasons,
            complete=self._complete,
            busy=self._busy,
            asking={
                kind: frozenset(who for who, one in terms.items() if one.must_confirm)
                for kind, terms in self._terms.items()
            },
            loads=self._loads,
            scene=self._scene,
            ground=self._ground,
            batch=self._ground.batch(self._claims, self._pairs()),
        )

    def meet(self, kinds: Mapping[UUID, ServiceType]) -> None:
        """Everyone, what is known of them, and who cannot serve whom."""
        db, wishes = self._db, self._wishes
        profiles = assignment_store.profiles(db)
        words = [word for one in profiles.values() for word in one.specializations]
        requesters = sorted({one.requester_user_id for one in wishes})
        companies = sorted({one.company_id for one in wishes if one.company_id})
        asked = sorted({one.service_type_id for one in wishes})
        self._scene = Scene(
            profiles=profiles,
            aliases=ledger.aliases(
                db, [*words, *(word for one in wishes for word in one.required_specializations)]
            ),
            acquaintances=Acquaintances(
                by_subject(batch_store.had_requesters(db, requesters)),
                by_subject(batch_store.had_companies(db, companies)),
            ),
            zones={who: zone(name) for who, name in batch_store.zones(db, requesters).items()},
            weights={kind: weights_of(self._occasion, kinds[kind]) for kind in asked},
            standings={kind: standings_of(batch_store.standings(db, kind)) for kind in asked},
            default_zone=self._scene.default_zone,
        )
        limited = {who: one.capacity for who, one in profiles.items() if one.capacity is not None}
        self._loads = batch_store.loads(db, list(limited), self._now)
        left = {who: most - self._loads.get(who, 0) for who, most in limited.items()}
        self._ground = Ground(list(profiles), capacities=left)
        self._places = {who: place for place, who in enumerate(profiles)}
        self._terms = {kind: batch_store.terms(db, list(profiles), kind, self._now) for kind in asked}
        self._judge()

    def _judge(self) -> None:
        known: dict[Criteria, tuple[Reasons, frozenset[int]]] = {}
        for request, wish in zip(self._requests, self._wishes, strict=True):
            alike = replace(
                wish,
                requester_user_id=wish.requester_user_id
                if wish.requester_user_id in self._places
                else _NOBODY,
                preferred=None if wish.fallback == "anyone" else wish.preferred,
            )
            if alike not in known:
                judged = {who: self._obstacle(who, alike) for who in self._places}
                able = (self._places[who] for who, reason in judged.items() if reason is None)
                known[alike] = (judged, frozenset(able))
            reasons, fit = known[alike]
            self._reasons.append(reasons)
            self._claims.append(self._claim(request, fit))

    def _obstacle(self, who: UUID, wish: Criteria) -> str | None:
        one = self._scene.profiles[who]
        reason = ineligibility_reason(one, wish, self._scene.aliases) or exclusion_reason(
            one, wish, self._now
        )
        if reason is None and self._ground.capacities.get(who, 1) <= 0:
            return "at_capacity"
        return reason

    def _claim(self, request: ConsultationRequest, fit: frozenset[int]) -> Claim:
        """What the request may have. Whoever is asked about a start needs a moment before it."""
        earliest = self._now + _INSTANT
        return Claim(
            requester_user_id=request.requester_user_id,
            service_type_id=request.consultation_service_type_id,
            fit=fit,
            low=max(earliest, request.preferred_start_time or earliest),
            high=request.preferred_end_time or self._now + self._occasion.policies.horizon,
            latest=request.preferred_end_time,
        )

    def open_up(self) -> None:
        """The starts of every kind of consultation."""
        for kind in self._terms:
            self._read_openings(kind)

    def _read_openings(self, kind_id: UUID) -> None:
        """Ever wider stretches of starts, until looking further would serve nobody else."""
        mine = [one for one in self._claims if one.service_type_id == kind_id and one.fit]
        looking = dict.fromkeys((one.shape for one in mine if one.low < one.high), 0)
        if not looking:
            return
        start, end = min(shape[2] for shape in looking), max(shape[3] for shape in looking)
        wanted = sorted({self._ground.consultants[place] for shape in looking for place in shape[1]})
        kind, enough = self._kind(kind_id, wanted, start, end), self._enough(kind_id)
        room = OPENINGS_MOST
        for since, until in stretches(start, end):
            if not any(shape[3] > since for shape in looking):
                break
            rows = ledger.free_starts(self._db, wanted, kind_id, since, until, self._now, room)
            here = self._ground.side_by_side(self._ground.add(kind, rows, self._places))
            room -= len(rows)
            if not room:
                break
            self._read_until[kind_id] = until
            looking = {
                shape: count + (sum(here.get(who, 0) for who in shape[1]) if shape[2] <= since else 0)
                for shape, count in looking.items()
                if count < enough
            }

    def _enough(self, kind_id: UUID) -> int:
        """How many starts side by side leave one for each request, whatever the others take.

        What lasts r times as long keeps r + 1 of them at most.
        """
        every = [terms.length for kind in self._terms.values() for terms in kind.values()]
        longest, shortest = max(every), min(terms.length for terms in self._terms[kind_id].values())
        return (-(-longest // shortest) + 1) * len(self._requests)

    def _kind(self, kind_id: UUID, who: Sequence[UUID], start: datetime, end: datetime) -> Kind:
        terms = self._terms[kind_id]
        limited = [one for one in who if terms[one].limited]
        used = batch_store.used(self._db, limited, kind_id, start, end, self._now) if limited else {}
        return Kind(kind_id, terms, used)

    def _pairs(self) -> Iterator[tuple[int, int, int]]:
        """(request, opening, score), and beside it who is free only while the requester is not."""
        if not self._ground.starts:
            return
        taken = batch_store.taken_by_requesters(
            self._db,
            list({one.requester_user_id for one in self._claims}),
            min(self._ground.starts),
            max(self._ground.ends),
            self._now,
        )
        asked = batch_store.offered_before(self._db, [one.id for one in self._requests])
        turns = {
            kind: turns_of(self._ground, kind, standings) for kind, standings in self._scene.standings.items()
        }
        alike = Counter(one.shape for one in self._claims)
        came: Counter[Shape] = Counter()
        for place, claim in enumerate(self._claims):
            mine = self._looked_at(place, came[claim.shape], alike[claim.shape])
            came[claim.shape] += 1
            free = self._free(place, mine, taken.get(claim.requester_user_id, []))
            if asked:
                free = [one for one in free if self._key(place, one) not in asked]
            about = self._scene.about(self._wishes[place], claim.low, claim.latest)
            shares = self._scene.worth(self._ground, free, about, turns[claim.service_type_id])
            waited = WAITING_WORTH * (len(self._claims) - 1 - place) // len(self._claims)
            for opening, share in zip(free, shares, strict=True):
                yield place, opening, int((SCORE_MOST - WAITING_WORTH) * share) + waited

    def _looked_at(self, place: int, number: int, of: int) -> Sequence[int]:
        """Those openings of a request that its pairs are made of: all, where the batch is small enough."""
        claim, everyone = self._claims[place], len(self._claims)
        if claim.shape not in self._openings:
            self._openings[claim.shape] = self._ground.matching(claim)
        openings, quota = self._openings[claim.shape], max(1, PAIRS_MOST // everyone)
        read = self._read_until.get(claim.service_type_id, claim.low)
        self._complete[place] = len(openings) <= quota and (read >= claim.high or not claim.fit)
        if len(openings) <= quota:
            return openings
        if claim.shape not in self._reach:
            self._reach[claim.shape] = self._ground.reach(openings, everyone)
        chosen = spread(openings, number, of, self._reach[claim.shape], quota)
        preferred = self._places.get(self._wishes[place].preferred or _NOBODY)
        first = [one for one in openings if self._ground.whose[one] == preferred][: quota // PREFERRED_SHARE]
        return sorted({*chosen[: quota - len(first)], *first}) if first else chosen

    def _free(self, place: int, openings: Sequence[int], spans: Sequence[Span]) -> Sequence[int]:
        """Those of the openings at which the requester has nothing else."""
        if not spans:
            return openings
        ground = self._ground
        free = [one for one in openings if apart(spans, ground.starts[one], ground.ends[one])]
        self._busy[place] = frozenset(ground.whose[one] for one in openings) - {
            ground.whose[one] for one in free
        }
        return free

    def _key(self, place: int, opening: int) -> tuple[UUID, UUID, datetime]:
        who = self._ground.consultants[self._ground.whose[opening]]
        return self._requests[place].id, who, self._ground.starts[opening]

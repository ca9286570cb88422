"""Micrographs through all stages: `analyze` for one, `analyze_batch` for several at once."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np
from threadpoolctl import threadpool_limits

from motifgpu.analysis import FIRM, Analysis
from motifgpu.columns.background import estimate_background
from motifgpu.columns.find import DARK, Columns, find_columns
from motifgpu.columns.given import measure_columns
from motifgpu.columns.patch_size import PatchSize, estimate_patch_size, given_patch_size
from motifgpu.columns.pixels import Pixels
from motifgpu.columns.region import region_mask
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import device, lockstep, namespace, rows
from motifgpu.core.checks import check_labels
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.core.pixels import checked_mask
from motifgpu.features.cut_patches import LARGEST_CUT, Modes, Seen, seen_of
from motifgpu.features.disc import sufficient_size
from motifgpu.features.patches import PatchGrid
from motifgpu.features.zernike import rotation_invariants, usable_order, zernike_moments
from motifgpu.graph.affinity import AffinityGraph, affinity_graph
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.graph.relaxation import pca_start, relax
from motifgpu.io.micrograph import Micrograph
from motifgpu.motifs.averages import averages_of
from motifgpu.motifs.cut_columns import with_cut_columns, with_cut_moments, with_cut_places
from motifgpu.motifs.find import find_motifs
from motifgpu.motifs.shells import neighbor_shells
from motifgpu.motifs.superlattices import unseen_turns
from motifgpu.options import NAMES, Options
from motifgpu.structure.composition import compose

if TYPE_CHECKING:
    from motifgpu.dictionary import MotifDictionary

STAGES = (
    *("columns", "patch size", "moments", "neighbors", "affinity", "layout", "motifs", "averages"),
    "structure",
)
_ORDER, _COARSE_ORDER = 10, 6
_WIDTHS = 8.0  # of an atom in a patch without a lattice
_COARSE, _COARSE_SAMPLES = 20, 24  # px a side below which a patch is coarse, and samples it then gets


class _Stopwatch:
    """Times the stages of a micrograph and tells the caller which one comes."""

    def __init__(self, progress: Callable[[str, float], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self._progress:
            self._progress(name, 0.9 * STAGES.index(name) / len(STAGES))
        begun = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begun


@dataclass(frozen=True, eq=False)
class _Described:
    """A micrograph whose columns have moments; `features` are what the graph sees of the whole ones.

    Of n columns, m have at least a part of a patch, w of them a whole one, and m - w are cut.
    """

    micrograph: Micrograph
    columns: Columns
    size: PatchSize
    mask: np.ndarray  # (n,)
    points: np.ndarray  # (m, 2)
    missing: np.ndarray  # (m,)
    whole: np.ndarray  # (m,)
    patches: Array  # (w, s, s)
    moments: Array  # (w, n_moments)
    host_moments: np.ndarray  # the same
    seen: Seen | None  # of the m - w
    features: Array  # (w, n_features)
    order: int
    watch: _Stopwatch


def _micrograph(source: Any, pixel_size_nm: float | None, chosen: str, xp: ModuleType) -> Micrograph:
    """Return the source as a micrograph on the backend that was chosen, whose namespace is `xp`."""
    micrograph = Micrograph.of(source)
    size = micrograph.pixel_size_nm if pixel_size_nm is None else pixel_size_nm
    image = micrograph.image
    # An array that lives on some device stays there unless told otherwise.
    if chosen != "auto" or array_api_compat.is_numpy_array(image):
        if not array_api_compat.is_cupy_namespace(xp):
            image = to_numpy(image)
        elif isinstance(image, np.ndarray) and lockstep.in_step():
            image = rows.upload(image, xp)
        else:
            image = xp.asarray(image)
    if lockstep.in_step() and not isinstance(image, rows.Row):
        image = rows.Row(image[None, ...], 0)
    made = Micrograph.from_array(image, size, source=micrograph.source, title=micrograph.title)
    valid = micrograph.valid
    if valid is not None:
        valid = namespace.from_numpy(to_numpy(valid), made.image)
    return replace(made, valid=valid, offset=micrograph.offset)


def _with_data_alone(micrograph: Micrograph, pixels: Pixels) -> Micrograph:
    """Return a micrograph that is filled where it is no data, and says where."""
    xp = namespace.array_namespace(pixels.values)
    image = xp.astype(pixels.values, xp.float32, copy=False)
    return replace(micrograph, image=image, valid=pixels.valid, left_out=dict(pixels.left_out))


def sampling(side: float, order: int | None) -> tuple[int, int]:
    """Return samples along a patch of `side` pixels, and the Zernike order."""
    samples = max(round(side), 1)
    if order is None:
        order = _COARSE_ORDER if samples < _COARSE else _ORDER
    if samples < _COARSE:
        samples = _COARSE_SAMPLES
    if usable_order(samples, order) < order:
        samples = max(samples, sufficient_size(order))
    return samples, order


def _described(source: Any, options: Options, watch: _Stopwatch, xp: ModuleType) -> _Described:
    """Return a micrograph with its columns and their moments."""
    micrograph = _micrograph(source, options.pixel_size_nm, options.backend, xp)
    if options.mask is not None:
        mask = checked_mask(options.mask, micrograph.image, "columns")
        valid = mask if micrograph.valid is None else micrograph.valid & mask
        micrograph = replace(micrograph, valid=valid)
    with watch.stage("columns"):
        pixels = Pixels.of(micrograph.image, "columns", micrograph.valid)
        if options.region is not None:
            pixels = pixels.within(region_mask(options.region, pixels.values, "columns"))
        micrograph = _with_data_alone(micrograph, pixels)
        standard = StandardImage.of(pixels, "columns")  # computed once, for all stages
        if options.points is None:
            columns = find_columns(
                standard, smoothing=options.smoothing, lattice=options.lattice, invert=options.invert
            )
        else:
            columns = measure_columns(
                standard, options.points, smoothing=options.smoothing, invert=bool(options.invert)
            )
    with watch.stage("patch size"):
        given = options.patch_size
        if given is None and options.lattice == "none":
            given = _WIDTHS * columns.sigma_px
        if given is not None:
            size = given_patch_size(standard, given)
        else:
            size = estimate_patch_size(standard)
            if options.dictionary is not None:
                side = options.dictionary.patch_pixels(size.pixels, micrograph.pixel_size_nm)
                size = replace(size, pixels=side)
    order = options.order
    if order is None and options.dictionary is not None:
        order = options.dictionary.order
    with watch.stage("moments"):
        image = micrograph.image
        if options.remove_background:
            image = image - estimate_background(standard)
        if size.pixels > min(micrograph.shape):  # before basis functions of that size take the memory
            raise StageError(
                "patches",
                f"a patch of {size.pixels:.1f} px is larger than the image of {micrograph.shape} px",
                "give a smaller patch_size or a larger image",
            )
        samples, order = sampling(size.pixels, order)
        grid = PatchGrid(image, columns.points, samples, size.pixels, micrograph.valid)
        mask = grid.missing <= LARGEST_CUT
        missing, whole, seen = grid.missing[mask], grid.whole[mask], None
        patches = grid.sample(grid.whole)
        if patches.shape[0] == 0:
            where = "inside the image" + (", all of it data" if micrograph.valid is not None else "")
            raise StageError(
                "patches",
                f"no patch of {size.pixels:.1f} px around the {len(columns)} columns is {where}",
                "give a smaller patch_size, a larger image, or one whose missing pixels are filled",
            )
        moments = rows.piecewise(functools.partial(zernike_moments, order=order), patches, key=order)
        features = rotation_invariants(moments) if options.rotation_invariant else moments
        host, cut = to_numpy(moments), mask & ~grid.whole
        if cut.any():
            modes = Modes.of(patches, host, size.pixels)
            seen = seen_of(grid.sample(cut), grid.present(np.flatnonzero(cut)), modes)
    return _Described(
        *(micrograph, columns, size, mask, grid.points[mask], missing, whole),
        *(patches, moments, host, seen, features, order, watch),
    )


_LaidOut = tuple[AffinityGraph, Array, np.ndarray]


def _laid_out(batch: Sequence[_Described], options: Options) -> list[_LaidOut]:
    """Return graph and layout, on the host too, of each micrograph; their features have the same length."""
    limits = np.cumsum([0, *(one.features.shape[0] for one in batch)])
    features = rows.joined([one.features for one in batch])
    watch = batch[0].watch
    with watch.stage("neighbors"):
        neighbors = nearest_neighbors(features, options.n_neighbors - 1, limits, options.metric)
    with watch.stage("affinity"):
        graph = affinity_graph(neighbors, offsets=limits)
    with watch.stage("layout"):
        layout = relax(graph, pca_start(features, limits), seed=options.seed)
    for name in ("neighbors", "affinity", "layout"):
        share = watch.seconds[name] / len(batch)
        for one in batch:
            one.watch.seconds[name] = share
    host, between = to_numpy(layout), pairwise(limits)
    return [(part, layout[a:b, :], host[a:b]) for part, (a, b) in zip(graph.parts(), between, strict=True)]


def _finished(one: _Described, laid_out: _LaidOut | None, options: Options) -> Analysis:
    """Return the analysis of a micrograph, with its graph and layout if they could be made."""
    graph, layout, spread = laid_out or _laid_out([one], options)[0]
    watch, like, moments, whole, places = one.watch, one.features, one.host_moments, one.whole, one.points
    # What follows is a few numbers a column.
    with watch.stage("motifs"):
        every = moments if one.seen is None else with_cut_moments(moments, one.seen, whole)
        if options.dictionary is not None:
            motifs = options.dictionary.motifs(every, whole)
        else:
            motifs = find_motifs(moments, spread, points=places[whole], n_motifs=options.n_motifs)
            if options.invert or DARK in one.columns.notes:
                unseen = unseen_turns(moments, one.order, places[whole], motifs.labels)
                motifs = replace(motifs, notes=(*motifs.notes, *unseen))
            if one.seen is not None:
                motifs = with_cut_columns(motifs, moments, one.seen, places, whole)
        if one.seen is not None:
            spread = with_cut_places(spread, every, motifs.labels, whole, one.seen.modes)
    with watch.stage("averages"):
        own = check_labels(motifs.labels[whole], "averages", len(moments))
        members = np.bincount(own[own >= 0], minlength=motifs.counts.shape[0])
        averages = averages_of(one.patches, moments, own, members)
        shells = neighbor_shells(places, motifs.labels)
    cells, hierarchy, no_lattice = None, None, "not looked for"
    if options.structure and options.lattice != "none":
        with watch.stage("structure"):
            parts = (places, motifs.labels, motifs.identities, motifs.domains)
            cells, hierarchy, no_lattice = compose(*(x[one.missing <= FIRM] for x in parts))
    return Analysis(
        micrograph=one.micrograph,
        columns=one.columns,
        mask=namespace.from_numpy(one.mask, like),
        points=namespace.from_numpy(places, like),
        whole=namespace.from_numpy(whole, like),
        missing=namespace.from_numpy(one.missing, like),
        moments=one.moments if one.seen is None else namespace.from_numpy(every, like),
        graph=graph,
        layout=layout if one.seen is None else namespace.from_numpy(spread, like),
        motifs=motifs.on_device_of(like),
        averages=averages,
        shells=shells,
        patch_size=one.size,
        cells=cells,
        hierarchy=hierarchy,
        no_lattice=no_lattice,
        parameters=options.in_force(
            patch_size_px=one.size.pixels,
            patch_samples=one.patches.shape[1],
            order=one.order,
            backend=array_api_compat.array_namespace(one.micrograph.image).__name__,
        ),
        timings=watch.seconds,
    )


def analyze(
    source: Any,
    *,
    pixel_size_nm: float | None = None,
    smoothing: str = "auto",
    lattice: str = "auto",
    invert: bool | None = None,
    remove_background: bool = False,
    patch_size: float | None = None,
    order: int | None = None,
    rotation_invariant: bool = False,
    n_neighbors: int = 10,
    metric: str = "correlation",
    n_motifs: int | None = None,
    structure: bool = True,
    points: Any = None,
    mask: Any = None,
    region: Any = None,
    dictionary: MotifDictionary | None = None,
    seed: int = 0,
    backend: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> Analysis:
    """Find the atom columns of one micrograph, their moments, layout and motifs.

    Parameters
    ----------
    source : path-like, Micrograph or (H, W) array
        The micrograph, raw.
    pixel_size_nm : float, optional
        Pixel size in nm, instead of the one that the file states.
    smoothing : {"auto", "fft", "svd"}
        How the image is smoothed to find the columns.
    lattice : {"auto", "none"}
        ``"none"`` for single atoms without a lattice, such as on a support, see `find_columns`; patches are
        then eight widths of an atom unless their size is given, and there are no motif-cells.
    invert : bool, optional
        Whether columns are dark on bright ground; by default the image decides. Patches and averages keep the
        contrast of the micrograph.
    remove_background : bool
        Subtract the slow background before the moments. Not by default: the motifs correct for a background
        themselves, and the filter lowers the contrast of defects (WS2 at 10 counts: AMI 0.96 instead of
        0.98).
    patch_size : float, optional
        Side of a patch, px; the paper's size by default (`estimate_patch_size`).
    order : int, optional
        Highest Zernike order; by default 10, and 6 in coarse images, whose patches are less than 20 px wide.
    rotation_invariant : bool
        Build the neighbour graph from the lengths ``|A_p|q||`` only, so that rotated patches are alike.
    n_neighbors : int
        Neighbours in the graph, the column itself included.
    metric : {"correlation", "euclidean"}
        Distance in the graph and so in the layout, see `nearest_neighbors`; motifs do not depend on it.
    n_motifs : int, optional
        Number of motifs; found by default.
    structure : bool
        Also fit the lattice, where there is one, and compose the motifs into motif-cells and their hierarchy.
    points : (n, 2) array_like or Columns, optional
        Positions of the columns as (row, col), px, made elsewhere, such as by atomap, a network or by hand.
        None is added, and none is moved (`motifgpu.measure_columns`, which can refine them).
    mask : (H, W) array_like of bool, optional
        True on the pixels that are data, False on those to leave out (`motifgpu.find_columns`).
    region : (int, int, int, int), (k, 2) array_like or (H, W) array_like of bool, optional
        Analyse a part of the image alone: a box (first row, last row, first column, last column), the last
        ones not included, the corners (row, col) of a polygon, or True on the pixels. What lies outside
        counts as no data.
    dictionary : MotifDictionary, optional
        Name the columns by the motifs of the dictionary instead of finding motifs, with patches and moments
        like its own; columns that it does not know have label -1.
    seed : int
        Seed of the random numbers of the layout.
    backend : {"auto", "numpy", "cupy"}
        Where to compute; ``"auto"`` uses a GPU where one is usable, and computes on the device of an array
        that is on one.
    progress : callable, optional
        Called as ``progress(stage, fraction)`` before each stage.

    Returns
    -------
    Analysis

    Raises
    ------
    MicrographReadError
        If the file cannot be read.
    StageError
        If a stage cannot work on what it is given; the message names it, the value and a remedy.

    Notes
    -----
    The stages are those of Dan et al., Science Advances 8, eabk1005 (2022), Fig. 1. In coarse images patches
    are sampled at 24 points per side. Measured on TiWSe2 (patches of 15 px, published labels): identity AMI
    0.905 with the 15 px as they are and order 10, 0.921 with 24 samples, 0.925 with 24 samples and order 6;
    on simulations of that sampling at 10 counts order 6 finds two thirds of the vacancies, order 10 half.

    Examples
    --------
    Find the motifs of a monolayer of MoSe2 in which some selenium columns lack an atom:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    >>> analysis = motifgpu.analyze(made.image, pixel_size_nm=made.pixel_size_nm)
    >>> len(analysis.motifs.counts)  # molybdenum, selenium and vacancies
    3
    >>> match = motifgpu.match_points(analysis.points, made.points, radius=3.0)
    >>> bool((analysis.motifs.labels[match.found] == made.labels[match.reference]).all())
    True
    >>> analysis.cells.lattice.kind
    'hexagonal'
    """
    given = locals()  # the arguments by name, which are those of `Options`
    options = Options(**{name: given[name] for name in NAMES})
    options.check("analyze")
    [found] = analyze_batch([source], options, progress)
    if isinstance(found, Exception):
        raise found
    return found


def analyze_batch(
    sources: Sequence[Any],
    options: Options | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> list[Analysis | MicrographReadError | StageError]:
    """Analyse several micrographs, on a GPU in step, so that launches hardly grow with their number.

    Parameters
    ----------
    sources : sequence of path-like, Micrograph or (H, W) array
        The micrographs, raw.
    options : Options, optional
        The same for all.
    progress : callable, optional
        As in `analyze`, called for every micrograph.

    Returns
    -------
    list of Analysis, MicrographReadError or StageError
        In the order of the sources; the error in place of a micrograph that cannot be analysed. Results are
        the same bits alone and in any batch.

    Raises
    ------
    GpuMissingError
        If a GPU was requested and none is usable.
    """
    options = Options() if options is None else options
    if options.dictionary is not None and options.n_motifs is not None:
        raise StageError(
            "dictionary", f"n_motifs is {options.n_motifs}", "leave it out: the dictionary has its own motifs"
        )
    results: dict[int, Any] = {}
    described: dict[int, _Described] = {}
    # One thread a matrix product, because the number of threads changes the last bits.
    with threadpool_limits(limits=1, user_api="blas"):
        xp = device.select(options.backend)
        watches = [_Stopwatch(progress) for _ in sources]
        tasks = [
            functools.partial(_described, source, options, watch, xp)
            for source, watch in zip(sources, watches, strict=True)
        ]
        for place, found in enumerate(_together(tasks, xp, watches)):
            (results if isinstance(found, Exception) else described)[place] = found
        for places in _alike(described):
            try:
                laid_out = _laid_out([described[place] for place in places], options)
            except StageError:  # of one of them: each alone says which
                laid_out = []
            last, watches = [], []
            for k, place in enumerate(places):
                one = described.pop(place)
                watches.append(one.watch)
                last.append(functools.partial(_finished, one, laid_out[k] if laid_out else None, options))
            results.update(zip(places, _together(last, xp, watches), strict=True))
    return [rows.settled(results[place]) for place in range(len(sources))]


def _together(
    tasks: Sequence[Callable[[], Any]], xp: ModuleType, watches: Sequence[_Stopwatch]
) -> Iterator[Any]:
    """Yield what each task returns, or the error it ends with; on a GPU they are done in step."""

    def done(task: Callable[[], Any]) -> Any:
        try:
            return task()
        except device.GpuMissingError:
            raise
        except (MicrographReadError, StageError) as error:
            return error

    if not namespace.is_cupy(xp):
        yield from map(done, tasks)
        return
    keeping = device.kept()

    def there(task: Callable[[], Any]) -> Any:
        with keeping():
            return done(task)

    before = [dict(watch.seconds) for watch in watches]
    yield from lockstep.run([functools.partial(there, task) for task in tasks])
    for watch, known in zip(watches, before, strict=True):  # all have waited for all
        for name in watch.seconds.keys() - known:
            watch.seconds[name] /= len(watches)


def _alike(described: dict[int, _Described]) -> list[list[int]]:
    """Return the places of micrographs that can share a launch: features of one length on one backend."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, one in described.items():
        kind = (namespace.array_namespace(one.features), one.features.dtype, one.features.shape[1])
        groups.setdefault(kind, []).append(place)
    return list(groups.values())

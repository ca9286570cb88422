"""The stand-in for a GPU finds what it must, and the loader prepares sources as it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from host_cuda import device, sanitizers

from motifgpu.core.errors import StageError
from motifgpu.cuda import affinity, loader, neighbors, patches, relaxation, warmup

FIXTURES = Path(device.__file__).parent / "fixtures"
needs_compiler = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))


def fixture_kernel(name: str, *faults: str, **options):
    code = loader.specialised("barriers", dict.fromkeys(faults, 1), FIXTURES)
    return device.HostDevice(**options).compile(code, name)


def run_sums(*faults: str, n: int = 500, schedule: int = 0, block: int = 128):
    x = np.random.default_rng(5).normal(size=n).astype(np.float32)
    swapped, total, positive = np.zeros_like(x), np.zeros(1, np.float32), np.zeros(1, np.uint32)
    launch = fixture_kernel("sums", *faults, schedule=schedule)
    launch((-(-n // block),), (block,), (x, swapped, total, positive, np.int32(n)), 4 * block // 32)
    return x, swapped, total[0], positive[0]


@needs_compiler
@pytest.mark.parametrize("schedule", range(4))
@pytest.mark.parametrize("block", [32, 128, 256])
def test_shuffles_votes_atomics_and_shared_memory(schedule: int, block: int) -> None:
    x, swapped, total, positive = run_sums(schedule=schedule, block=block)
    np.testing.assert_array_equal(swapped.reshape(-1, 2)[:, ::-1].ravel(), x)
    assert positive == (x > 0).sum()
    np.testing.assert_allclose(total, x.sum(dtype=np.float64), rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize("fault", ["FAULT_DIVERGENT_BARRIER", "FAULT_EARLY_EXIT"])
def test_barrier_that_not_all_reach_is_reported(fault: str) -> None:
    with pytest.raises(RuntimeError, match=r"barrier|different"):
        run_sums(fault)


@needs_compiler
def test_missing_barrier_shows_as_dependence_on_the_order_of_threads() -> None:
    totals = {float(run_sums("FAULT_NO_BARRIER", schedule=s)[2]) for s in range(3)}
    assert len(totals) > 1 or np.isnan(list(totals)).any()


@needs_compiler
def test_unwritten_shared_memory_is_poisoned() -> None:
    y = np.zeros(64, np.float32)
    fixture_kernel("unwritten")((1,), (64,), (y,))
    assert np.flatnonzero(np.isnan(y)).tolist() == [3]


@needs_compiler
def test_wrong_arguments_are_refused() -> None:
    launch, y = fixture_kernel("unwritten"), np.zeros(64, np.float32)
    for bad in (y.astype(np.float64), y[::2]):
        with pytest.raises((TypeError, ValueError), match="argument 0"):
            launch((1,), (64,), (bad,))
    with pytest.raises(TypeError, match="takes 1 argument"):
        launch((1,), (64,), (y, y))
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        launch((1,), (64,), (y,))
    with pytest.raises(TypeError, match=r"argument 4 \(int32\): 500"):
        fixture_kernel("sums")((1,), (32,), (y, y.copy(), y.copy(), np.zeros(1, np.uint32), 500), 4)
    with pytest.raises(RuntimeError, match="2048 threads"):
        launch((1,), (2048,), (y.copy(),))


@needs_compiler
@pytest.mark.parametrize(
    ("grid", "block", "shared", "reason"),
    [
        (0, 128, 0, "a grid of 0"),
        (1, 256, 0, "256 threads .registers for 1 to 128."),
        (1, 128, 48 * 1024, r"\d+ bytes of shared memory .49152 at most."),
        (1, 0, 0, "a block of 0"),
    ],
    ids=["empty-grid", "registers", "shared-memory", "empty-block"],
)
def test_launches_that_a_gpu_refuses_are_refused(grid: int, block: int, shared: int, reason: str) -> None:
    launch = fixture_kernel("bound", shared_bytes=48 * 1024)
    launch((1,), (128,), (np.zeros(256, np.float32),), 46 * 1024)
    with pytest.raises(RuntimeError, match=reason):
        launch((grid,), (block,), (np.zeros(256, np.float32),), shared)


@needs_compiler
def test_kernel_without_launch_bounds_has_registers_for_few_threads() -> None:
    launch = fixture_kernel("static_overrun")
    with pytest.raises(RuntimeError, match=r"512 threads .registers for 1 to 256."):
        launch((1,), (512,), (np.zeros(512, np.float32),))


@needs_compiler
def test_block_that_waits_for_another_is_reported() -> None:
    launch = fixture_kernel("all_at_once")
    launch((1,), (32,), (np.zeros(1, np.int32),))
    with pytest.raises(RuntimeError, match="waits for what another block writes"):
        launch((2,), (32,), (np.zeros(1, np.int32),))


def sanitized_case(kernel: str, *faults: str) -> None:
    """Run in a child process by the tests below."""
    if kernel == "sums":
        run_sums(*faults)
    elif kernel == "between_blocks":
        fixture_kernel(kernel, *faults)((4,), (64,), (np.zeros(512, np.float32), np.int32(256)))
    elif kernel == "last_block":
        y, finished, total = np.zeros(8, np.float32), np.zeros(1, np.int32), np.zeros(1, np.float32)
        fixture_kernel(kernel, *faults)((8,), (32,), (y, finished, total))
        assert total[0] == 8
    elif kernel == "four_at_a_time":
        given = np.zeros(32, np.float32), np.zeros(4, np.float32), np.int32(faults[0])
        fixture_kernel(kernel)((1,), (4,), given)
    else:
        fixture_kernel(kernel, *faults)((1,), (64,), (np.zeros(64, np.float32),))
    print("finished")


SANITIZED = [  # sanitizer, kernel, faults, what the report says (None: nothing may be found)
    pytest.param("address", "sums", "FAULT_SHARED_OVERRUN", "heap-buffer-overflow", id="shared-overrun"),
    pytest.param("address", "sums", "FAULT_GLOBAL_OVERRUN", "heap-buffer-overflow", id="global-overrun"),
    pytest.param("undefined", "sums", "FAULT_SHIFT", "shift exponent", id="shift"),
    pytest.param("undefined", "four_at_a_time", "1", "misaligned address", id="misaligned"),
    pytest.param("undefined", "four_at_a_time", "4", None, id="aligned"),
    pytest.param("thread", "sums", "FAULT_NO_BARRIER", "data race", id="race"),
    pytest.param("thread", "between_blocks", "FAULT_ONE_COPY", "data race", id="race-between-blocks"),
    pytest.param("thread", "between_blocks", "", None, id="between-blocks-clean"),
    pytest.param("thread", "last_block", "FAULT_NO_FENCE_BEFORE", "data race", id="no-fence-before-flag"),
    pytest.param("thread", "last_block", "FAULT_NO_FENCE_AFTER", "data race", id="no-fence-after-flag"),
    pytest.param("thread", "last_block", "", None, id="fences-clean"),
    pytest.param("address", "static_overrun", "", "overflow", id="static-overrun"),
    pytest.param("thread", "warp_race", "FAULT_NO_BARRIER", "data race", id="warp-race"),
    pytest.param("address", "sums", "", None, id="address-clean"),
    pytest.param("undefined", "sums", "", None, id="undefined-clean"),
    pytest.param("thread", "sums", "", None, id="thread-clean"),
    pytest.param("thread", "warp_race", "", None, id="warp-clean"),
]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("sanitizer", "kernel", "fault", "report"), SANITIZED)
def test_sanitizers_find_planted_faults_and_nothing_else(
    sanitizer: str, kernel: str, fault: str, report: str | None
) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case", kernel, *filter(None, [fault]))
    if report is None:
        assert done.returncode == 0, done.stderr
        assert "finished" in done.stdout
    else:
        assert done.returncode == sanitizers.FOUND, (done.returncode, done.stderr)
        assert report in done.stderr


def test_loader_defines_constants_and_pastes_headers_once(tmp_path: Path) -> None:
    (tmp_path / "a.cuh").write_text('#pragma once\n#include "b.cuh"\nint a;\n')
    (tmp_path / "b.cuh").write_text("int b;\n")
    (tmp_path / "stage.cu").write_text('#include "a.cuh"\n#include "b.cuh"\nint c;\n')
    text = loader.specialised("stage", {"WIDTH": 8, "INDEX": "int"}, tmp_path)
    assert [line for line in text.splitlines() if line] == [
        "#define INDEX int",
        "#define WIDTH 8",
        "int b;",
        "int a;",
        "int c;",
    ]


def test_loader_refuses_headers_of_others(tmp_path: Path) -> None:
    (tmp_path / "stage.cu").write_text("#include <cub/cub.cuh>\n")
    with pytest.raises(ValueError, match="cub"):
        loader.source("stage", tmp_path)


def test_loader_compiles_once_for_each_device_and_constants() -> None:
    class Counting:
        name, shared_bytes, multiprocessors = "counting", 48 * 1024, 1

        def __init__(self) -> None:
            self.compiled: list[str] = []

        def compile(self, code: str, kernel: str):
            self.compiled.append(kernel)
            return lambda *args: None

    one, other = Counting(), Counting()
    for it in (one, one, other):
        with loader.running_on(it):
            loader.kernel("affinity", "sort_rows", K=9)
            loader.kernel("affinity", "sort_rows", K=15)
    assert one.compiled == other.compiled == ["sort_rows", "sort_rows"]


def test_index_type_is_as_narrow_as_positions_allow() -> None:
    assert loader.index_type(2**31 - 1) == "int"
    assert loader.index_type(2**31) == "long long"


def test_shared_memory_is_checked_before_a_launch() -> None:
    with (
        loader.running_on(device.HostDevice(shared_bytes=1000)),
        pytest.raises(
            StageError, match="relaxation: 10 vertices needs 1001 bytes of shared memory and host has 1000"
        ),
    ):
        loader.check_shared("relaxation", 1001, "10 vertices", "use the other form")


def test_arrays_are_made_dense_for_kernels() -> None:
    x = np.arange(12.0).reshape(3, 4)
    for given in (x, x.T, x[:, ::2]):
        made = loader.dense(given, np.float32)
        assert made.dtype == np.float32
        assert made.flags.c_contiguous
        np.testing.assert_array_equal(made, given)


def test_warm_up_compiles_every_kernel_once() -> None:
    if device.missing():
        pytest.skip(str(device.missing()))
    host = device.HostDevice()
    with loader.running_on(host):
        assert warmup.run() == 37
        assert warmup.run() == 0
    written = "".join(file.read_text() for file in loader.folder().glob("*.cu"))
    bounds = {name: bound for bound, name in device.KERNEL.findall(written)}
    assert set(host.launches) == bounds.keys()
    assert all(bounds.values()), "a kernel does not say for how many threads it has registers"


def test_every_kernel_file_explains_itself() -> None:
    files = sorted(loader.folder().glob("*.cu"))
    assert files
    for file in files:
        head = file.read_text().split("#define")[0]
        for words in ("H200", "What was tried", "kernel", "Constants:"):
            assert words in head, f"{file.name} does not say: {words}"
        assert 'extern "C" __global__' in file.read_text()


@pytest.mark.parametrize("launcher", [affinity, neighbors, patches, relaxation])
def test_what_launchers_and_kernels_share_stands_in_the_launcher(launcher) -> None:
    text = (loader.folder() / f"{launcher.STAGE}.cu").read_text()
    head = text[text.index("// Constants:") : text.index('extern "C"')]
    for name in launcher.CONSTANTS:
        assert re.search(rf"^//.*\b{name}\b", head, re.MULTILINE), f"the head does not say: {name}"
        assert f"#define {name} " not in text


@needs_compiler
@pytest.mark.parametrize(
    ("launcher", "changed", "reason"),
    [
        (relaxation, {"PLAN_BYTES": relaxation.PLAN_BYTES - 4}, "what the launcher reserves"),
        (relaxation, {"LAW": 6}, "what coefficient"),
        (patches, {"GROUP": 8}, "a group of samples"),
        (neighbors, {"SLACK": 64}, "a buffer is cut"),
    ],
)
def test_constants_that_do_not_fit_do_not_compile(launcher, changed: dict, reason: str) -> None:
    rest = {
        "STAGES": 1,
        "EXPONENTS": "{0,2}",
        "INDEX": "int",
        "VALUE": "float",
        "BLOCKS": 4,
        "K": 9,
        "D": 66,
        "DIM": 66,
        "DEPTH": 6,
    }
    rest |= {"DEPTH": 6, "CHUNKS": 18, "LISTED": 32, "CAPACITY": 192, "UNIT": 1}
    code = loader.specialised(launcher.STAGE, rest | launcher.CONSTANTS | changed)
    with pytest.raises(RuntimeError, match=reason):
        device.HostDevice().compile(code, "any")

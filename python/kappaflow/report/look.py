"""The look that all figures share: sizes, colours, fonts, axes and their encoding.

Nothing here changes matplotlib's global state: :func:`styled` and :func:`save` set their parameters in a context and
leave it again.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Literal, NamedTuple, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKRIGHT
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .._checks import FloatArray
from .._plain_text import plain_text
from .numbers import log_limits
from .words import plain_number, power_of_ten, ratio_text

P = ParamSpec("P")

INK = "#1f2328"  # text and axes
MUTED = "#6e7781"  # guides and secondary text
GUIDE = "#a5adb6"  # reference lines
FAILED = "#9aa0a6"  # networks that fail the gate
ACCENT = "#b3261e"  # the tolerance, and nothing else
GUIDE_LOOK: dict[str, Any] = {"color": GUIDE, "lw": 1.0, "ls": (0, (1, 1.6))}
MARKER = 3.4  # size of a point
WIDTH = 7.4  # inches of every figure, so that text has one size throughout the page
Format = Literal["svg", "png"]
PNG_DPI = 180

# Okabe and Ito's colours, distinct with every common colour vision deficiency, without their yellow, which is too light
# for lines on white. Bands take them in this order; n takes a perceptually ordered ramp instead, so that the two are
# never taken for each other.
BAND_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c3e")
BAND_MARKERS = ("o", "s", "D", "^", "v", "P", "X")

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same page everywhere
    "mathtext.fontset": "dejavusans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.titlepad": 7.0,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.color": "#e7eaee",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.labelspacing": 0.45,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "kappaflow",
    "path.simplify": True,
}


def style() -> AbstractContextManager[None]:
    """A context in which Matplotlib draws with the look of the reports; outside of it nothing changes."""
    context: AbstractContextManager[None] = mpl.rc_context(_RC)
    return context


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under the shared style."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            return draw(*args, **kwargs)

    return wrapper


def save(figure: Figure, formats: Sequence[Format]) -> dict[Format, bytes]:
    """Bytes of a figure in each format; the same figure gives the same bytes (no date, no version, fixed identifiers).

    The layout is solved once and each format is drawn once: ``Figure.savefig`` would draw three times.
    """
    encoded: dict[Format, bytes] = {}
    with style():
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        for label in figure.findobj(Text):
            label.set_text(plain_text(label.get_text()))
        for format in formats:
            figure.set_dpi(PNG_DPI)  # the SVG canvas leaves another
            buffer = io.BytesIO()
            if format == "svg":
                svg: Any = FigureCanvasSVG(figure)
                svg.print_svg(buffer, metadata={"Date": None, "Creator": None})
            else:
                png: Any = FigureCanvasAgg(figure)
                png.print_png(buffer, metadata={"Software": None})
            encoded[format] = buffer.getvalue()
    return encoded


# ---------------------------------------------------------------- colours
def n_colours(count: int) -> list[str]:
    """Colours of `count` training-set sizes, ascending n from light to dark, equal perceptual steps."""
    ramp = mpl.colormaps["viridis"]
    positions = np.linspace(0.80, 0.0, count) if count > 1 else np.array([0.3])
    return [to_hex(ramp(float(x))) for x in positions]


def band_colour(index: int) -> str:
    """Colour of eigenband `index`."""
    return BAND_COLOURS[index % len(BAND_COLOURS)]


def band_marker(index: int) -> str:
    """Marker of eigenband `index`; it changes when the colours start again, so that no pair repeats soon."""
    return BAND_MARKERS[(index + index // len(BAND_COLOURS)) % len(BAND_MARKERS)]


def deviation_map() -> LinearSegmentedColormap:
    """White to dark red-brown: more ink means more disagreement."""
    colours = ["#ffffff", "#fbe3c8", "#f2b26b", "#d9702f", "#9c2f1d", "#4a0d14"]
    return LinearSegmentedColormap.from_list("deviation", colours)


# ---------------------------------------------------------------- axes
#: Size, width and colour of a minor tick, the same on both axes.
_MINOR_TICK = {"ms": "xtick.minor.size", "mew": "xtick.minor.width", "color": "xtick.color"}


class _MinorTicks(Artist):
    """All minor ticks of a logarithmic axis as one artist: made of ticks, they take a third of the time of a figure."""

    def __init__(self, axis: Any, most: int, *, far: bool = False) -> None:
        super().__init__()
        self._axis, self._edge = axis, 1.0 if far else 0.0
        self.at_most(most)
        parameters: Any = mpl.rcParams
        look: Any = {key: parameters[name] for key, name in _MINOR_TICK.items()}
        marker: Any = TICKDOWN if axis.axis_name == "x" else TICKRIGHT if far else TICKLEFT
        self._line = Line2D([], [], ls="", marker=marker, **look)
        self.set_zorder(0.5)  # that of ticks
        self.set_in_layout(False)

    def at_most(self, most: int) -> None:
        """Leave decades out where there would be more."""
        self._locator = LogLocator(base=10, subs=tuple(np.arange(2.0, 10.0)), numticks=most)

    def of(self, axis: Any) -> bool:
        """Whether they are the minor ticks of that axis."""
        return self._axis is axis

    def draw(self, renderer: Any) -> None:
        """Draw them within the limits that the axis has now, major ticks left out."""
        axes, is_x = self._axis.axes, self._axis.axis_name == "x"
        low, high = sorted(self._axis.get_view_interval())
        places = np.asarray(self._locator.tick_values(low, high))
        majors = np.asarray(self._axis.get_majorticklocs())
        inside = (places >= low) & (places <= high) & ~np.isclose(places[:, None], majors, rtol=1e-6).any(axis=1)
        places, edge = places[inside], np.full(int(inside.sum()), self._edge)
        self._line.set_data(*((places, edge) if is_x else (edge, places)))
        self._line.set_transform(axes.get_xaxis_transform("tick1") if is_x else axes.get_yaxis_transform("tick1"))
        self._line.set_figure(axes.get_figure(root=False))
        self._line.draw(renderer)


def _minor_ticks(axis: Any, most: int) -> None:
    """Minor ticks at 2 … 9 times powers of ten on an axis and on those that share it; fewer where they are too many."""
    axis.set_minor_locator(NullLocator())
    name = axis.axis_name
    for axes in getattr(axis.axes, f"get_shared_{name}_axes")().get_siblings(axis.axes):
        own = getattr(axes, f"{name}axis")
        former = [artist for artist in axes.artists if isinstance(artist, _MinorTicks) and artist.of(own)]
        if former:
            former[0].at_most(most)
            continue
        ticks = _MinorTicks(own, most)
        axes.add_artist(ticks)
        ticks.set_clip_on(False)


def log_axis(axis: Any, low: float, high: float, text: Callable[[float], str] | None = None) -> None:
    """Make one axis (``ax.xaxis`` or ``ax.yaxis``) logarithmic from `low` to `high` with ticks that stay readable.

    Up to about two decades the ticks are 1, 2, 5 times powers of ten; beyond, powers of ten alone.
    """
    name = "x" if axis.axis_name == "x" else "y"
    getattr(axis.axes, f"set_{name}scale")("log", nonpositive="mask")
    getattr(axis.axes, f"set_{name}lim")(low, high)
    decades = math.log10(high / low)
    steps: tuple[float, ...] = (1.0, 2.0, 5.0) if decades <= 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=9))
    _minor_ticks(axis, 40 if decades < 8 else 9)
    if text is None:
        text = plain_number if low >= 0.9e-3 and high <= 1.1e5 else power_of_ten
    format_tick = text
    axis.set_major_formatter(FuncFormatter(lambda value, _position: format_tick(value)))


def log_bar(bar: Colorbar, text: str) -> None:
    """The axis of a vertical colour bar with a logarithmic norm, with ticks as on other axes."""
    bar.set_label(text)
    bar.outline.set_linewidth(0.4)
    bar.minorticks_off()
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: power_of_ten(value)))
    ticks = _MinorTicks(bar.ax.yaxis, 40, far=True)
    bar.ax.add_artist(ticks)
    ticks.set_clip_on(False)


def mode_axis(ax: Axes, modes: int) -> None:
    """Logarithmic abscissa of mode numbers 1 … `modes`."""
    log_axis(ax.xaxis, *log_limits(1, max(modes, 2), 0.02 if modes >= 10 else 0.05), text=plain_number)
    ax.set_xlabel("mode k (descending eigenvalue)")


def factor_axis(axis: Any, low: float, high: float) -> None:
    """An axis of ratios around 1 that holds `low` to `high` and 1: linear where all is close to it, else logarithmic."""
    low, high = min(low, 1.0), max(high, 1.0)
    name = "x" if axis.axis_name == "x" else "y"
    if high / low < 1.6:
        pad = max(0.08 * (high - low), 0.004)
        getattr(axis.axes, f"set_{name}lim")(low - pad, high + pad)
        axis.set_major_locator(MaxNLocator(4 if name == "x" else 5, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:.6g}"))
        return
    ratio_axis(axis, low, high)


def ratio_axis(axis: Any, low: float, high: float, *, most: int = 5) -> None:
    """A logarithmic axis from `low` to `high` and little more, with at most so many plain numbers on it."""
    name = "x" if axis.axis_name == "x" else "y"
    span = math.log10(high / low)
    getattr(axis.axes, f"set_{name}scale")("log", nonpositive="mask")
    low, high = low * 10 ** (-0.05 * span), high * 10 ** (0.05 * span)
    getattr(axis.axes, f"set_{name}lim")(low, high)
    axis.set_major_locator(
        FixedLocator(_round_ticks(low, high, most)) if span < 2.2 else LogLocator(base=10, numticks=5)
    )
    _minor_ticks(axis, 12)
    axis.set_major_formatter(FuncFormatter(lambda value, _position: ratio_text(value)))


def _round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two positive ones, at most `most` and as many as possible."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps: list[tuple[float, ...]] = [
        tuple(np.round(np.arange(1.0, 10.0, 0.05), 2)),
        tuple(np.round(np.arange(1.0, 10.0, 0.1), 1)),
        tuple(np.round(np.arange(1.0, 10.0, 0.2), 1)),
        (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
        (1, 1.5, 2, 3, 5, 7),
        (1, 2, 3, 5),
        (1, 2, 5),
        (1, 3),
        (1,),
    ]
    for mantissas in steps:
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas if low <= m * 10.0**e <= high]
        if len(ticks) <= most:
            return ticks
    return ticks


def points(
    ax: Axes, x: FloatArray, y: FloatArray, low: FloatArray, high: FloatArray, *, gid: str, **style: Any
) -> None:
    """Points with vertical bars from `low` to `high`; what is NaN is not drawn."""
    colour = style.pop("color", INK)
    ax.vlines(x, low, high, colors=colour, lw=0.9, alpha=style.get("alpha", 1.0), gid=f"{gid}-bars", zorder=3)
    ax.plot(x, y, ls="", color=colour, gid=gid, zorder=3.5, **{"marker": "o", "ms": MARKER, "mew": 0.0, **style})


def n_handles(n: Sequence[int]) -> list[Line2D]:
    """Legend entries of training-set sizes."""
    return [
        Line2D([], [], color=colour, lw=2.2, label=f"{int(size):,}")
        for size, colour in zip(n, n_colours(len(n)), strict=True)
    ]


# ---------------------------------------------------------------- panels and their legends
class Legend(NamedTuple):
    """What the legend of a panel says."""

    handles: Sequence[Artist] = ()
    title: str | None = None


def n_legend(n: Iterable[int], extra: Sequence[Line2D] = ()) -> Legend:
    """Legend of training-set sizes, and of what else is drawn."""
    return Legend([*n_handles([int(size) for size in n]), *extra], "training images n")


def legend_beside(figure: Figure, legend: Legend) -> None:
    """Put a legend right of all axes, where it covers nothing."""
    figure.legend(handles=list(legend.handles), title=legend.title, loc="outside right upper", alignment="left")


def mark_size(ax: Axes, n: int) -> None:
    """A vertical line at the n of the answer, with its number above the axes."""
    ax.axvline(n, color=GUIDE, lw=0.8, zorder=0)
    ax.annotate(
        f"n = {n:,}",
        (n, 1.0),
        (0, 4),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=MUTED,
        fontsize=9,
    )


def legend_below(figure: Figure, handles: Sequence[Artist], *, columns: int = 4) -> None:
    """Put a legend below all axes, where it covers nothing."""
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=min(columns, len(handles)), columnspacing=1.4
    )


def stacked(upper: Axes) -> None:
    """Leave the names and numbers of the abscissa to the panel below."""
    upper.set_xlabel("")
    upper.tick_params(which="both", labelbottom=False)

# ruff: noqa: INP001, S603  # a script beside its data; it starts npm with constants only
"""Rebuild the fonts of this folder from the npm packages they come from: `python build.py` (needs npm, fonttools, brotli).

A tool for maintainers, never run by the product. Every face is cut to what slides need and stripped of hinting, which the
rasteriser ignores; outlines are untouched. Faces under a Reserved Font Name may not be cut and keep that name, so none is
in the list (Noto Sans SC reserves only "Source").
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).resolve().parent
# Handwriting faces carry hundreds of alternates behind `calt` that nobody misses on a slide.
PLAIN = ("kern", "mark", "ccmp", "locl")
FEATURES = ("kern", "mark", "mkmk", "ccmp", "locl", "liga", "calt", "case", "tnum", "rlig", "frac")

LATIN = [*range(0x20, 0x7F), *range(0xA0, 0x180), 0x192, *range(0x218, 0x21C), *range(0x2C6, 0x2DE)]
MARKS = [0x300, 0x301, 0x302, 0x303, 0x304, 0x306, 0x307, 0x308, 0x30A, 0x30B, 0x30C, 0x327, 0x328]
GREEK = [*range(0x370, 0x400)]
CYRILLIC = [*range(0x400, 0x460), *range(0x490, 0x500), *range(0x510, 0x530)]
VIETNAMESE = [*range(0x1EA0, 0x1EFA), 0x1A0, 0x1A1, 0x1AF, 0x1B0]
SIGNS = [
    *range(0x2000, 0x2070), *range(0x2070, 0x20A0), *range(0x20A0, 0x20C1), *range(0x2100, 0x2150),
    *range(0x2150, 0x2190),
    *range(0x2190, 0x2200), *range(0x2200, 0x2300), *range(0x2318, 0x2330), *range(0x2460, 0x2500), *range(0x25A0, 0x2600),
    0x2605, 0x2606, 0x2610, 0x2611, 0x2660, 0x2661, 0x2663, 0x2665, 0x2666, 0x2713, 0x2717, 0x2716, 0x2764, 0xFFFD, 0xFB01,
    0xFB02,
]  # fmt: skip
EUROPE = [*LATIN, *MARKS, *GREEK, *CYRILLIC, *VIETNAMESE, *SIGNS]
# A display face leaves signs to Inter.
DISPLAY = [
    *LATIN, *MARKS, *GREEK, *CYRILLIC, *VIETNAMESE, *range(0x2010, 0x2028), *range(0x2030, 0x203B), 0x2044, 0x20AC, 0x20B4,
    0x20B8,     0x20BA, 0x20BD, 0x2116, 0x2122, *range(0x2190, 0x2194), 0x2212, 0xFB01, 0xFB02,
]  # fmt: skip
ARABIC = [
    *range(0x20, 0x40),
    *range(0xA0, 0xC0),
    *range(0x600, 0x780),
    *range(0x2000, 0x2040),
    *range(0xFDF0, 0xFE00),
    0x25CC,
]


def _gb2312() -> list[int]:
    """Every character of GB 2312, kana and full-width forms included."""
    rows = [bytes((high, low)) for high in range(0xA1, 0xF8) for low in range(0xA1, 0xFF)]
    found = {ord(text) for row in rows if len(text := row.decode("gb2312", errors="ignore")) == 1}
    return sorted(found | set(range(0x3000, 0x3040)) | set(range(0xFF01, 0xFF5F)))


@dataclass(frozen=True)
class Source:
    """One face: `file` of npm `package`, cut to `unicodes` (None keeps all)."""

    name: str
    package: str
    version: str
    file: str
    licence: str
    unicodes: tuple[int, ...] | None = tuple(EUROPE)
    features: tuple[str, ...] = FEATURES
    drop: tuple[str, ...] = ()


def _google(
    name: str, package: str, version: str, folder: str, stem: str, features: tuple[str, ...] = FEATURES
) -> Source:
    file = f"{folder}/{stem}_{folder}.ttf"
    return Source(name, f"@expo-google-fonts/{package}", version, file, "LICENSE_FONT", tuple(DISPLAY), features)


def _noto(family: str, script: str, unicodes: tuple[int, ...] | None = None) -> Source:
    package = f"noto-{family.lower()}-{script.lower()}"
    return Source(
        f"Noto{family}{script}", f"@fontsource-variable/{package}", "5.3.0",
        f"files/{package}-{script.lower()}-wght-normal.woff2", "LICENSE", unicodes=unicodes, features=("*",),
    )  # fmt: skip


def _chinese(family: str) -> Source:
    stem = f"Noto{family}SC"
    return Source(
        f"{stem}-Medium", f"@expo-google-fonts/noto-{family.lower()}-sc", "0.4.3", f"500Medium/{stem}_500Medium.ttf",
        "LICENSE_FONT", unicodes=tuple(_gb2312()), features=("kern", "ccmp", "locl", "palt"),
    )  # fmt: skip


SOURCES = (
    Source("Inter", "inter-ui", "4.1.1", "variable/InterVariable.woff2", "LICENSE.txt"),
    _noto("Sans", "Arabic", tuple(ARABIC)),
    _noto("Sans", "Hebrew"),
    _noto("Sans", "Devanagari"),
    _noto("Sans", "Thai"),
    _chinese("Sans"),
    _noto("Naskh", "Arabic", tuple(ARABIC)),
    _noto("Serif", "Hebrew"),
    _noto("Serif", "Devanagari"),
    _noto("Serif", "Thai"),
    _chinese("Serif"),
    Source(
        "NotoColorEmoji",
        "@fontsource/noto-color-emoji",
        "5.3.2",
        "files/noto-color-emoji-emoji-400-normal.woff2",
        "LICENSE",
        unicodes=None,
        drop=("SVG ",),
        features=("*",),
    ),
    _google("NotoSerifDisplay-SemiBold", "noto-serif-display", "0.4.2", "600SemiBold", "NotoSerifDisplay"),
    _google(
        "SofiaSansExtraCondensed-Black", "sofia-sans-extra-condensed", "0.4.2", "900Black", "SofiaSansExtraCondensed"
    ),
    _google("JetBrainsMono-Regular", "jetbrains-mono", "0.4.1", "400Regular", "JetBrainsMono"),
    _google("JetBrainsMono-Bold", "jetbrains-mono", "0.4.1", "700Bold", "JetBrainsMono"),
    _google("Cormorant-SemiBold", "cormorant", "0.4.2", "600SemiBold", "Cormorant"),
    _google("ShantellSans-ExtraBold", "shantell-sans", "0.4.1", "800ExtraBold", "ShantellSans", PLAIN),
    _google("Nunito-SemiBold", "nunito", "0.4.2", "600SemiBold", "Nunito"),
    _google("Literata-Regular", "literata", "0.4.3", "400Regular", "Literata"),
    _google("Literata-Bold", "literata", "0.4.3", "700Bold", "Literata"),
    _google("Jost-Bold", "jost", "0.4.2", "700Bold", "Jost"),
    _google("Jost-Regular", "jost", "0.4.2", "400Regular", "Jost"),
    _google("Caveat-Bold", "caveat", "0.4.2", "700Bold", "Caveat", PLAIN),
    _google("Unbounded-Bold", "unbounded", "0.4.1", "700Bold", "Unbounded"),
    _google("Onest-ExtraBold", "onest", "0.4.2", "800ExtraBold", "Onest"),
    _google("Onest-Regular", "onest", "0.4.2", "400Regular", "Onest"),
    _google("Manrope-ExtraBold", "manrope", "0.4.2", "800ExtraBold", "Manrope"),
)


def _fetch(source: Source, work: Path) -> Path:
    """Download and unpack the package once; return its folder."""
    folder = work / source.package.replace("/", "_")
    if not folder.exists():
        folder.mkdir()
        command = ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
        packed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
            archive.extractall(folder, filter="data")
    return folder / "package"


def _cut(source: Source, path: Path) -> TTFont:
    font = TTFont(path, recalcTimestamp=False)
    for table in source.drop:
        del font[table]
    options = subset.Options(
        layout_features=list(source.features), hinting=False, desubroutinize=False, notdef_outline=True, legacy_kern=False,
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], drop_tables=["DSIG", "FFTM", "meta", "STAT", "vhea", "vmtx", "VORG", "BASE"],
    )  # fmt: skip
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=font.getBestCmap() if source.unicodes is None else source.unicodes)
    cutter.subset(font)
    font.flavor = None
    return font


def main() -> None:
    """Write every face, its licence and FONTS.md into this folder."""
    lines = [
        "# Fonts", "",
        "All under the SIL Open Font License 1.1; a licence stands beside each face. `build.py` makes them anew.", "",
        "Changed in every face: cut to the characters slides need, hinting and unused tables dropped, stored as TrueType.", "",
        "| file | from (npm) | version | also changed | bytes | sha256 |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        for source in SOURCES:
            package = _fetch(source, Path(work))
            version = json.loads((package / "package.json").read_text())["version"]
            target = HERE / f"{source.name}.ttf"
            _cut(source, package / source.file).save(target)
            shutil.copyfile(package / source.licence, HERE / f"{source.name}.LICENSE.txt")
            data = target.read_bytes()
            also = ", ".join(f"table {table.strip()} dropped" for table in source.drop) or "nothing"
            digest = hashlib.sha256(data).hexdigest()
            lines.append(f"| {target.name} | {source.package} | {version} | {also} | {len(data)} | `{digest}` |")
    (HERE / "FONTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

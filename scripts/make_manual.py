#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes HTML of README and wiki, for machines without a network: make_manual.py FOLDER

Each page is one file with its style inside, and pictures lie beside it. Fails if a link between pages leads nowhere: no such
page, heading or picture.
Uses cmark-gfm, GitHub's own Markdown.
"""
import html
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = {ROOT / "README.md": "index.html", **{page: page.stem + ".html" for page in sorted((ROOT / "wiki").glob("*.md"))}}
STYLE = """body{max-width:60em;margin:2em auto;padding:0 1em;font:16px/1.5 sans-serif;color:#222;background:#fff}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top}
pre,code{font-family:monospace;background:#f4f4f4}pre{padding:.6em;overflow:auto}img{max-width:100%}a{color:#06c}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre,code{background:#262626}a{color:#7bf}}"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><p><a href="Home.html">Marrow: the manual</a></p>
{body}</body></html>
"""


def anchor(heading: str) -> str:
    """Returns the name that GitHub gives to a heading, from its HTML."""
    text = html.unescape(re.sub(r"<[^>]+>", "", heading)).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


class Page:
    def __init__(self, source: pathlib.Path):
        self.source, self.anchors = source, set()
        run = subprocess.run(["cmark-gfm", "-e", "table", "-e", "strikethrough", str(source)], capture_output=True, text=True, check=True)
        self.body = re.sub(r"<h([1-6])>(.*?)</h\1>", self.heading, run.stdout, flags=re.S)
        self.title = html.unescape(re.sub(r"<[^>]+>", "", re.search(r"<h1[^>]*>(.*?)</h1>", self.body, re.S)[1]))

    def heading(self, found: re.Match) -> str:
        name, number = anchor(found[2]), 1
        while name in self.anchors:
            name, number = f"{anchor(found[2])}-{number}", number + 1
        self.anchors.add(name)
        return f'<h{found[1]} id="{name}">{found[2]}</h{found[1]}>'

    def link(self, target: str, pages: dict, wrong: list[str]) -> str:
        """Returns where a link of this page leads in the manual. A file that is no page becomes its path in the tree."""
        if re.match(r"[a-z]+:", target):
            return target
        path, _, part = target.partition("#")
        file = (self.source.parent / path).resolve() if path else self.source
        page = pages.get(file)
        if not file.exists() or part and page and part not in page.anchors:
            wrong.append(f"{self.source.relative_to(ROOT)}: {target} leads nowhere")
        if page is None:
            return ""
        return PAGES[file] + (f"#{part}" if part else "")

    def write(self, folder: pathlib.Path, pages: dict, wrong: list[str]) -> None:
        def linked(found: re.Match) -> str:
            target = self.link(html.unescape(found[1]), pages, wrong)
            return f'<a href="{html.escape(target)}">{found[2]}</a>' if target else found[2]

        def shown(found: re.Match) -> str:
            picture = self.source.parent / html.unescape(found[1])
            if not picture.is_file():
                wrong.append(f"{self.source.relative_to(ROOT)}: the picture {found[1]} is missing")
                return ""
            shutil.copyfile(picture, folder / picture.name)
            return f'<img src="{html.escape(picture.name)}"{found[2]}>'
        body = re.sub(r'<img src="([^":]*)"(.*?)>', shown, self.body)
        body = re.sub(r'<a href="([^"]*)">(.*?)</a>', linked, body, flags=re.S)
        (folder / PAGES[self.source]).write_text(PAGE.format(title=html.escape(self.title), style=STYLE, body=body))


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pages = {source: Page(source) for source in PAGES}
    wrong: list[str] = []
    for page in pages.values():
        page.write(folder, pages, wrong)
    if wrong:
        sys.exit("manual: " + "\nmanual: ".join(wrong))


if __name__ == "__main__":
    main()

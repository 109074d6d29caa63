#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The built-in page in headless Chromium: with the hosted twin and its model, and with answers that tests choose.

Usage: page.py [--model FILE.gguf] [--screenshot FILE.png] [--only CASE]   starts and stops the hosted twin
Needs the Debian packages chromium and chromium-driver. Prints TAP; exit status 1 on failure.
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request

from browser import ENTER, ESCAPE, SHIFT, UP, Browser, free_port, process
from page_stand_in import stand_in

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DONE = "return document.querySelector('#stop').disabled"  # no answer is under way
STATUS = "return document.querySelector('#status').innerText.includes(arguments[0])"
LAST = ".under:last-child"
ALLOWED = {"DIV", "P", "STRONG", "EM", "DEL", "CODE", "PRE", "SPAN", "BUTTON", "A", "UL", "OL", "LI", "BLOCKQUOTE", "TABLE", "TR", "TH",
           "TD", "HR", "BR", "H3", "H4", "H5", "H6", "DETAILS", "SUMMARY", "ARTICLE"}


class Page:
    """What a test uses: the browser `b`, the stand-in server `s`, the twin's addresses, a folder for files."""

    def __init__(self, browser, server, twin, options, folder):
        self.b, self.s, self.twin, self.options, self.folder = browser, server, twin, options, folder

    def fresh(self, url=None):
        """The page without anything that earlier tests left in the browser."""
        self.s.key = ""
        self.s.asked.clear()
        self.b.open(url or self.s.url)
        self.b.run("localStorage.clear(); sessionStorage.clear(); memory.clear()")
        self.reload(url)

    def reload(self, url=None):
        self.b.open(url or self.s.url)
        self.b.wait("return document.querySelector('#model').value", 60, "the list of models")

    def say(self, text, seconds=120):
        self.b.type("#input", text + ENTER)
        self.b.wait(DONE, seconds, "the end of the answer")

    def answer(self):
        return self.b.run("const all = document.querySelectorAll('.turn.assistant'); return all[all.length - 1]?.innerText ?? ''")

    def turns(self):
        return self.b.run("return [...document.querySelectorAll('.turn')].map(t => t.innerText.trim())")

    def press(self, label, where=""):
        """Clicks the button that a screen reader calls `label`."""
        for element in self.b.find_all(where + " button"):
            if self.b.label(element) == label:
                self.b.ask("POST", element + "/click", {})
                return
        raise AssertionError(f"no button {label}")

    def settings(self, **fields):
        self.b.click("#settings")
        for name, value in fields.items():
            self.b.fill("#" + name, value)
        self.b.click("#close")


# ---- with the twin ---------------------------------------------------------------------------------------------

def shows_model_and_context(p):
    p.fresh(p.twin)
    p.b.wait("return /\\d/.test(document.querySelector('#context').innerText)", 60, "the context's size")
    model = p.b.text("#model")
    assert "SmolLM2" in model and "MB" in model and "loaded" in model, model
    outside = p.b.run("return performance.getEntriesByType('resource').map(e => e.name)"
                      ".filter(n => !n.startsWith(location.origin))")
    assert outside == [], f"asked of others: {outside}"


def streams_an_answer(p):
    p.b.type("#input", "Write one sentence about the sea." + ENTER)
    lengths = set()
    end = time.time() + 120
    while time.time() < end:
        lengths.add(len(p.answer()))
        if len(lengths) > 5 and p.b.run(DONE):
            break
        time.sleep(0.02)
    p.b.wait(DONE, 60, "the end of the answer")
    assert len(lengths) > 3, f"the answer came at once: {lengths}"
    assert len(p.answer()) > 10
    assert "tokens/s" in p.b.text(LAST) and "in context" in p.b.text(LAST), p.b.text(LAST)
    if p.options.screenshot:
        p.b.screenshot(p.options.screenshot)


def stops(p):
    p.b.type("#input", "Count from one to one thousand." + ENTER)
    p.b.wait("return !document.querySelector('#stop').disabled", 60, "the start of the answer")
    time.sleep(1)
    p.b.click("#stop")
    p.b.wait(DONE, 60, "the stop")
    before = p.answer()
    time.sleep(1)
    assert p.answer() == before, "text came after the stop"


def loads_a_model_by_its_first_message(p):
    p.fresh(p.twin)
    request = urllib.request.Request(p.twin.replace("https", "http") + "v1/models/unload", b"{}", {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()
    p.reload(p.twin)
    p.b.wait("return document.querySelector('#context').innerText.includes('first message')", 60, "the hint")
    p.settings(max_tokens="3")
    p.say("Hello", 120)
    assert p.answer()
    p.b.wait("return /\\d/.test(document.querySelector('#context').innerText)", 60, "the loaded model's context")


# ---- with chosen answers ---------------------------------------------------------------------------------------

def sends_what_is_set(p):
    p.fresh()
    assert "98 MB" in p.b.text("#model") and "2.1 GB" in p.b.text("#model"), p.b.text("#model")
    p.say("plain")
    assert "temperature" not in p.s.asked[0] and "seed" not in p.s.asked[0] and p.s.asked[0]["model"] == "Thinker"
    p.settings(system="Be brief.", temperature="0.25", max_tokens="77", seed="12345678901234")
    p.b.run("const m = document.querySelector('#model'); m.value = 'Other'; m.onchange()")
    p.say("again")
    asked = p.s.asked[1]
    assert (asked["temperature"], asked["max_tokens"], asked["seed"], asked["model"]) == (0.25, 77, 12345678901234, "Other"), asked
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."} and len(asked["messages"]) == 4
    p.settings(temperature="9")
    assert p.b.run("return document.querySelector('dialog').open"), "a wrong temperature was taken"
    p.b.type("#temperature", ESCAPE)
    p.say("third")
    assert p.s.asked[2].get("temperature") != 9, "a temperature that is out of range was sent"


def folds_thoughts(p):
    p.fresh()
    p.say("think")
    assert p.b.run("return !document.querySelector('details').open")
    assert p.answer() == "Thoughts\n\nSo: yes." or p.answer() == "Thoughts\nSo: yes.", p.answer()
    p.b.click("summary")
    assert "First this. Then that." in p.answer()
    p.say("plain")
    assert p.s.asked[1]["messages"][1] == {"role": "assistant", "content": "So: *yes*."}, "thoughts are no part of the conversation"


def regenerates(p):
    p.fresh()
    p.say("plain")
    p.press("Ask for another answer")
    p.b.wait(DONE, 60, "the second answer")
    assert p.turns() == ["plain", "answer 2 to plain"], p.turns()
    assert p.s.asked[0]["messages"] == p.s.asked[1]["messages"]


def edits_messages(p):
    p.fresh()
    p.say("one")
    p.say("two")
    p.press("Edit this message and ask again")
    p.b.fill(".turn textarea", "three" + ENTER)
    p.b.wait(DONE, 60, "the new answer")
    assert p.turns() == ["three", "answer 3 to three"], p.turns()
    p.press("Edit this answer")
    p.b.fill(".turn textarea", "mine")
    p.press("Keep the changed answer")
    assert p.turns() == ["three", "mine"] and len(p.s.asked) == 3
    p.press("Edit this answer")
    p.b.type(".turn textarea", "not this" + ESCAPE)
    assert p.turns() == ["three", "mine"], p.turns()
    p.b.type("#input", UP)
    p.b.wait("return document.querySelector('.turn.user textarea')", 60, "the editor by arrow up")


def copies(p):
    p.fresh()
    p.say("code")
    p.b.run("navigator.clipboard.writeText = async text => { window.copied = text; }")
    p.press("Copy this code")
    assert p.b.run("return window.copied") == "echo one"
    p.press("Copy this message", LAST)
    assert p.b.run("return window.copied") == "Run:\n\n```sh\necho one\n```\n"
    # Without https there is no clipboard.
    p.b.run("navigator.clipboard.writeText = async () => { throw new Error('no'); };"
            "document.execCommand = () => { window.copied = document.activeElement.value; return true; }")
    p.press("Copy this code")
    p.b.wait("return window.copied === 'echo one'", 60, "the copy of a selection")


def saved(folder, name):
    end = time.time() + 60
    while not (folder / name).exists():
        assert time.time() < end, f"no {name} in {[f.name for f in folder.iterdir()]}"
        time.sleep(0.1)
    return (folder / name).read_text()


def exports_and_imports(p):
    p.fresh()
    p.settings(system="Be brief.")
    p.say("plain / text")
    p.b.click("#markdown-file")
    text = saved(p.folder, "plain  text.md")
    assert text == "# plain / text\n\n## System\n\nBe brief.\n\n## You\n\nplain / text\n\n## Thinker\n\nanswer 1 to plain / text\n", text
    p.b.click("#json-file")
    kept = json.loads(saved(p.folder, "plain  text.json"))
    assert [m["role"] for m in kept["messages"]] == ["user", "assistant"] and kept["settings"]["system"] == "Be brief."
    assert "key" not in json.dumps(kept).lower()
    p.fresh()
    p.b.type("#file", str(p.folder / "plain  text.json"))
    p.b.wait("return document.querySelectorAll('.turn').length === 2", 60, "the imported conversation")
    for number, wrong in enumerate(("[]", "no json", "{}", '{"messages":[{"role":"system","content":"x"},{"role":"user","content":5},null]}')):
        path = p.folder / f"wrong{number}.json"
        path.write_text(wrong)
        p.b.type("#file", str(path))
        p.b.wait(STATUS, 60, "the refusal", path.name)
    assert len(p.turns()) == 2


def keeps_conversations(p):
    p.fresh()
    p.say("about apples")
    p.press("New chat")
    p.say("about pears")
    p.reload()
    names = "return [...document.querySelectorAll('#chats .open')].map(b => b.innerText)"
    assert p.b.run(names) == ["about pears", "about apples"]
    p.press("about apples")
    assert p.turns()[0] == "about apples"
    p.press("Rename about apples")
    p.b.run("document.querySelector('#chats input').value = 'Fruit'")
    p.b.type("#chats input", ENTER)
    assert "Fruit" in p.b.run(names), p.b.run(names)
    p.b.type("#search", "apples")
    assert p.b.run(names) == ["Fruit"], "found by its text"
    p.b.fill("#search", "nothing like it")
    assert "Nothing found" in p.b.text("#chats")
    p.b.fill("#search", "")
    p.b.run("document.querySelector('#search').oninput()")
    p.press("Delete Fruit")
    assert p.b.run(names) == ["about pears"]
    p.press("Bring it back")
    assert p.turns()[0] == "about apples" and len(p.b.run(names)) == 2
    p.press("Delete Fruit")
    p.reload()
    assert p.b.run(names) == ["about pears"]


def survives_what_it_finds_stored(p):
    p.fresh()
    p.b.run("localStorage.setItem('marrow.chat.a', '{'); localStorage.setItem('marrow.chat.b', '{\"messages\": 5}');"
            "localStorage.setItem('marrow.chat.c', '{\"messages\": [{\"role\": \"user\", \"content\": \"good\"}], \"title\": {\"x\": 1}}')")
    p.reload()
    assert p.b.run("return allChats().length") == 1
    p.b.run("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    p.b.type("#input", "plain" + ENTER)
    p.b.wait("return document.querySelectorAll('.turn').length === 2 && " + DONE[7:], 60, "an answer without storage")
    assert p.answer().startswith("answer") and p.b.run("return allChats().length") == 2


def says_what_to_do(p):
    p.fresh()
    for question, words in (("context", "Start a new chat"), ("unknown", "Choose another one above"), ("busy", "Try again in a moment"),
                            ("failing", "shorter conversation")):
        p.say(question)
        assert words in p.b.text("#status"), p.b.text("#status")
        assert p.b.run("return document.querySelector('#status').getAttribute('role')") == "alert"
        assert p.turns() == [] and p.b.run("return document.querySelector('#input').value") == question, "the message is lost"
        p.b.fill("#input", "")
    assert p.b.run("return allChats().length") == 0


def asks_for_a_key(p):
    p.fresh()
    p.s.key = "secret"
    p.b.open(p.s.url)
    p.b.wait(STATUS, 60, "the wish for a key", "wants an API key")
    p.press("Open the settings")
    p.b.type("#key", "secret")
    p.b.click("#close")
    p.b.wait("return document.querySelector('#model').value", 60, "the models")
    p.say("plain")
    assert p.answer() == "answer 1 to plain"
    assert p.b.run("return JSON.stringify(localStorage)").find("secret") < 0, "the key outlives its tab"


def goes_on_with_what_was_cut(p):
    p.fresh()
    p.say("long")
    assert "limit of tokens" in p.b.text(LAST), p.b.text(LAST)
    p.press("Let the model go on")
    p.b.wait(DONE, 60, "the rest")
    assert p.answer() == "The first half, and the second", p.answer()
    assert p.s.asked[1]["messages"][-1] == {"role": "assistant", "content": "The first half"}
    p.say("cut")
    assert "connection to the server was lost" in p.b.text("#status"), p.b.text("#status")
    assert p.answer() == "Half of it" and "not complete" in p.b.text(LAST), (p.answer(), p.b.text(LAST))


def obeys_keys(p):
    p.fresh()
    p.b.type("#input", "one" + SHIFT + ENTER + SHIFT + "two")
    assert p.b.run("return document.querySelector('#input').value") == "one\ntwo" and p.s.asked == []
    p.b.fill("#input", "slow" + ENTER)
    p.b.wait("return document.querySelector('.assistant')?.innerText.includes('begun')", 60, "the first words")
    p.b.type("#input", ESCAPE)
    p.b.wait(DONE, 60, "the stop")
    assert "begun" in p.answer() and "stopped" in p.b.text(LAST)
    # What was not answered at all comes back.
    p.b.type("#input", "silent" + ENTER)
    p.b.wait("return !document.querySelector('#stop').disabled", 60, "the question")
    p.b.type("#input", ESCAPE)
    p.b.wait(DONE, 60, "the stop")
    assert p.b.run("return document.querySelector('#input').value") == "silent" and len(p.turns()) == 2


def refuses_files(p):
    p.fresh()
    p.b.run("const data = new DataTransfer(); data.items.add(new File(['x'], 'x.png', {type: 'image/png'}));"
            "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, cancelable: true}))")
    p.b.wait(STATUS, 60, "the refusal of a picture", "cannot be attached")


def renders_markdown(p):
    p.fresh()
    text = ("# Title\n\n**bold** *slanted* ~~gone~~ and `code`\n\n- one\n- two\n  1. deep\n\n3. three\n\n> quoted\n\n---\n"
            "| a | b |\n|---|--:|\n| 1 | **2** |\n\n```c\nx < 1\n```\n[site](https://example.org/a) snake_case_name 2*3*4 \\*plain\\*")
    html = p.b.run("const d = document.createElement('div'); markdown(d, arguments[0]); return d.innerHTML", text)
    for part in ("<h3>Title</h3>", "<strong>bold</strong>", "<em>slanted</em>", "<del>gone</del>", "<code>code</code>", "<li><p>one</p></li>",
                 "<ol start=\"1\"><li><p>deep</p></li></ol>", "<ol start=\"3\">", "<blockquote><p>quoted</p></blockquote>", "<hr>",
                 "<td><strong>2</strong></td>", "x &lt; 1", "<span>c</span>", "href=\"https://example.org/a\"", "snake_case_name", "*plain*"):
        assert part in html, f"no {part} in {html}"


def runs_nothing_that_a_model_writes(p):
    p.fresh()
    p.say("hostile")
    tags = set(p.b.run("return [...document.querySelectorAll('#log *')].map(e => e.tagName)"))
    assert tags <= ALLOWED, tags - ALLOWED
    links = p.b.run("return [...document.querySelectorAll('#log a')].map(a => a.href)")
    assert links and all(link.startswith("https://example.org/") for link in links), links
    attributes = set(p.b.run("return [...document.querySelectorAll('#log *')].flatMap(e => e.getAttributeNames())"))
    assert not any(name.startswith("on") for name in attributes), attributes
    p.say("deep")
    assert "x" in p.answer()
    time.sleep(0.5)
    assert p.b.run("return window.ran ?? 0") == 0
    # A second line of defence: the page's policy takes no other script, and no text as HTML.
    refused = p.b.run("const made = []; for (const act of [() => { document.body.innerHTML = '<b>'; }, () => { const s = "
                      "document.createElement('script'); s.textContent = 'window.ran = 9'; document.body.append(s); }])"
                      "{ try { act(); made.push('done'); } catch (error) { made.push(error.name); } } return made")
    assert refused == ["TypeError", "TypeError"], refused
    assert p.b.run("return window.ran ?? 0") == 0
    p.b.problems()  # the policy's own complaints about this test


def fits_a_phone_and_both_themes(p):
    p.fresh()
    p.say("hostile")
    assert p.b.run("return getComputedStyle(document.querySelector('nav')).display") == "flex"
    p.b.size(500, 800)  # the least that a window of Chromium may have
    p.b.wait("return getComputedStyle(document.querySelector('nav')).display === 'none'", 60, "the narrow page")
    assert p.b.run("return document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    p.b.click("#menu")
    assert p.b.run("return getComputedStyle(document.querySelector('nav')).display") == "flex"
    p.b.type("#search", ESCAPE)
    assert p.b.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    p.b.size(1000, 900)
    colours = []
    for theme in ("light", "dark"):
        p.b.run("const t = document.querySelector('#theme'); t.value = arguments[0]; t.onchange({target: t})", theme)
        colours.append(p.b.run("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1], colours
    p.reload()
    assert p.b.run("return getComputedStyle(document.body).backgroundColor") == colours[1], "the theme is forgotten"


def names_everything_for_screen_readers(p):
    p.fresh()
    p.say("code")
    for where in ("body > :not(dialog)", "dialog"):
        for element in p.b.find_all(", ".join(f"{where} {tag}" for tag in ("button", "textarea", "input", "select", "main")) + f", {where}:is(nav, dialog)"):
            shown = p.b.ask("GET", element + "/displayed")
            assert not shown or p.b.label(element), f"without a name: {p.b.ask('GET', element + '/property/outerHTML')}"
        p.b.click("#settings" if where != "dialog" else "#close")
    assert p.b.run("return document.querySelector('#log').ariaBusy") == "false"


def says_nothing_bad(p):
    # While the model loads, /health says 503: the page asks again, the browser grumbles.
    problems = [m for m in p.b.problems() if "favicon" not in m and "/health" not in m and "status of 4" not in m and "ERR_" not in m]
    assert problems == [], problems


TESTS = [shows_model_and_context, streams_an_answer, stops, loads_a_model_by_its_first_message, sends_what_is_set, folds_thoughts,
         regenerates, edits_messages, copies, exports_and_imports, keeps_conversations, survives_what_it_finds_stored, says_what_to_do,
         asks_for_a_key, goes_on_with_what_was_cut, obeys_keys, refuses_files, renders_markdown, runs_nothing_that_a_model_writes,
         fits_a_phone_and_both_themes, names_everything_for_screen_readers, says_nothing_bad]


def run_all(page, only):
    tests = [t for t in TESTS if only in t.__name__]
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test(page)
            print(f"ok {number} - page.{test.__name__}", flush=True)
        except (AssertionError, OSError, KeyError, IndexError) as error:
            failed += 1
            detail = error.read().decode()[:300] if isinstance(error, urllib.error.HTTPError) else ""
            print(f"#   {error} {detail}\nnot ok {number} - page.{test.__name__}", flush=True)
    print(f"1..{len(tests)}\n{len(tests) - failed} passed, {failed} failed")
    return 1 if failed or not tests else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=str(ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--screenshot", default="")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    missing = [f"{tool} (apt-get install {package})" for tool, package in
               (("chromium", "chromium"), ("chromedriver", "chromium-driver")) if not shutil.which(tool)]
    if missing:
        sys.exit("page.py needs " + " and ".join(missing))
    server, driver = free_port(), free_port()
    twin = [str(ROOT / "build/host/marrow"), f"model={options.model}", f"http.port={server}", "admin=open", "run=serve"]
    with process(twin, server), process(["chromedriver", f"--port={driver}"], driver), tempfile.TemporaryDirectory() as folder, \
            stand_in(f"http://127.0.0.1:{server}") as stand:
        browser = Browser(f"http://127.0.0.1:{driver}", folder)
        try:
            return run_all(Page(browser, stand, f"https://127.0.0.1:{server}/", options, pathlib.Path(folder)), options.only)
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(main())

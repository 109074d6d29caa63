#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes tests/goldens/templates/*.json: chat templates and their output from Jinja.

usage: templates.py [SHARED_TEMPLATES_DIRECTORY] [MODEL.gguf...]
Needs the PyPI package jinja2, and gguf for models. The environment is that of Hugging Face
transformers (utils/chat_template_utils.py): sandboxed, trim_blocks, lstrip_blocks, loop controls,
tojson without HTML escapes, raise_exception, strftime_now. Three files are written:
language.json  small pieces of template language
chat.json      templates in the manner of real ones, with conversations
shared.json    only inputs and results: the templates are files of that directory or of the models
"""
import datetime
import functools
import json
import os
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "tests/goldens/templates")
NOW = 1747484696  # Saturday 17 May 2025, 12:24:56 UTC

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Current weather of a city.",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Name of the city, e.g. \"Zürich\""},
            "units": {"type": "string", "enum": ["metric", "imperial"], "description": "Units"},
            "days": {"type": "integer", "description": "Days ahead", "default": 1}},
            "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds <two> & more numbers",
        "parameters": {"type": "object", "properties": {
            "terms": {"type": "array", "items": {"type": "number"}, "description": "Terms", "min": 0.5}}}}},
]
CALL = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call12345", "type": "function", "function": {
        "name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "exact": 1.5, "deep": {"a": [1, None, True]}}}}]}
ANSWER = {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": "{\"temperature\": 21}"}
CONVERSATIONS = {
    "one": dict(messages=[{"role": "user", "content": "Hello"}]),
    "system": dict(messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi there! \n"}]),
    "turns": dict(messages=[{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"},
                            {"role": "user", "content": "and\n\n<b>'quotes'</b> \"x\" ünïcödé 😀"}]),
    "closed": dict(messages=[{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "<think>hm</think>Bye!"}],
                   add_generation_prompt=False),
    "all": dict(messages=[{"role": "system", "content": "S"}, {"role": "user", "content": "a"},
                          {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]),
    "wrong": dict(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]),
    "tools": dict(messages=[{"role": "user", "content": "Weather?"}], tools=TOOLS),
    "called": dict(messages=[{"role": "system", "content": "Use tools."}, {"role": "user", "content": "Weather?"}, CALL,
                             ANSWER], tools=TOOLS),
    "answered": dict(messages=[{"role": "user", "content": "Weather?"}, CALL, ANSWER,
                               {"role": "assistant", "content": "It is 21 degrees."},
                               {"role": "user", "content": "Thanks"}], tools=TOOLS),
}

CHAT = {
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "instruct": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "thinking": """{%- set ns = namespace(last=-1, tools=0) -%}
{%- for m in messages -%}
  {%- if m.role == "user" -%}{%- set ns.last = loop.index0 -%}{%- endif -%}
  {%- if m.role == "tool" -%}{%- set ns.tools = ns.tools + 1 -%}{%- endif -%}
{%- endfor -%}
{%- macro part(m, index) -%}
  {%- if m.content is string -%}
    {{- m.content.split('</think>')[-1].lstrip('\\n') if index < ns.last else m.content -}}
  {%- elif m.content is iterable and m.content is not mapping -%}
    {%- for p in m.content if p.type == 'text' -%}{{- p.text -}}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- if tools %}<tools>
    {%- for tool in tools %}
{{ tool | tojson }}
    {%- endfor %}
</tools>
{% endif %}
{%- for m in messages %}
    {%- if m.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}<|user|>{% endif %}
        {{- '<response name="' ~ (m.name or 'none') ~ '">' ~ m.content ~ '</response>' }}
        {%- continue %}
    {%- endif %}
    {{- '<|' ~ m.role ~ '|>' ~ part(m, loop.index0) }}
    {%- for call in (m.tool_calls or []) %}
        {{- '\\n<call>' ~ {"name": call.function.name, "arguments": call.function.arguments} | tojson ~ '</call>' }}
    {%- endfor %}
    {{- '<|end|>' if not loop.last or add_generation_prompt }}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{% endif %} tools={{ ns.tools }}
""",
    "typed": """{%- macro type_of(spec) -%}
{%- set names = {"string": "str", "number": "float", "integer": "int"} -%}
{%- if spec.type in names -%}{{ names[spec.type] }}
{%- elif spec.type == 'array' -%}list[{{ type_of(spec['items']) if 'items' in spec else 'any' }}]
{%- else -%}any{%- endif -%}
{%- endmacro -%}
{{ bos_token }}{% for tool in tools or [] %}{% set f = tool.function %}{{ f.name }}({% for name, spec in f.parameters.properties.items() %}{{ name }}: {{ type_of(spec) }}{{ "" if name in (f.parameters.required | default([])) else "?" }}{% if not loop.last %}, {% endif %}{% endfor %}) -> {{ f.description | upper }}
{% endfor %}{% for group in messages | map(attribute='role') | unique | list | sort %}[{{ group }}]{% endfor %}{{ strftime_now("%d %B %Y, %A") }} {{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(' / ') }}{{ eos_token }}""",
}

LANGUAGE = r'''
{{ 1 + 2 * 3 - 4 // 3 % 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** 3 ** 2 }} {{ 10 / 5 }} {{ -(3) }} {{ - 3 | abs }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ true == 1 }} {{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ (1, 2) == [1, 2] }}
{{ 'a' in 'cat' }} {{ 'x' not in 'cat' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ not 1 in [2] }} {{ 3 in (1, 2) }}
{{ true and 0 }} {{ '' or 'x' }} {{ not none }} {{ not not 1 }} {{ none or [] }} {{ 1 and 2 or 3 }} {{ 0 or none }}
{{ 'a' if true else 'b' }} {{ 'a' if false }} {{ 'a' if false else 'b' if false else 'c' }} {{ ('x' if 1) ~ 'y' }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1, 'b'] ~ {'c': none} ~ () ~ (1,) ~ missing }}
{{ [1, 2, 3][0] }} {{ [1, 2, 3][-1] }} {{ [1, 2, 3][5] }} {{ 'héllo'[1] }} {{ 'héllo'[-1] }} {{ {'a': {'b': 2}}.a.b }} {{ {'a': [1, 2]}['a'][1] }} {{ [[1], [2]].1.0 }}
{{ [1, 2, 3, 4][1:3] }} {{ [1, 2, 3, 4][::-1] }} {{ [1, 2, 3, 4][-2:] }} {{ 'héllo wörld'[1:-1] }} {{ 'abc'[::-1] }} {{ 'abcdef'[::2] }} {{ [1, 2, 3][5:] }} {{ [1, 2, 3][:-9] }} {{ (1, 2, 3)[1:] }} {{ 'abc'[2:1] }} {{ [1, 2, 3, 4, 5][4:0:-2] }}
<<<
{{ "it's" }} {{ 'tab\tnew\\n\'q\' \x41 \u00e9 \U0001F600 \q' }} {{ "a" "b" 'c' }} {{ 'multi
line' }}
>>>
{{ ['a', "it's", 'say "hi"', 'both \' and "', 'n\nt\t\\', 'é'] }} {{ {'k': [1, (2, 3)], 2: 'x'} }}
{{ missing }}|{{ missing is defined }}|{{ missing is undefined }}|{{ none is none }}|{{ x.y is defined }}
{{ missing.deeper }}
{{ none.x }}|{{ none.x is defined }}
{{ 'x'.y is defined }}
{{ missing + 1 }}
{{ 'a' + 1 }}
{{ 1 / 0 }}
{{ [] < 1 }}
{{ {}['x'].y }}
{% for x in missing %}a{% else %}empty{% endfor %}
{% for x in none %}a{% endfor %}
{% for x in 5 %}a{% endfor %}
{% for a in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }};{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }} {% endfor %}{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}={{ v }} {% endfor %}{% for k in {'x': 1} %}{{ k }}{% endfor %}{% for c in 'hé' %}[{{ c }}]{% endfor %}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{% for a in range(10) if a % 2 %}{{ a }}{% if a == 7 %}{% break %}{% endif %}{% endfor %} {% for a in range(5) %}{% if a == 2 %}{% continue %}{% endif %}{{ a }}{% endfor %}
{% for a in [] %}x{% else %}none{% endfor %}{% for a in [1] %}x{% else %}none{% endfor %}
{% for a in [1, 2] %}{% for b in [1, 2] %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }}{% endfor %}
{% for a in 'ab' %}{{ loop.cycle('x', 'y') }}{% endfor %}{% for a in [1, 1, 2] %}{{ loop.changed(a) }}{% endfor %}
{% set x = 1 %}{% for a in [1, 2] %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(n=0, s='') %}{% for a in [1, 2, 3] %}{% set ns.n = ns.n + a %}{% set ns.s = ns.s ~ a %}{% endfor %}{{ ns.n }}{{ ns.s }}{{ ns.missing is defined }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t = (1, 2) %}{{ t }}{% set x = 1, %}{{ x }}
{% set x %}block {{ 1 + 1 }}{% endset %}[{{ x }}]{% set y | upper | trim %} shout {% endset %}[{{ y }}]
{% set x.y = 1 %}
{% if true %}{% set inner = 5 %}{% endif %}{{ inner }}
{% if 0 %}a{% elif '' %}b{% elif [] %}c{% elif {} %}d{% elif none %}e{% else %}f{% endif %}{% if 1 %}y{% endif %}
{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c='z') }} {{ m(b=5, a=4) }} {{ m() }}
{% macro m() %}a{% endmacro %}{{ m(1) }}
{% macro fact(n) %}{{ n * fact(n - 1) | int if n > 1 else 1 }}{% endmacro %}{{ fact(6) }}
{% set g = 'outer' %}{% macro m() %}{{ g }}{% set g = 'inner' %}{{ g }}{% endmacro %}{{ m() }}{{ g }}
{% macro wrap(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call wrap('b') %}text {{ 1 }}{% endcall %}
{% macro each(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) each([1, 2]) %}[{{ x }}]{% endcall %}
{% filter upper %}abc {{ 'def' }}{% endfilter %}{% filter replace('a', 'b') | title %}aa bb{% endfilter %}
{% raw %}{{ not }} {% run %}{% endraw %}after{%- raw -%}  x  {%- endraw -%}  y
{# comment #}a{#- strip -#}  b  {#- both -#}  c
<<<
  {% if true %}
  indented
  {% endif %}
end
>>>
<<<
  {%- if true -%}
  tight
  {%- endif -%}
end
>>>
<<<
  {%+ if true +%}
  kept
  {%+ endif %}
end
>>>
line {% if true %} same {% endif %} line
<<<
{{ 'a' }}
{{ 'b' -}}
   c   {{- 'd' }}
>>>
<<<
{% for i in [1, 2] %}
  {{ i }}
{% endfor %}
>>>
<<<
{% set x = 1 %}
    {# gone #}
    {{ x }}
>>>
{{ '  trim me\t\n' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ [1, 2] | length }}|{{ 'héé' | length }}|{{ {'a': 1} | count }}|{{ missing | length }}
{{ 'hello wORLD foo-bar' | title }}|{{ 'hELLO World' | capitalize }}|{{ 'ÀÉ ß' | lower }}|{{ 'àé' | upper }}
{{ missing | default('d') }}|{{ '' | default('d') }}|{{ '' | default('d', true) }}|{{ none | d('x') }}|{{ none | d('x', boolean=true) }}|{{ missing | default }}
{{ [1, 2, 3] | join }}|{{ [1, 2] | join(', ') }}|{{ [{'a': 1}, {'a': 2}] | join('-', attribute='a') }}|{{ 'abc' | join('.') }}
{{ [3, 1, 2] | sort }}|{{ ['b', 'A', 'c'] | sort }}|{{ ['b', 'A'] | sort(case_sensitive=true) }}|{{ [1, 2, 3] | sort(reverse=true) }}|{{ [{'n': 2}, {'n': 1}] | sort(attribute='n') }}
{{ [1, 2, 2, 3, 1] | unique | list }}|{{ ['a', 'A', 'b'] | unique | list }}|{{ [1, 2, 3] | reverse | list }}|{{ 'abc' | reverse }}
{{ [1, 2, 3] | first }}{{ [1, 2, 3] | last }}{{ 'abc' | first }}{{ 'abc' | last }}|{{ [] | first }}|
{{ [1, 2, 3] | map('string') | list }}|{{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }}|{{ [{'a': 1}, {}] | map(attribute='a', default=0) | list }}|{{ ['a', 'b'] | map('upper') | join }}|{{ ['a-b'] | map('replace', '-', '+') | list }}
{{ [0, 1, 2, ''] | select | list }}|{{ [1, 2, 3] | select('odd') | list }}|{{ [1, 2, 3] | reject('odd') | list }}|{{ [1, 5] | select('gt', 2) | list }}|{{ ['a', none, 'b'] | select('string') | list }}
{{ [{'r': 'u', 'c': 1}, {'r': 's', 'c': 2}] | selectattr('r', 'equalto', 'u') | list }}|{{ [{'r': 1}, {}] | selectattr('r') | list }}|{{ [{'r': 1}, {}] | selectattr('r', 'defined') | list }}|{{ [{'r': 1}, {'r': 2}] | rejectattr('r', '==', 1) | list }}|{{ [{'r': 'a'}] | selectattr('r', 'in', ['a', 'b']) | list }}
{{ none | selectattr('r') | list }}|{{ none | rejectattr('r') | list }}|{{ none | select | list }}|{{ none | reject('odd') | list }}|{{ none | map('upper') | list }}|{{ none | map(attribute='r') | list }}|{{ 0 | select | list }}|{{ false | map('nonsense') | list }}|{{ (none | selectattr('r', 'equalto', 1) | list) == [] }}
{{ 5 | select | list }}
{{ true | map('upper') | list }}
{{ {'b': 1, 'a': 2} | items | list }}|{{ {'b': 1, 'a': 2} | dictsort }}|{{ {'b': 1} | list }}|{{ 'ab' | list }}
{{ '42' | int }}|{{ 'x' | int }}|{{ 'x' | int(default=7) }}|{{ ' 5 ' | int }}|{{ true | int }}|{{ '3.9' | int }}|{{ none | string }}|{{ 5 | string ~ 'a' }}|{{ [1] | string }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(width=1, blank=true) }}|{{ 'a' | indent(2, first=true) }}
{{ 'aXbX' | replace('X', '-') }}|{{ 'aXbX' | replace('X', '-', 1) }}|{{ '<a>' | safe }}|{{ '<a href="x">\'&' | escape }}|{{ -5 | abs }}|{{ [1, 2, 3] | sum }}|{{ [{'a': 1}, {'a': 2}] | sum(attribute='a') }}|{{ [2, 9, 4] | max }}|{{ [2, 9, 4] | min }}|{{ {'a': 1} | attr('keys') is callable }}
{{ {'a': [1, 2.5, none, true, 'é"\\/\n\x01\x7f<>&'], 'b': {}, 'c': []} | tojson }}
{{ {'b': [1, {'x': 2}], 'a': {}, 'c': []} | tojson(indent=2) }}|{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}|{{ [1, 2] | tojson(separators=(',', ':')) }}|{{ 'x' | tojson }}|{{ (1, 2) | tojson }}
{{ missing | tojson }}
{{ 1 is number }}{{ 1 is integer }}{{ 1.5 is float }}{{ true is boolean }}{{ true is number }}{{ true is integer }}{{ 'a' is string }}{{ [] is sequence }}{{ {} is mapping }}{{ 'a' is iterable }}{{ 1 is iterable }}{{ {} is sequence }}{{ none is none }}{{ range is callable }}{{ true is true }}{{ 1 is true }}{{ false is false }}
{{ 4 is even }}{{ 3 is odd }}{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(4) }}{{ 1 is eq 1 }}{{ 1 is ne 2 }}{{ 3 is gt 2 }}{{ 2 is le(2) }}{{ 'a' is in ['a'] }}{{ 'abc' is lower }}{{ 'ABC' is upper }}{{ 1 is sameas 1 }}{{ none is not none }}{{ 'x' is not string }}{{ 5 is not defined }}
{{ ' a b '.strip() }}|{{ 'xxa'.lstrip('x') }}|{{ 'axx'.rstrip('x') }}|{{ 'a,b,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a b c'.split(None, 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'a\nb\r\nc'.splitlines() }}|{{ ''.split(',') }}|{{ ''.split() }}
{{ 'abc'.startswith('ab') }}{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith('bc') }}{{ 'abc'.upper() }}{{ 'ABC'.lower() }}{{ 'a b'.title() }}{{ 'abc'.capitalize() }}{{ 'aXb'.replace('X', '-') }}{{ 'héllo'.find('l') }}{{ 'abc'.find('x') }}{{ 'abab'.rfind('b') }}{{ 'abab'.count('a') }}{{ '-'.join(['a', 'b']) }}{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ 'a1'.isalnum() }}
{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('b') }}{{ {'a': 1}.get('b', 5) }}{{ {'a': 1}.keys() | list }}{{ {'a': 1}.values() | list }}{{ {'a': 1}.items() | list }}{{ [1, 2, 1].count(1) }}{{ [1, 2].index(2) }}
{{ {'items': 5}['items'] }}{{ {'items': 5}.items is callable }}{{ {'get': 1}.get('get') }}
{{ range(3) | list }}{{ range(1, 4) | list }}{{ range(5, 0, -2) | list }}{{ dict(a=1, b=2) }}{{ dict({'x': 1}, y=2) }}
{{ 'ab' * 3 }}{{ [1] + [2] }}{{ (1,) + (2,) }}{{ 'a' + 'b' + 'c' }}
{{ raise_exception('custom message') }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %a %A %b %B %j %y %p %I %%') }}
{{ messages | length }}{{ tools }}{{ add_generation_prompt }}{{ bos_token }}{{ eos_token }}
{{ unknown_function() }}
{{ 1 | nofilter }}
{{ 1 is notest }}
{% unknown %}
{% if true %}
{% endif %}
{{ 'unclosed
{{ (1 }}
{{ }}
{% for %}{% endfor %}
{% generation %}x{{ 1 }}{% set y = 1 %}{% endgeneration %}{{ y is defined }}
{% generation %}x
{% endgeneration %}
{{ 1 if }}
{{ a b }}
{% break %}
{{ {'a': 1, } }}{{ [1, 2, ] }}{{ (1, ) }}{{ 1_000 }}{{ 1.5 }}{{ {'a': {'b': {}}} }}{{ {} }}
{{ 'a' 'b' ~ 'c' | upper }}{{ ('a' ~ 'b') | upper }}{{ 'a' | upper ~ 'b' }}{{ 1 + 2 | string | length }}{{ not 'a' == 'b' }}{{ -1 + 2 }}{{ 'x' is string and true }}{{ 1 == 1 and 2 == 2 }}
<<<
{% raw %}
kept {{ line }}
  {% endraw +%}
{% raw -%}
  gone
  {%+ endraw -%}
 end
>>>
{{ 'straße ŉ ﬁx ǆ' | upper }}|{{ 'ßa ǆ ŉ' | capitalize }}|{{ 'ǆ ﬂ'.title() }}|{{ '日a 1a' .title() }}|{{ 'ß' is lower }}
{{ "it's {'a': 'b'} x-y (z) [w] <v>" | title }}|{{ "it's x-y".title() }}
{{ ['\u2028', '\xa0', '\u200b', '\x7f', 'é\u0301', '\U000e0001'] }}
{{ 'abc'.replace('', '-') }}|{{ 'abc' | replace('', '-', 2) }}|{{ ''.replace('', '-') }}|{{ 'é'.replace('', '..') }}
{{ '  a  b  c '.split(None, 1) }}{{ '  a  b  c '.rsplit(None, 1) }}{{ ' a b '.rsplit() }}{{ 'a\x1cb'.split() }}
{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'abc'.partition('=') }}{{ 'abc'.rpartition('=') }}
{{ 'ab'.center(7, '*') }}|{{ 'abc'.center(8) }}|{{ 'é'.ljust(3) }}|{{ 'é'.rjust(3, '.') }}|{{ 'abc'.ljust(2) }}
{{ '%s-%d%%' | format('é', 7) }}|{{ '%(a)s %(b)s' | format(a=1, b=none) }}|{{ 'plain' | format }}|{{ '{} {{}} {}'.format('x', [1]) }}|{{ '{1}{0}{n}'.format(1, 2, n='ü') }}
{{ '%s' | format }}
{{ '%s' | format(1, 2) }}
{{ '%d' | format('x') }}
{{ '{}'.format() }}
{{ '{' .format(1) }}
{{ 3 * 'ab' }}{{ [1, 2] * 2 }}{{ 2 * (1,) }}{{ [1] * 0 }}{{ 'a' * -1 }}
{{ 'upper' is filter }}{{ 'nothing' is filter }}{{ 'odd' is test }}{{ 'nothing' is test }}{{ 1 is filter }}
{{ '<b>' | forceescape }}{{ missing is callable }}
{{ 'a\r\nb\x0bc\u2028d\n\ne' | indent(2) }}{{ 'a\r\nb\x0cc\x1dd\x85e\u2029'.splitlines() }}{{ 'a\r\nb\x0cc'.splitlines(true) }}
{{ [none, none] | sort }}{{ [{'a': 1}, {'a': 1}] | sort }}{{ [missing, missing] | sort | length }}
{% for a in [1, 2] %}{% continue %}{% else %}none ended{% endfor %}|{% for a in [1, 2] %}{% break %}{% else %}none ended{% endfor %}|{% for a in [1, 2] %}{% if a == 2 %}{% break %}{% endif %}{% else %}none ended{% endfor %}
{% set c = [] %}{{ c is sameas c }}{{ missing == missing }}{{ missing == none }}{{ none == none }}{{ missing ~ 'x' }}{{ 'a' in missing }}
'''


class Generation(jinja2.ext.Extension):
    """{% generation %}…{% endgeneration %} marks for trainers what the model writes; the text is its body's."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("unchanged"), [], [], body).set_lineno(line)

    def unchanged(self, caller):
        return caller()


@functools.lru_cache(1)
def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(form)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                       extensions=[jinja2.ext.loopcontrols, Generation])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


@functools.lru_cache(100)
def compiled(source):
    return environment().from_string(source)


def render(source, case):
    """The rendered text, or None when Jinja refuses."""
    variables = dict(messages=case["messages"], tools=case.get("tools"), documents=None,
                     add_generation_prompt=case.get("add_generation_prompt", True),
                     bos_token=case.get("bos", "<s>"), eos_token=case.get("eos", "</s>"))
    variables.update(case.get("extra", {}))
    try:
        return compiled(source).render(**variables)
    except Exception:  # whatever Python raises for a template that is wrong
        return None


def write(name, cases):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")
    refused = sum(c["expected"] is None for c in cases)
    print("%s: %d cases, %d of them refusals" % (name, len(cases), refused))


def language():
    """Each line is a piece; the lines between "<<<" and ">>>" form one piece."""
    pieces, block = [], None
    for line in LANGUAGE.strip("\n").split("\n"):
        if line == "<<<":
            block = ""
        elif line == ">>>":
            pieces.append(block)
            block = None
        elif block is not None:
            block += line + "\n"
        else:
            pieces.append(line + "\n")
    return pieces


def conversations():
    for name, conversation in CONVERSATIONS.items():
        for extra in ({}, {"enable_thinking": False}) if name == "one" else ({},):
            yield name, dict(conversation, extra=extra) if extra else conversation


def main():
    one = [{"role": "user", "content": "Hello"}]
    write("language.json", [dict(name="language %d" % i, template=piece, messages=one,
                                 expected=render(piece, dict(messages=one))) for i, piece in enumerate(language())])
    write("chat.json", [dict(conversation, name="%s/%s" % (name, which), template=source,
                             expected=render(source, conversation))
                        for name, source in CHAT.items() for which, conversation in conversations()])
    sources = {}
    if len(sys.argv) > 1:
        for file in sorted(os.listdir(sys.argv[1])):
            sources[file] = open(os.path.join(sys.argv[1], file), encoding="utf-8").read()
    for path in sys.argv[2:]:
        import gguf
        sources[os.path.basename(path)] = gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()
    if sources:
        write("shared.json", [dict(conversation, name="%s/%s" % (file, which), file=file,
                                   expected=render(source, conversation))
                              for file, source in sources.items() for which, conversation in conversations()])


if __name__ == "__main__":
    main()

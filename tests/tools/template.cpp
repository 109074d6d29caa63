// SPDX-License-Identifier: GPL-2.0-or-later
// Renders chat templates, one case a line: template < cases > answers
//
// A case is an object of JSON with "template" and what tests/hosted/ai/text/template_case.h reads.
// Its answer is a line, too: the rendered text as a string of JSON, or {"error": "LINE:COLUMN:
// WHY"}.
#include <iostream>
#include <string>

#include "tests/hosted/ai/text/template_case.h"

namespace {

RenderedCase answer(const std::string& line) {
  auto document = json::Document::parse(line, {.depth = json::kMaxDepth});
  if (!document.has_value()) return {false, "0:0: this line is no JSON"};
  json::Value source = document->root().find("template");
  if (!source.is_string()) return {false, "0:0: this case has no text \"template\""};
  return render_case(source.text(), document->root());
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    RenderedCase rendered = answer(line);
    String out;
    base::StringWriter sink(out);
    json::Writer w(sink);
    if (rendered.done)
      w.value(std::string_view(rendered.text));
    else
      w.begin_object().field("error", std::string_view(rendered.text)).end_object();
    std::cout << out.view() << '\n' << std::flush;
  }
  return 0;
}

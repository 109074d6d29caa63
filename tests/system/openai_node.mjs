// SPDX-License-Identifier: GPL-2.0-or-later
// The official Node client against a running server.
// Usage: node openai_node.mjs http://127.0.0.1:8080   (needs the npm package openai)
// Prints TAP; exit status 1 on failure.
import assert from "node:assert";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

// The package is looked for from the current folder, so that none has to lie in the tree.
const require = createRequire(process.cwd() + "/");
const {default: OpenAI} = await import(pathToFileURL(require.resolve("openai")));

const base = process.argv[2] || "http://127.0.0.1:8080";
const client = new OpenAI({baseURL: base + "/v1", apiKey: "none", maxRetries: 0});
const model = (await client.models.list()).data[0].id;
const messages = [{role: "user", content: "Say hello."}];
const ask = more => client.chat.completions.create({model, messages, max_completion_tokens: 6, temperature: 0, ...more});
const weather = {type: "function", function: {name: "get_weather", parameters: {
  type: "object", properties: {city: {type: "string", maxLength: 10}}, required: ["city"], additionalProperties: false}}};

const tests = {
  async models() {
    assert.equal((await client.models.retrieve(model)).id, model);
    await assert.rejects(client.models.retrieve("a/b:c"), OpenAI.NotFoundError);
  },
  async chat_and_stream() {
    const whole = await ask({});
    let text = "";
    for await (const chunk of await ask({stream: true, stream_options: {include_usage: true}}))
      if (chunk.choices.length) text += chunk.choices[0].delta.content || "";
    assert.equal(text, whole.choices[0].message.content);
    assert.ok(whole.usage.total_tokens > 0);
  },
  async stream_helper() {
    const runner = client.chat.completions.stream({model, messages, max_completion_tokens: 6});
    let deltas = 0;
    runner.on("content", () => deltas++);
    const done = await runner.finalChatCompletion();
    assert.ok(deltas > 0 && done.choices[0].message.content);
  },
  async choices_and_logprobs() {
    const answer = await ask({n: 2, logprobs: true, top_logprobs: 2, temperature: 1, seed: 3});
    assert.equal(answer.choices.length, 2);
    assert.equal(answer.choices[1].logprobs.content[0].top_logprobs.length, 2);
  },
  async tools() {
    const whole = await ask({tools: [weather], tool_choice: "required", max_completion_tokens: 120});
    assert.equal(whole.choices[0].message.tool_calls[0].function.name, "get_weather");
    const runner = client.chat.completions.stream({
      model, messages, tools: [weather], tool_choice: "required", max_completion_tokens: 120, temperature: 0});
    const call = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0];
    assert.ok(JSON.parse(call.function.arguments).city !== undefined);
  },
  async json_schema() {
    const schema = {type: "object", properties: {ok: {type: "boolean"}}, required: ["ok"], additionalProperties: false};
    const answer = await ask({max_completion_tokens: 20,
      response_format: {type: "json_schema", json_schema: {name: "x", strict: true, schema}}});
    assert.equal(typeof JSON.parse(answer.choices[0].message.content).ok, "boolean");
  },
  async completions() {
    const answer = await client.completions.create({model, prompt: "Once upon", max_tokens: 3});
    assert.ok(answer.choices[0].text);
  },
  async responses() {
    const answer = await client.responses.create({model, input: "Say hello.", max_output_tokens: 5});
    assert.ok(answer.output_text);
    let last = "";
    for await (const event of await client.responses.create({model, input: "Hi", max_output_tokens: 3, stream: true}))
      last = event.type;
    assert.ok(last === "response.completed" || last === "response.incomplete");
  },
  async errors() {
    await assert.rejects(ask({temperature: -1}), e => e instanceof OpenAI.BadRequestError && e.param === "temperature");
    await assert.rejects(client.chat.completions.create({model, messages: [{role: "user", content: "word ".repeat(60000)}]}),
      e => e.code === "context_length_exceeded");
  },
  async abort_then_next() {
    const stream = await ask({stream: true, max_completion_tokens: 500});
    for await (const chunk of stream) if (chunk.choices.length) break;
    stream.controller.abort();
    assert.ok((await ask({})).choices.length);
  },
  async parallel() {
    const all = await Promise.all(Array.from({length: 8}, async (_, i) => {
      let text = "";
      const stream = await client.chat.completions.create({
        model, messages: [{role: "user", content: `Count from ${i}.`}], stream: true, max_completion_tokens: 4,
      }, {maxRetries: 5});  // an emulator's forwarded port resets connections that come in a burst
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content || "";
      return text;
    }));
    assert.ok(all.every(text => text.length > 0));
  },
};

let number = 0, failed = 0;
for (const [name, run] of Object.entries(tests)) {
  number++;
  try {
    await run();
    console.log(`ok ${number} - openai_node.${name}`);
  } catch (error) {
    failed++;
    console.log(`#   ${error.stack.replaceAll("\n", "\n#   ")}\nnot ok ${number} - openai_node.${name}`);
  }
}
console.log(`1..${number}\n${number - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

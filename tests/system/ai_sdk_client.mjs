// SPDX-License-Identifier: GPL-2.0-or-later
// Vercel's AI SDK against a running server, over chat and over responses.
// Usage: node ai_sdk_client.mjs http://127.0.0.1:8080   (needs the npm packages ai 6, @ai-sdk/openai 3, zod 4)
// Prints TAP; exit status 1 on failure.
import assert from "node:assert";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

// The packages are looked for from the current folder, so that none has to lie in the tree.
const require = createRequire(process.cwd() + "/");
const load = name => import(pathToFileURL(require.resolve(name)));
const {APICallError, Output, embedMany, generateText, stepCountIs, streamText, tool} = await load("ai");
const {createOpenAI} = await load("@ai-sdk/openai");
const {z} = await load("zod");

const base = process.argv[2] || "http://127.0.0.1:8080";
const openai = createOpenAI({baseURL: base + "/v1", apiKey: "none"});
const name = (await (await fetch(base + "/v1/models")).json()).data[0].id;
const both = {chat: openai.chat(name), responses: openai.responses(name)};
const plain = {temperature: 0, maxOutputTokens: 8, maxRetries: 0};
const add = tool({description: "Adds two numbers.", inputSchema: z.object({a: z.int(), b: z.int()}), execute: async ({a, b}) => a + b});
const City = z.object({name: z.string().max(12), capital: z.boolean()});

const each = async run => { for (const [kind, model] of Object.entries(both)) await run(model, kind); };
const tests = {
  text: () => each(async model => {
    const answer = await generateText({model, system: "Be brief.", prompt: "Say hello.", ...plain});
    assert.ok(answer.text && answer.usage.outputTokens > 0 && answer.usage.inputTokens > 0);
  }),
  stream: () => each(async model => {
    const whole = await generateText({model, prompt: "Say hello.", ...plain});
    const stream = streamText({model, prompt: "Say hello.", ...plain});
    let text = "";
    for await (const part of stream.textStream) text += part;
    assert.equal(text, whole.text);
    assert.equal(await stream.finishReason, whole.finishReason);
  }),
  structured_output: () => each(async model => {
    const answer = await generateText({model, output: Output.object({schema: City}), prompt: "Describe Oslo.", ...plain, maxOutputTokens: 60});
    assert.equal(typeof answer.output.capital, "boolean");
  }),
  structured_stream: () => each(async model => {
    const stream = streamText({model, output: Output.object({schema: City}), prompt: "Describe Oslo.", ...plain, maxOutputTokens: 60});
    let parts = 0;
    for await (const part of stream.partialOutputStream) parts += part ? 1 : 0;
    assert.ok(parts > 0 && City.parse(await stream.output));
  }),
  forced_tool: () => each(async (model, kind) => {
    const answer = await generateText({model, tools: {add}, toolChoice: "required", prompt: "What is 2 + 3?", ...plain, maxOutputTokens: 120});
    assert.equal(answer.toolCalls[0].toolName, "add", kind);
    assert.equal(answer.toolResults[0].output, answer.toolCalls[0].input.a + answer.toolCalls[0].input.b);
  }),
  streamed_tool: () => each(async model => {
    const stream = streamText({model, tools: {add}, toolChoice: {type: "tool", toolName: "add"}, prompt: "What is 2 + 3?", ...plain, maxOutputTokens: 120});
    const kinds = new Set();
    for await (const part of stream.fullStream) kinds.add(part.type);
    for (const kind of ["tool-input-start", "tool-input-delta", "tool-call", "tool-result", "finish"]) assert.ok(kinds.has(kind), kind);
  }),
  // Both at once: the first step calls, the last one answers in the schema's form.
  tools_and_structured_output: () => each(async (model, kind) => {
    const seen = await generateText({model, tools: {add}, output: Output.object({schema: City}), prompt: "Add 2 and 3, then describe Oslo.",
      ...plain, maxOutputTokens: 120, stopWhen: stepCountIs(2), prepareStep: ({stepNumber}) => ({toolChoice: stepNumber === 0 ? "required" : "none"})});
    assert.equal(seen.steps.length, 2, kind);
    assert.equal(seen.steps[0].toolCalls[0].toolName, "add", kind);
    assert.ok(City.parse(seen.output), kind);
  }),
  tools_that_may_be_called_beside_a_schema: () => each(async (model, kind) => {
    // The model may call or answer; an answer has the schema's form in any case.
    const seen = await generateText({model, tools: {add}, output: Output.object({schema: City}), prompt: "Describe Oslo.", ...plain, maxOutputTokens: 120});
    if (seen.finishReason === "stop") assert.ok(City.parse(JSON.parse(seen.text)), kind);
  }),
  steps_with_a_result: () => each(async model => {
    // The first step must call; what the model does with the result is its own affair.
    const answer = await generateText({model, tools: {add}, prompt: "What is 2 + 3?", ...plain, maxOutputTokens: 120, stopWhen: stepCountIs(2),
      prepareStep: ({stepNumber}) => ({toolChoice: stepNumber === 0 ? "required" : "none"})});
    assert.equal(answer.steps.length, 2);
  }),
  embeddings: async () => {
    const made = await embedMany({model: openai.embedding(name), values: ["a", "b"], maxRetries: 0});
    assert.ok(made.embeddings.length === 2 && made.embeddings[0].length > 8);
  },
  abort: () => each(async model => {
    const control = new AbortController();
    const stream = streamText({model, prompt: "Count to a thousand.", ...plain, maxOutputTokens: 500, abortSignal: control.signal, onError() {}});
    for await (const _ of stream.textStream) { control.abort(); break; }
    assert.ok((await generateText({model, prompt: "Say hello.", ...plain})).text);
  }),
  errors: async () => {
    for (const model of [openai.chat("no-such-model"), openai.responses("no-such-model")])
      await assert.rejects(generateText({model, prompt: "x", ...plain}), e => APICallError.isInstance(e) && e.statusCode === 404);
  },
};

let number = 0, failed = 0;
for (const [title, run] of Object.entries(tests)) {
  number++;
  try {
    await run();
    console.log(`ok ${number} - ai_sdk.${title}`);
  } catch (error) {
    failed++;
    console.log(`#   ${error.stack.replaceAll("\n", "\n#   ")}\nnot ok ${number} - ai_sdk.${title}`);
  }
}
console.log(`1..${number}\n${number - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

// SPDX-License-Identifier: GPL-2.0-or-later
// The table of pre-tokenizers: which scanners, in which order, for the names that models have.
#include "ai/tokenizer/pretokenize.h"

#include <iterator>

namespace ai {
namespace {

using namespace scan;

constexpr Scanner kGpt2[] = {lower_contraction, spaced_letters,     spaced_numbers,
                             spaced_others,     spaces_before_last, spaces};
constexpr Scanner kLlama3[] = {
    any_contraction, prefixed_letters,   three_numbers, spaced_others_lines,
    lines,           spaces_before_last, spaces};
constexpr Scanner kJais2[] = {any_contraction, prefixed_letters, three_numbers, spaced_others_lines,
                              lines,           spaces_in_powers};
constexpr Scanner kQwen2[] = {any_contraction, prefixed_letters,   one_number, spaced_others_lines,
                              lines,           spaces_before_last, spaces};
constexpr Scanner kQwen35[] = {
    any_contraction, prefixed_letters_marks, one_number, spaced_others_no_marks_lines,
    lines,           spaces_before_last,     spaces};
constexpr Scanner kNoContraction[] = {prefixed_letters,   one_number, spaced_others_lines, lines,
                                      spaces_before_last, spaces};
constexpr Scanner kSeedCoder[] = {any_contraction, prefixed_letters,   one_number, spaced_others,
                                  lines,           spaces_before_last, spaces};
constexpr Scanner kMiniCpm5[] = {any_contraction, prefixed_letters,   numbers, spaced_others_lines,
                                 lines,           spaces_before_last, spaces};
constexpr Scanner kExaoneMoe[] = {
    any_contraction, prefixed_phrase,    one_number, spaced_others_one_tail,
    lines,           spaces_before_last, spaces};
constexpr Scanner kTekken[] = {prefixed_cased, one_number,         spaced_others_lines_slash,
                               lines,          spaces_before_last, spaces};
constexpr Scanner kO200k[] = {prefixed_cased_contraction, three_numbers,
                              spaced_others_lines_slash,  lines,
                              spaces_before_last,         spaces};
constexpr Scanner kO200kMarks[] = {prefixed_cased_marks_contraction,
                                   three_numbers,
                                   spaced_others_lines_slash,
                                   lines,
                                   spaces_before_last,
                                   spaces};
constexpr Scanner kAya[] = {prefixed_letters_marks_contraction,
                            three_numbers,
                            spaced_others_lines_slash,
                            lines,
                            spaces_before_last,
                            spaces};
constexpr Scanner kYoutu[] = {prefixed_letters_marks_contraction,
                              one_number,
                              spaced_others_lines_slash,
                              lines,
                              spaces_before_last,
                              spaces};
constexpr Scanner kYoutuScripts[] = {hangul, wide_stops, bopomofo, han_kana};
constexpr Scanner kDeepSeek3[] = {
    marked_ascii_word, unmarked_letters, spaced_marks_lines, lines, spaces_before_last, spaces};
constexpr Scanner kSpark[] = {marked_ascii_word, unmarked_letters,   spaced_marks,
                              one_newline,       spaces_before_last, spaces};

constexpr Scanner kOneNumber[] = {one_number};
constexpr Scanner kThreeNumbers[] = {three_numbers};
constexpr Scanner kNumbers[] = {numbers};
constexpr Scanner kThreeDigits[] = {three_digits};
constexpr Scanner kRightAligned[] = {right_aligned_digits};
constexpr Scanner kRightAlignedNumbers[] = {right_aligned_numbers};
constexpr Scanner kAsian[] = {asian};
constexpr Scanner kPunctuationMath[] = {punctuation_math};
constexpr Scanner kPunctuationMathTick[] = {punctuation_math_tick};
constexpr Scanner kOneNewline[] = {one_newline};
constexpr Scanner kAnySpacedLetters[] = {any_spaced_letters};
constexpr Scanner kAnySpacedPunctuation[] = {any_spaced_punctuation};
constexpr Scanner kScriptEastAsian[] = {east_asian};
constexpr Scanner kScriptHanKana[] = {han_kana};
constexpr Scanner kAnySpacedCased[] = {any_spaced_cased};
constexpr Scanner kAnySpacedMarks[] = {any_spaced_marks};
constexpr Scanner kFinalSpaces[] = {final_spaces};
constexpr Scanner kBetweenStops[] = {spaced_between_stops};
constexpr Scanner kLineOrBreaks[] = {line_or_breaks};

constexpr Pass kGpt2Passes[] = {{kGpt2}};
constexpr Pass kDigitsGpt2Passes[] = {{kOneNumber}, {kGpt2}};
constexpr Pass kFalconPasses[] = {{kPunctuationMathTick}, {kGpt2}, {kThreeDigits}};
constexpr Pass kDefaultPasses[] = {{kPunctuationMath}, {kGpt2}, {kNumbers}, {kThreeDigits}};
constexpr Pass kLlama3Passes[] = {{kLlama3}};
constexpr Pass kJais2Passes[] = {{kJais2}};
constexpr Pass kQwen2Passes[] = {{kQwen2}};
constexpr Pass kQwen35Passes[] = {{kQwen35}};
constexpr Pass kNoContractionPasses[] = {{kNoContraction}};
constexpr Pass kSeedCoderPasses[] = {{kSeedCoder}};
constexpr Pass kMiniCpm5Passes[] = {{kThreeNumbers}, {kMiniCpm5}};
constexpr Pass kExaoneMoePasses[] = {{kExaoneMoe}};
constexpr Pass kTekkenPasses[] = {{kTekken}};
constexpr Pass kO200kPasses[] = {{kO200k}};
constexpr Pass kO200kMarksPasses[] = {{kO200kMarks}};
constexpr Pass kAyaPasses[] = {{kRightAlignedNumbers}, {kAya}};
constexpr Pass kAfmoePasses[] = {{kRightAlignedNumbers}, {kAsian}, {kDeepSeek3}};
constexpr Pass kYoutuPasses[] = {{kYoutuScripts}, {kYoutu}};
constexpr Pass kDeepSeek3Passes[] = {{kThreeNumbers}, {kScriptHanKana}, {kDeepSeek3}};
constexpr Pass kSparkPasses[] = {{kThreeNumbers}, {kScriptHanKana}, {kSpark}, {kOneNumber}};
constexpr Pass kDeepSeekCoderPasses[] = {
    {kOneNewline}, {kAnySpacedLetters}, {kAnySpacedPunctuation}, {kScriptEastAsian}, {kOneNumber}};
constexpr Pass kDeepSeekPasses[] = {{kOneNewline},  {kAnySpacedCased},  {kAnySpacedMarks},
                                    {kFinalSpaces}, {kScriptEastAsian}, {kNumbers}};
constexpr Pass kSuperPasses[] = {{kNumbers}, {kRightAligned}};
constexpr Pass kBloomPasses[] = {{kBetweenStops}};
constexpr Pass kVikingPasses[] = {{kBetweenStops}, {kOneNumber}};
constexpr Pass kLinesPasses[] = {{kLineOrBreaks}};
constexpr Pass kLagunaPasses[] = {{kLineOrBreaks}, {kQwen2}};

constexpr PreTokenizer whole_words_with_bos(std::span<const Pass> passes) {
  return {.passes = passes, .whole_words = true, .add_bos = true};
}

struct Row {
  std::string_view name;
  PreTokenizer value;
};

// Names as llama.cpp's converter writes them to tokenizer.ggml.pre.
constexpr Row kRows[] = {
    {"default", {kDefaultPasses}},
    {"gpt-2", {kGpt2Passes}},
    {"phi-2", {kGpt2Passes}},
    {"mpt", {kGpt2Passes}},
    {"olmo", {kGpt2Passes}},
    {"jais", {kGpt2Passes}},
    {"trillion", {kGpt2Passes}},
    {"granite-docling", {kGpt2Passes}},
    {"exaone4", {kGpt2Passes}},
    {"gigachat", {kGpt2Passes}},
    {"mellum", {kGpt2Passes}},
    {"a.x-4.0", {kGpt2Passes}},
    {"modern-bert", {kGpt2Passes}},
    {"jina-es", {kGpt2Passes}},
    {"jina-de", {kGpt2Passes}},
    {"jina-v2-es", {kGpt2Passes}},
    {"jina-v2-de", {kGpt2Passes}},
    {"jina-v1-en", {kGpt2Passes}},
    {"jina-v2-code", {kGpt2Passes}},
    {"roberta-bpe", {kGpt2Passes}},
    {"smollm", {kDigitsGpt2Passes}},
    {"starcoder", {kDigitsGpt2Passes}},
    {"refact", {kDigitsGpt2Passes}},
    {"command-r", {kDigitsGpt2Passes}},
    {"codeshell", {kDigitsGpt2Passes}},
    {"exaone", {kDigitsGpt2Passes}},
    {"minerva-7b", {kDigitsGpt2Passes}},
    {"mellum2", {kDigitsGpt2Passes}},
    {"falcon", {kFalconPasses}},
    {"llama-bpe", whole_words_with_bos(kLlama3Passes)},
    {"llama3", whole_words_with_bos(kLlama3Passes)},
    {"llama-v3", whole_words_with_bos(kLlama3Passes)},
    {"falcon3", whole_words_with_bos(kLlama3Passes)},
    {"falcon-h1", whole_words_with_bos(kLlama3Passes)},
    {"pixtral", whole_words_with_bos(kLlama3Passes)},
    {"midm-2.0", whole_words_with_bos(kLlama3Passes)},
    {"lfm2", whole_words_with_bos(kLlama3Passes)},
    {"dbrx", {kLlama3Passes}},
    {"smaug-bpe", {kLlama3Passes}},
    {"glm4", {kLlama3Passes}},
    {"chatglm-bpe", {kLlama3Passes}},
    {"jais-2", {kJais2Passes}},
    {"qwen2", {kQwen2Passes}},
    {"deepseek-r1-qwen", {kQwen2Passes}},
    {"kormo", {kQwen2Passes}},
    {"megrez", {kQwen2Passes}},
    {"stablelm2", {kQwen2Passes}},
    {"hunyuan", {kQwen2Passes}},
    {"grok-2", {kQwen2Passes}},
    {"solar-open", {kQwen2Passes}},
    {"bailingmoe", {kQwen2Passes}},
    {"bailingmoe2", {kQwen2Passes}},
    {"llada-moe", {kQwen2Passes}},
    {"qwen35", {kQwen35Passes}},
    {"ufakzeka", {kNoContractionPasses}},
    {"seed-coder", {kSeedCoderPasses}},
    {"minicpm5", {.passes = kMiniCpm5Passes, .whole_words = true}},
    {"exaone-moe", {kExaoneMoePasses}},
    {"tekken", whole_words_with_bos(kTekkenPasses)},
    {"gpt-4o", {kO200kPasses}},
    {"llama4", {kO200kPasses}},
    {"kanana2", {kO200kPasses}},
    {"minimax-m2", {kO200kPasses}},
    {"granite-embed-multi-97m", {.passes = kO200kMarksPasses, .whole_words = true}},
    {"tiny_aya", {kAyaPasses}},
    {"cohere2moe", {kAyaPasses}},
    {"youtu", {.passes = kYoutuPasses, .whole_words = true}},
    {"deepseek-llm", {kDeepSeekPasses}},
    {"deepseek-coder", {kDeepSeekCoderPasses}},
    {"deepseek-v3", {kDeepSeek3Passes}},
    {"hunyuan-dense", {kDeepSeek3Passes}},
    {"joyai-llm", {kDeepSeek3Passes}},
    {"spark2_5", {kSparkPasses}},
    {"afmoe", {kAfmoePasses}},
    {"superbpe", {kSuperPasses}},
    {"poro-chat", {kBloomPasses}},
    {"bloom", {kBloomPasses}},
    {"gpt3-finnish", {kBloomPasses}},
    {"viking", {kVikingPasses}},
    {"laguna", {kLagunaPasses}},
    {"gemma4",
     {.passes = kLinesPasses, .escape_spaces = true, .whole_breaks = true, .add_bos = true}},
    {"sarvam-moe", {.passes = kLinesPasses, .escape_spaces = true}},
};

}  // namespace

usize next_piece(const Pass& pass, const Run& run, usize at) {
  for (usize end = at; end < run.end(); end += run.at(end).bytes) {
    for (Scanner scan : pass.alternatives) {
      usize match_end = scan(run, end);
      if (match_end > end) return end > at ? end : match_end;
    }
  }
  return run.end();
}

Result<const PreTokenizer*> find_pre_tokenizer(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return &row.value;
  }
  return fail(Errc::kUnsupported, "tokenizer.ggml.pre names an unknown pre-tokenizer");
}

usize pre_tokenizer_count() {
  return std::size(kRows);
}

std::string_view pre_tokenizer_name(usize index) {
  return kRows[index].name;
}

}  // namespace ai

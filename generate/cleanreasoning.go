package generate

import (
	"regexp"
	"strings"
	"unicode"
)

// How models separate their reasoning from the answer. The marks are the ones that the reasoning parsers of
// vLLM, SGLang and llama.cpp know; the models in the comments are examples.
const (
	// thinkNames are tags: <think> (DeepSeek, Qwen, GLM, Nemotron, Hunyuan), <thought> (Gemini), <seed:think>
	// (Seed-OSS), <mm:think> (MiniMax), <longcat_think> (LongCat), and the marks that prompts ask for.
	thinkNames = `(?:[a-z]{1,8}[:_])?(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|rationale)`

	// [THINK] Magistral, <|START_THINKING|> Command A, <|inner_prefix|> Apertus, ◁think▷ Kimi, <|channel>thought Gemma,
	// <|think|> Solar, [unused16] Pangu.
	thinkOpeners = `<` + thinkNames + `(?:\s[^<>]{0,200})?>|\[think\]|<\|start_thinking\|>|<\|inner_prefix\|>|◁think▷|<\|channel>|<\|think\|>|\[unused16\]`
	thinkClosers = `</` + thinkNames + `\s*>|\[/think\]|<\|end_thinking\|>|<\|inner_suffix\|>|◁/think▷|<channel\|>|<\|/think\|>|\[unused17\]`
)

var (
	thinkMark = regexp.MustCompile(`(?i)(` + thinkOpeners + `)|(?:` + thinkClosers + `)`)

	// answerOpening is what the answer follows, whatever precedes it: the final channel of harmony (gpt-oss), a
	// message to the user (Muse), <|content|> (Solar), <|START_RESPONSE|> (Command A), [BEGIN FINAL RESPONSE] (Apriel),
	// and harmony whose special tokens the server has taken out.
	answerOpening = regexp.MustCompile(`<\|channel\|>\s*final\b[^<>]*(?:<\|constrain\|>[^<>]*)?<\|message\|>|<\|start\|>\s*assistant\s*(?:to=user\s*)?<\|message\|>|` +
		`<\|begin\|>\s*assistant\s*<\|content\|>|<\|START_(?:RESPONSE|TEXT)\|>|\[BEGIN FINAL RESPONSE\]|assistantfinal|` +
		`<\|im_end\|>\s*<\|im_start\|>\s*assistant\b`)
	answerEnd = regexp.MustCompile(`<\|(?:end|return|call|eom|eot|start|im_end|END_RESPONSE|END_TEXT)\|>|\[END FINAL RESPONSE\]`)

	// otherChannel is a message of harmony that is not for the user, also without its special tokens: "analysisThe user
	// wants".
	otherChannel = regexp.MustCompile(`<\|channel\|>|<\|message\|>|^\s*(?:assistant)?(?:analysis|commentary)\p{Lu}`)

	// Reasoning that is announced in words: Granite, Apriel.
	saidReasoning = regexp.MustCompile(`^(?i:\s*here(?:'s| is) my thought process:|\s*here are my reasoning steps:)`)
	saidAnswer    = regexp.MustCompile(`(?i:here(?:'s| is) my response:)`)

	// thinksAloud is the beginning of a reasoning whose marks are lost: the model speaks of its task instead of doing
	// it.
	thinksAloud = regexp.MustCompile(`^(?i:\s*(?:(?:okay|ok|alright|hmm+|well|so|first|right|wait)\b[,.!]?\s*){0,3}` +
		`(?:the user (?:wants|needs|asks|asked|is asking|has asked|requested|gave|provided)|` +
		`(?:we|i) (?:need|have|should|must|am asked|are asked|want) to (?:produce|generate|write|create|craft|come up with|think of|make|give|output)|` +
		`let(?:'s| us| me) (?:produce|generate|write|create|craft|come up with|think of))\b[^\n]*` +
		`\b(?:quer(?:y|ies)|questions?|claims?|titles?|keywords?|passage|search)\b)`)

	answerTags = regexp.MustCompile(`^(?is:\s*<(?:answer|response|final|final_answer|final_response|query)>(.*?)(?:</(?:answer|response|final|final_answer|final_response|query)>\s*)?)$`)
	rolePrefix = regexp.MustCompile(`^\s*(?:<\|im_start\|>|<\|start\|>|<\|START_OF_TURN_TOKEN\|><\|CHATBOT_TOKEN\|>)?\s*(?:assistant\b)?`)
	// oddThink is a tag that no model is known to write and no query holds: empty, with spaces, escaped for HTML.
	oddThink     = regexp.MustCompile(`(?i)(?:<|&lt;)\s*/?\s*` + thinkNames + `\s*/?\s*(?:>|&gt;)`)
	specialToken = regexp.MustCompile(`<\|[A-Za-z_]{1,40}\|>|<｜[^｜<>]{1,40}｜>`)
	endTokens    = regexp.MustCompile(`(?:\s*(?:<\|[A-Za-z_]{1,40}\|>|</s>|<eos>|<end_of_turn>|<turn\|>|<｜[^｜<>]{1,40}｜>))+\s*$`)
)

// withoutReasoning returns an answer without the reasoning of the model and the special tokens behind it. sure is false
// where it is not certain which part is the answer: the reasoning has no end or nothing behind it, or there is text
// before it too.
func withoutReasoning(answer string) (rest string, sure bool) {
	marked := false
	if at := answerOpening.FindAllStringIndex(answer, -1); at != nil {
		answer, marked = answer[at[len(at)-1][1]:], true
		if end := answerEnd.FindStringIndex(answer); end != nil {
			answer = answer[:end[0]]
		}
	}
	if saidReasoning.MatchString(answer) {
		at := saidAnswer.FindStringIndex(answer)
		if at == nil {
			return answer, false
		}
		answer, marked = answer[at[1]:], true
	}
	answer, thought, sure := behindThinking(answer)
	marked = marked || thought
	if marked {
		if inner := answerTags.FindStringSubmatch(answer); inner != nil {
			answer = inner[1]
		}
	}
	answer = endTokens.ReplaceAllString(answer, "")
	if marked && !hasWord(answer) {
		sure = false
	}
	return answer, sure && !showsReasoning(answer)
}

// behindThinking returns what follows the last mark of thinking.
func behindThinking(answer string) (rest string, thought, sure bool) {
	from, inside := 0, false
	for _, at := range thinkMark.FindAllStringSubmatchIndex(answer, -1) {
		if isOpener := at[2] >= 0; !isOpener {
			from, inside = at[1], false
			continue
		}
		if !inside && hasWord(rolePrefix.ReplaceAllString(answer[from:at[0]], "")) {
			return answer, true, false
		}
		inside, thought = true, true
	}
	return answer[from:], thought || from > 0, !inside
}

// showsReasoning says that a text still holds a mark of reasoning or begins like one.
func showsReasoning(text string) bool {
	return thinkMark.MatchString(text) || oddThink.MatchString(text) || answerOpening.MatchString(text) ||
		otherChannel.MatchString(text) ||
		saidReasoning.MatchString(text) || thinksAloud.MatchString(text)
}

func hasWord(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

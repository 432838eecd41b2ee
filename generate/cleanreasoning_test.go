package generate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReasoningIsTakenOff(t *testing.T) {
	const want = "does vitamin D prevent falls in winter?"
	const thought = "The user wants one query.\nQuery: x\nIt could speak of falls."
	for name, answer := range map[string]string{
		"think":                                 "<think>\n" + thought + "\n</think>\n\n" + want,
		"think, one line":                       "<think>hm</think> " + want,
		"think, empty":                          "<think>\n\n</think>\n\n" + want,
		"no opener, as templates write it":      thought + "\n</think>\n\n" + want,
		"no opener, one line":                   "The user wants a query.</think> " + want,
		"two ends":                              "a\n</think> b\n</think>" + want,
		"the tag is spoken of":                  "<think>I write <think> first.</think>" + want,
		"thinking":                              "<thinking>" + thought + "</thinking>" + want,
		"thinking with an attribute":            `<thinking effort="low">` + thought + "</thinking>" + want,
		"upper case":                            "<THINK>" + thought + "</THINK>" + want,
		"thought":                               "<thought>" + thought + "</thought>\n" + want,
		"reasoning":                             "<reasoning>" + thought + "</reasoning>\n" + want,
		"Seed-OSS":                              "<seed:think>" + thought + "</seed:think>" + want,
		"LongCat":                               "<longcat_think>" + thought + "</longcat_think>\n" + want,
		"MiniMax":                               "<mm:think>" + thought + "</mm:think>" + want,
		"Hunyuan":                               "<think>\n" + thought + "\n</think>\n<answer>\n" + want + "\n</answer>",
		"ERNIE":                                 "<think>\n" + thought + "\n</think>\n\n<response>\n" + want + "\n</response>\n",
		"Magistral":                             "[THINK]" + thought + "[/THINK]" + want,
		"Kimi":                                  "◁think▷" + thought + "◁/think▷" + want,
		"Command A":                             "<|START_THINKING|>" + thought + "<|END_THINKING|><|START_RESPONSE|>" + want + "<|END_RESPONSE|>",
		"Command A without the response's mark": "<|START_THINKING|>" + thought + "<|END_THINKING|>" + want,
		"Apertus":                               "<|inner_prefix|>" + thought + "<|inner_suffix|>" + want,
		"Gemma":                                 "<|channel>thought\n" + thought + "<channel|>" + want,
		"Solar":                                 "<|think|>" + thought + "<|end|><|begin|>assistant<|content|>" + want,
		"Pangu":                                 "[unused16]" + thought + "[unused17]" + want,
		"Granite":                               "Here is my thought process: " + thought + "\n\nHere's my response: " + want,
		"Apriel":                                "Here are my reasoning steps:\n" + thought + "\n[BEGIN FINAL RESPONSE]\n" + want + "\n[END FINAL RESPONSE]",
		"HyperCLOVA":                            "/think\n" + thought + "<|im_end|>\n<|im_start|>assistant\n" + want,
		"harmony":                               "<|channel|>analysis<|message|>" + thought + "<|end|><|start|>assistant<|channel|>final<|message|>" + want,
		"harmony, to its end":                   "<|channel|>analysis<|message|>" + thought + "<|end|><|start|>assistant<|channel|>final<|message|>" + want + "<|return|>",
		"harmony, final only":                   "<|channel|>final<|message|>" + want,
		"harmony, constrained":                  "<|channel|>final <|constrain|>text<|message|>" + want,
		"harmony without special tokens":        "analysis" + thought + "assistantfinal" + want,
		"Muse":                                  "to=self<|message|>" + thought + "<|eom|><|start|>assistant to=user<|message|>" + want + "<|eot|>",
		"a role before it":                      "<|im_start|>assistant\n<think>" + thought + "</think>\n" + want + "<|im_end|>",
		"end of a sequence":                     want + "</s>",
		"end of a turn":                         want + "<|eot_id|>",
		"end of DeepSeek's":                     want + "<｜end▁of▁sentence｜>",
		"a preamble behind it":                  "<think>" + thought + "</think>\nSure! Here is a query:\n\n**" + want + "**",
	} {
		t.Run(name, func(t *testing.T) {
			query, dropped := cleaner{}.clean(answer, abstracts[0])
			require.Empty(t, dropped)
			require.Equal(t, want, query)
		})
	}
}

func TestReasoningWithoutACertainAnswerIsDropped(t *testing.T) {
	for name, answer := range map[string]string{
		"cut":                              "<think>\nOkay, the user wants a search query about falls, so I should",
		"cut on one line":                  "<think>does vitamin D prevent falls in winter?",
		"the opener alone":                 "<think>",
		"no answer behind it":              "<think>hm</think>",
		"no opener, no answer":             "The user wants a query.\n</think>\n",
		"end tokens for an answer":         "<think>hm</think>\n<|im_end|>",
		"an answer before it":              "does vitamin D prevent falls? <think>Is that good?</think>",
		"text on both sides":               "does vitamin D <think>hm</think> prevent falls in winter?",
		"text between two thoughts":        "<think>a</think> does it help? <think>b</think> who was studied?",
		"cut again behind it":              "<think>a</think> <think>does vitamin D prevent falls?",
		"harmony, cut":                     "<|channel|>analysis<|message|>The user wants a query about falls in winter",
		"harmony, commentary":              "<|channel|>commentary to=functions.search<|message|>does vitamin D prevent falls",
		"harmony, cut, no special tokens":  "analysisThe user wants a query about vitamin D",
		"harmony, cut before its text":     "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>",
		"Magistral, cut":                   "[THINK]does vitamin D prevent falls in winter?",
		"Command A, cut":                   "<|START_THINKING|>does vitamin D prevent falls in winter?",
		"Kimi, cut":                        "◁think▷does vitamin D prevent falls in winter?",
		"Granite, cut":                     "Here is my thought process: does vitamin D prevent falls in winter?",
		"Apriel, cut":                      "Here are my reasoning steps:\ndoes vitamin D prevent falls in winter?",
		"marks that the server took out":   "Okay, the user wants a search query about vitamin D.",
		"marks that the server took out 2": "We need to produce a query about vitamin D and falls.",
		"an empty tag":                     "<think/>does vitamin D prevent falls in winter?",
		"a tag with spaces":                "The user wants one. < /think > does vitamin D prevent falls?",
		"escaped for HTML":                 "&lt;think&gt;hm&lt;/think&gt;does vitamin D prevent falls in winter?",
		"a special token before it":        "<think>hm</think><|im_end|>does vitamin D prevent falls in winter?",
		"a special token inside":           "does vitamin D<|eot_id|> prevent falls in winter?",
		"marks within a layer":             `"<think>" vitamin D and falls`,
	} {
		t.Run(name, func(t *testing.T) {
			_, dropped := cleaner{}.clean(answer, abstracts[0])
			require.Equal(t, dropReasoning, dropped)
		})
	}
}

func TestQueriesThatLookLikeReasoningStay(t *testing.T) {
	for _, query := range []string{
		"analysis of variance with two factors",
		"the user wants to cancel a subscription",
		"commentary on the winter games",
		"we need to talk about sleep",
		"final analysis of the bridge collapse",
		"difference between <b> and <strong>",
		"let us make bread at home",
		"when is x < y or y > z",
		"i have to write a letter to my landlord",
	} {
		t.Run(query, func(t *testing.T) {
			got, dropped := cleaner{}.clean(query, articles[1])
			require.Empty(t, dropped)
			require.Equal(t, query, got)
		})
	}
}

func TestManyMarksAreDroppedSoon(t *testing.T) {
	for _, mark := range []string{"<think>", "</think>", "<|channel|>", "<|channel|>final", "assistantfinal", "<|im_end|>", "[THINK]", "Here is my response:", "<think "} {
		_, dropped := cleaner{}.clean(strings.Repeat(mark, longSize()/len(mark)), abstracts[0])
		require.NotEmpty(t, dropped)
	}
}

func TestAnAnswerOfMegabytesIsTooLong(t *testing.T) {
	_, dropped := cleaner{}.clean(strings.Repeat("so ", longestAnswer), abstracts[0])
	require.Equal(t, dropTooLong, dropped)
}

func TestAnAnswerInJSONIsGarbled(t *testing.T) {
	for _, answer := range []string{
		`{"query": "does vitamin D prevent falls in winter"}`, "```json\n{\"query\": \"does vitamin D prevent falls\"}\n```",
		`["does vitamin D prevent falls", "who was studied"]`,
	} {
		_, dropped := cleaner{}.clean(answer, abstracts[0])
		require.Equal(t, dropGarbled, dropped, answer)
	}
}

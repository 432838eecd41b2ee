//go:build libtorch

package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// From a corpus to a student by way of a language model's queries and a teacher that was trained here, with models of a
// few thousand weights. Their answers are nonsense; what is asked for is that every step takes what the one before it
// made.
func TestTheWholeChainWithALanguageModelAndATrainedTeacher(t *testing.T) {
	dir := runFolder(t)
	llm := filepath.Join("..", "..", "generate", "causallm", "testdata", "llama-tied")
	at := func(name string) string { return filepath.Join(dir, name) }
	object := func(v any, args ...string) {
		require.NoError(t, json.Unmarshal([]byte(succeed(t, append(args, "-json")...)), v))
	}

	var made generateResult
	generate := []string{
		"generate", "-corpus", at("corpus.jsonl"), "-generator", "both", "-types", "phrase,howto", "-llm", llm, "-llm-types", "zero-shot", "-llm-passages", "0",
		"-threads", "1", "-out", at("made.jsonl"),
	}
	object(&made, generate...)
	require.NotNil(t, made.Answers)
	require.Positive(t, made.Answers.Tokens)
	asked := made.Answers.Kept
	for _, n := range made.Answers.Dropped {
		asked += n
	}
	require.Equal(t, 48, asked)
	require.FileExists(t, at("made.jsonl.answers"))
	object(&made, generate...)
	require.Equal(t, 48, made.Answers.Reused)

	var scored scoreResult
	score := []string{
		"score", "-corpus", at("corpus.jsonl"), "-queries", at("made.jsonl"), "-model", tiny, "-depth", "6", "-threads", "1",
	}
	object(&scored, append(score, "-out", at("lists.jsonl"))...)
	require.Equal(t, made.Kept, scored.Kept)
	require.Empty(t, scored.Costs.Score, "words and the student cost nothing")
	crossEncoder := filepath.Join("..", "..", "teacher", "crossencoder", "testdata", "bert")
	several := append(score, "-teacher",
		"bm25+student+crossencoder:"+crossEncoder+"+likelihood:"+llm+"+2*encoder:"+tiny+"-cls", "-fuse", "rrf", "-out",
		at("several.jsonl"))
	object(&scored, several...)
	require.Equal(t, int64(scored.Pairs), scored.Costs.Score["crossencoder bert"].Pairs)
	require.Equal(t, int64(scored.Pairs), scored.Costs.Score["likelihood llama-tied"].Pairs)
	first := readString(t, at("several.jsonl"))
	object(&scored, several...)
	require.Zero(t, scored.Costs.Score["crossencoder bert"].Pairs, "every score is in the store")
	require.Equal(t, first, readString(t, at("several.jsonl")))

	var trained trainTeacherResult
	object(&trained, "train-teacher", "-corpus", at("corpus.jsonl"), "-lists", at("several.jsonl"), "-learn", "both",
		"-start", tiny, "-out", at("reranker"), "-epochs", "1", "-group", "4", "-dev-fraction", ".2", "-threads", "1")
	require.Positive(t, trained.Steps)
	require.Positive(t, trained.HeldOut)
	require.Equal(t, "nDCG@10", trained.ChosenBy)
	require.GreaterOrEqual(t, *trained.After, *trained.Before)
	require.NoDirExists(t, at("reranker.work"))
	require.Positive(t, trained.Temperature)

	var byScores trainTeacherResult // what scored lists are for, where nothing else is said
	object(&byScores, "train-teacher", "-corpus", at("corpus.jsonl"), "-lists", at("several.jsonl"), "-start", tiny,
		"-out", at("by-scores"), "-epochs", "1", "-group", "4", "-dev-fraction", ".2", "-threads", "1")
	require.Equal(t, "scores", byScores.Learn)
	require.Equal(t, "-loss", byScores.ChosenBy)
	require.Equal(t, trained.Lists+trained.HeldOut, byScores.Lists+byScores.HeldOut)

	out := succeed(t, "distill", "-corpus", at("corpus.jsonl"), "-model", tiny, "-generator", "both", "-types",
		"phrase,howto", "-llm", llm, "-llm-types", "zero-shot", "-llm-passages", "20", "-teacher",
		"2*bm25+crossencoder:"+at("reranker"), "-min-agreement", ".2", "-out", at("run"), "-threads", "1", "-epochs", "1",
		"-batch", "8", "-force", "-queries", at("queries.jsonl"), "-qrels", at("qrels/test.tsv"))
	require.Regexp(t, `(?m)^scores of crossencoder reranker: [\d,]+ pairs in \d+ s`, out)
	require.Regexp(t, `(?m)^queries: \d+ of \d+ answers kept`, out)
	page := readString(t, at("run/report.html"))
	require.Contains(t, page, "2 x bm25 and crossencoder reranker, fused by z-scores")
	_, err := retort.LoadQueries(at("made.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, readString(t, at("run/teacher-scores.jsonl")))
}

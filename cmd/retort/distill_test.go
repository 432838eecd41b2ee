package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadInputToDistillIsNamed(t *testing.T) {
	const good = "distill -corpus DIR/corpus.jsonl -model DIR/none -out DIR/run"
	for _, c := range []struct {
		name  string
		files map[string]string
		args  string
		code  int
		want  string
	}{
		{"no corpus", nil, "distill -model DIR -out DIR/run", exitUsage, "-corpus"},
		{"no folder", nil, "distill -corpus DIR/corpus.jsonl -model DIR", exitUsage, "-out"},
		{"unknown towers", nil, good + " -towers passage", exitUsage, "-towers"},
		{"unknown type", nil, good + " -types sentence,haiku", exitUsage, `no type "haiku"`},
		{"unknown keep", nil, good + " -keep worst", exitUsage, "-keep"},
		{"judgements without queries", nil, good + " -qrels DIR/qrels/test.tsv", exitUsage, "-qrels needs -queries"},
		{"no such model", nil, good, exitFailure, "DIR/none"},
		{"empty corpus", map[string]string{"corpus.jsonl": ""}, good, exitFailure, "DIR/corpus.jsonl: no records"},
		{"malformed corpus", map[string]string{"corpus.jsonl": "{\n"}, good, exitFailure, "DIR/corpus.jsonl:1: malformed JSON"},
		{
			"list with a score too few",
			map[string]string{"lists.jsonl": `{"query":{"_id":"q","text":"t"},"ids":["a","b"],"scores":[1]}`},
			good + " -lists DIR/lists.jsonl", exitFailure, `DIR/lists.jsonl:1: list of query "q" has 2 ids and 1 scores`,
		},
		{
			"judgements of unknown passages",
			map[string]string{"qrels/test.tsv": "q1\tgone\t1\n"},
			good + " -queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv", exitFailure, `not in the corpus ("gone")`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := collection(t, c.files)
			code, stdout, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, strings.ReplaceAll(c.want, "DIR", dir))
			require.Empty(t, stdout)
			require.NotContains(t, names(t, dir), "run", "nothing is left behind")
		})
	}
}

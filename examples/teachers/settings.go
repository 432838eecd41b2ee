package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
)

// settings are what the figures depend on, besides the files that the paths name.
type settings struct {
	collections string // folder
	names       string // of the collections
	student     string // model folders, and a file of llama.cpp's
	bge, e5     string
	llm         string
	precision   string
	tokens      int // of a passage, and of a pair

	testQueries, devQueries int
	depth                   int
	llmQueries, llmDepth    int // of the lists of the likelihood, which takes longest
	members                 string

	trainLists   int // that a cross-encoder is trained on
	trainQueries string
	trainLearn   string // learnPositives or learnScores

	lists       int    // that the student is trained on
	listDepth   int    // passages of each
	distilled   string // the collections that students are trained on
	llmPassages int    // that the language model writes queries of
	perPassage  int    // queries of each
	seed        uint64
}

func defaultSettings() settings {
	return settings{
		names: "scifact,nfcorpus,cranfield,godoc", precision: "auto", tokens: 160,
		testQueries: 100, devQueries: 100, depth: 50, llmQueries: 50, llmDepth: 20,
		members:    "bm25,student,bge-small,e5-small,crossencoder-minilm,crossencoder-bge-small",
		trainLists: 1600, trainQueries: queriesExtractive, trainLearn: learnScores,
		lists: 3000, listDepth: 30, distilled: "scifact,godoc", llmPassages: 500, perPassage: 2, seed: 1,
	}
}

func (s *settings) add(f *flag.FlagSet) {
	f.StringVar(&s.collections, "collections", s.collections, "folder of folders in BEIR's layout")
	f.StringVar(&s.names, "names", s.names, "collections, by comma; godoc is the documentation of the Go on this machine")
	f.StringVar(&s.student, "student", s.student, "folder of the student, such as all-MiniLM-L6-v2 (required)")
	f.StringVar(&s.bge, "bge", s.bge, "folder of bge-small-en-v1.5; without it its cells are left out, as below")
	f.StringVar(&s.e5, "e5", s.e5, "folder of e5-small-v2")
	f.StringVar(&s.llm, "llm", s.llm, "SmolLM2-135M-Instruct, a GGUF file or a folder")
	f.StringVar(&s.precision, "precision", s.precision, "fp32, bf16, or auto: bf16 where the processor has it")
	f.IntVar(&s.tokens, "tokens", s.tokens, "longest passage, and longest pair of a cross-encoder, in tokens")
	f.IntVar(&s.testQueries, "test-queries", s.testQueries,
		"test queries a collection, the first by the hash of their ids")
	f.IntVar(&s.devQueries, "dev-queries", s.devQueries, "queries a collection that choices are made on, chosen so too")
	f.IntVar(&s.depth, "depth", s.depth, "candidates a query")
	f.IntVar(&s.llmQueries, "llm-queries", s.llmQueries, "queries that a language model ranks the candidates of")
	f.IntVar(&s.llmDepth, "llm-depth", s.llmDepth, "candidates of each of those")
	f.StringVar(&s.members, "members", s.members, "teachers that the best ensemble is chosen from")
	f.IntVar(&s.trainLists, "train-lists", s.trainLists, "lists that a cross-encoder is trained on, 8 passages of each")
	f.StringVar(&s.trainQueries, "train-queries", s.trainQueries, "what those are made for: extractive, smollm2 or mixed")
	f.StringVar(&s.trainLearn, "train-learn", s.trainLearn,
		"what it learns of them: scores, of BM25, the student and bge-small together, or positives, the queries' sources")
	f.IntVar(&s.lists, "lists", s.lists, "lists that a student is trained on")
	f.IntVar(&s.listDepth, "list-depth", s.listDepth, "passages of each of a student's lists")
	f.StringVar(&s.distilled, "distil", s.distilled, "collections that students are trained on, by comma")
	f.IntVar(&s.llmPassages, "llm-passages", s.llmPassages, "passages that the language model writes queries of")
	f.IntVar(&s.perPassage, "per-passage", s.perPassage, "queries that it is asked for of each")
	f.Uint64Var(&s.seed, "seed", s.seed, "of everything that is drawn")
}

func (s *settings) check() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"tokens", s.tokens, 8},
		{"test-queries", s.testQueries, 1},
		{"dev-queries", s.devQueries, 1},
		{"depth", s.depth, 2},
		{"llm-queries", s.llmQueries, 1},
		{"llm-depth", s.llmDepth, 2},
		{"train-lists", s.trainLists, 1},
		{"lists", s.lists, 1},
		{"list-depth", s.listDepth, 2},
		{"llm-passages", s.llmPassages, 1},
		{"per-passage", s.perPassage, 1},
	} {
		if f.value < f.least {
			return fmt.Errorf("-%s is %d, want at least %d", f.name, f.value, f.least)
		}
	}
	if !slices.Contains([]string{"auto", "fp32", "bf16"}, s.precision) {
		return fmt.Errorf("-precision is %q, want auto, fp32 or bf16", s.precision)
	}
	if !slices.Contains([]string{queriesExtractive, queriesLLM, queriesMixed}, s.trainQueries) {
		return fmt.Errorf("-train-queries is %q, want %s, %s or %s", s.trainQueries, queriesExtractive, queriesLLM,
			queriesMixed)
	}
	if !slices.Contains([]string{learnPositives, learnScores}, s.trainLearn) {
		return fmt.Errorf("-train-learn is %q, want %s or %s", s.trainLearn, learnScores, learnPositives)
	}
	if s.precision == "auto" {
		s.precision = "fp32"
		if cpu.X86.HasAMXBF16 || cpu.X86.HasAVX512BF16 {
			s.precision = "bf16"
		}
	}
	return nil
}

func splitNames(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// ranking are the settings that a result of ranking depends on, for its file.
func (s *settings) ranking() map[string]string {
	return map[string]string{
		"precision": s.precision, "tokens": strconv.Itoa(s.tokens), "seed": strconv.FormatUint(s.seed, 10),
	}
}

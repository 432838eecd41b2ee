package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/mine"
)

var embedCommand = command{
	name:    "embed",
	summary: "encode queries or passages to vectors",
	usage: `-model DIR -role query|passage FILE.jsonl -out vectors.npy [flags]

Writes a NumPy array of float32, one row per record in the order of the file. Vectors are L2-normalised unless the model
folder asks for dot products. The text of a passage is its title, a space, and its text. The same command resumes an
interrupted encoding of passages.

  FILE.jsonl            passages: JSON Lines with _id, title, text; queries: JSON Lines with _id, text
  -role R               query or passage: selects prompt, length limit and tower of the model
  -out FILE.npy         output file of the vectors` + modelUsage + `

example:
  retort embed -model ./all-MiniLM-L6-v2 -role passage corpus.jsonl -out corpus.npy
  python3 -c 'import numpy; print(numpy.load("corpus.npy").shape)'
`,
	run: runEmbed,
}

// embedBlock is the number of texts between two progress lines. It is large enough for the encoder to group texts of
// similar length.
const embedBlock = 256

func runEmbed(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("embed", flag.ContinueOnError)
	roleName := flags.String("role", "", "")
	out := flags.String("out", "", "")
	var model modelFlags
	model.add(flags)
	values, err := parseArgs(flags, args, "FILE.jsonl")
	if err != nil {
		return err
	}
	if err := required(flags, "role", "out"); err != nil {
		return err
	}
	role, err := parseRole("-role", *roleName)
	if err != nil {
		return err
	}
	if err := model.check(); err != nil {
		return err
	}
	if err := checkWritable(*out); err != nil {
		return err
	}
	texts, err := readTexts(ctx, role, values[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, texts.Close()) }()
	p := progress.New(stderr)
	m, err := model.open(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := texts.embed(ctx, m, *out, p); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d x %d\n", *out, texts.Len(), m.Dim())
	return nil
}

func parseRole(flag, name string) (encoder.Role, error) {
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		if role.String() == name {
			return role, nil
		}
	}
	return 0, oneOf(flag, name, encoder.Query.String(), encoder.Passage.String())
}

// texts holds queries in memory, or passages that stay in their file.
type texts struct {
	queries  []string
	passages *retort.FileCorpus
}

func readTexts(ctx context.Context, role encoder.Role, path string) (*texts, error) {
	t := &texts{}
	if role == encoder.Query {
		queries, err := loadQueries(ctx, path)
		for _, q := range queries {
			t.queries = append(t.queries, q.Text)
		}
		return t, err
	}
	var err error
	if t.passages, err = retort.OpenCorpus(ctx, path); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *texts) Len() int {
	if t.passages != nil {
		return t.passages.Len()
	}
	return len(t.queries)
}

func (t *texts) Close() error {
	if t.passages != nil {
		return t.passages.Close()
	}
	return nil
}

func (t *texts) embed(ctx context.Context, enc encoder.Encoder, path string, p *progress.Progress) error {
	if t.passages != nil {
		if err := sayCut(ctx, enc, t.passages, nil, p); err != nil {
			return err
		}
		return writePassageVectors(ctx, enc, t.passages, path, p)
	}
	if err := sayCut(ctx, enc, nil, t.queries, p); err != nil {
		return err
	}
	return embedQueries(ctx, enc, t.queries, path, p)
}

func writePassageVectors(
	ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, path string, p *progress.Progress,
) error {
	var stage *progress.Stage
	defer func() {
		if stage != nil {
			stage.Done()
		}
	}()
	return mine.WriteVectors(ctx, enc, corpus, path, func(done, total int) {
		if stage == nil {
			stage = p.Stage("encode passages", total)
			stage.Skip(done) // done by an earlier call
		}
		stage.Set(done)
	})
}

func embedQueries(ctx context.Context, enc encoder.Encoder, texts []string, path string, p *progress.Progress) error {
	stage := p.Stage("encode queries", len(texts))
	defer stage.Done()
	return atomicfile.Write(path, func(w io.Writer) error {
		file, err := npy.NewWriter(w, len(texts), enc.Dim())
		if err != nil {
			return err
		}
		for start := 0; start < len(texts); start += embedBlock {
			block := texts[start:min(start+embedBlock, len(texts))]
			vectors, err := enc.Encode(ctx, encoder.Query, block)
			if err != nil {
				return err
			}
			if err := file.Append(vectors); err != nil {
				return err
			}
			stage.Set(start + len(block))
		}
		return file.Close()
	})
}
